"""Run by test_psana.py in a process of its own: what psana makes of given constants.

Arguments: the xtc2 file of a jungfrau, an npz of constants and frames, the npz to write.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np

META = {"experiment": "none", "run": 1}
LINE = 1
"""A row of the camera with a bad pixel."""
JUNGFRAU = ("pedestals", "pixel_gain", "pixel_offset", "pixel_status")


def stand_in_for_krtc() -> None:
    krtc = types.ModuleType("krtc")
    krtc.KerberosTicket = object  # type: ignore[attr-defined]
    sys.modules.setdefault("krtc", krtc)


def jungfrau(file: str, given: dict[str, Any]) -> dict[str, Any]:
    """Raw and calibrated frames of the file, with the default arguments of calib."""
    from psana import DataSource

    run = next(DataSource(files=file, skip_calib_load="all").runs())
    constants = {name: (given[f"jungfrau_{name}"], META) for name in JUNGFRAU}
    run.dsparms.calibconst["jungfrau"] = constants
    detector = run.Detector("jungfrau")
    raw, calibrated = [], []
    for event in run.events():
        raw.append(detector.raw.raw(event).copy())
        # psana gives the same buffer for every event, and flat.
        calibrated.append(detector.raw.calib(event).reshape(raw[-1].shape).copy())
    switched = given["switched"]
    flat = detector.raw.calib(event, nda_raw=switched)
    return {
        "raw": np.stack(raw),
        "calib": np.stack(calibrated),
        "switched_calib": flat.reshape(switched.shape).copy(),
        "mask": detector.raw._mask(),
    }


def camera(kind: Any, given: dict[str, Any]) -> Any:
    """psana's own calib of a camera, of which only the access to the data is replaced.

    A line camera sees the row ``LINE``; psana knows no constants of one axis. Where a kind
    has no calib of its own, that of all fails with a gain, and is without.
    """
    from psana.detector.areadetector import AreaDetectorRaw
    from psana.detector.calibconstants import CalibConstants

    line = kind.__name__.startswith("piranha4")
    rows = slice(LINE, LINE + 1) if line else slice(None)
    names = ("raw", "pedestals", "pixel_gain", "pixel_status")
    of = {name: given[f"camera_{name}"][rows] for name in names}
    raw = of["raw"][0] if line else of["raw"]

    class Given(kind):  # type: ignore[misc]
        def __new__(cls) -> Any:
            return object.__new__(cls)

        def __init__(self) -> None:
            self._calibconst = {"pixel_gain": (of["pixel_gain"], META)}
            if kind.calib is AreaDetectorRaw.calib:
                self._calibconst = {}
            self._gain_factor_ = 1 / of["pixel_gain"]
            self._calibc_ = CalibConstants(self._calibconst, kind.__name__)

        def raw(self, evt: Any, copy: bool = True) -> Any:
            return raw

        def _pedestals(self, **kwargs: Any) -> Any:
            return of["pedestals"]

        def _gain(self, **kwargs: Any) -> Any:
            return of["pixel_gain"]

        def _mask(self, **kwargs: Any) -> Any:
            return (of["pixel_status"] == 0).astype(np.uint8)

    return Given().calib(None)


if __name__ == "__main__":
    file, constants_file, out = sys.argv[1:]
    with np.load(constants_file) as archive:
        arrays = dict(archive)
    stand_in_for_krtc()
    found = jungfrau(file, arrays)
    from psana.detector.axis import axis_raw_1_0_0
    from psana.detector.epix100 import epix100_raw_2_0_1, epix100hw_raw_2_0_1
    from psana.detector.opal import opal_raw_2_0_0
    from psana.detector.piranha4 import piranha4_raw_2_1_0

    kinds = (opal_raw_2_0_0, axis_raw_1_0_0, epix100_raw_2_0_1, epix100hw_raw_2_0_1)
    for kind in (*kinds, piranha4_raw_2_1_0):
        found[kind.__name__.split("_")[0]] = camera(kind, arrays)
    np.savez(out, **found)
