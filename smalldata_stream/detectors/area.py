"""Calibration of area detectors: from the frames of the DAQ to keV per pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from smalldata_stream.batch import Array, Mask, Values, read_only
from smalldata_stream.constants import Constants
from smalldata_stream.detectors import camera, jungfrau
from smalldata_stream.detectors.tables import Kernel, Tables, good_in
from smalldata_stream.errors import ConstantsError
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory

FRAME_FIELDS: Mapping[tuple[str, str], str] = {
    ("archon", "raw"): "value",
    ("axis", "raw"): "value",
    ("epix100", "raw"): "raw",
    ("epix100hw", "raw"): "raw",
    ("epix10ka", "raw"): "raw",
    ("epixhr2x2", "raw"): "raw",
    ("epixm320", "raw"): "raw",
    ("epixuhr", "raw"): "raw",
    ("epixuhr3x2", "raw"): "raw",
    ("jungfrau", "raw"): "raw",
    ("opal", "raw"): "image",
    ("piranha4", "raw"): "image",
}
"""The field that holds the pixels, by type of detector and algorithm, as in psana."""

Kind = Literal["gain", "pedestal", "raw"]

GAIN_SWITCHING = ("jungfrau", "epix10ka", "epixhr2x2", "epixm320", "epixuhr", "epixuhr3x2")
"""Types whose pixels choose their gain: without constants their values mean little."""

_TABLES: Mapping[str, tuple[Kernel, Callable[..., Tables]]] = {
    "jungfrau": (jungfrau.calibrated, jungfrau.tables),
    **dict.fromkeys(
        ("archon", "axis", "epix100", "epix100hw", "opal", "piranha4"),
        (camera.calibrated, camera.tables),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """From raw frames to calibrated ones, and which pixels are good.

    Parameters
    ----------
    calibration
        ============  =================================================================
        ``gain``      (raw - pedestals - pixel_offset) / pixel_gain, in keV
        ``pedestal``  raw - pedestals - pixel_offset, in ADU
        ``raw``       the frames of the DAQ, unchanged, gain bits and bad pixels and all
        ============  =================================================================
    mask
        True = good pixel, of the shape of the frame.

    Raises
    ------
    ValueError
        If a parameter is not of this form.
    ConstantsError
        If (in ``prepare``) constants are needed that are not there or do not fit.

    Notes
    -----
    A pixel is bad where the user's mask or ``pixel_mask`` is False, ``pixel_status`` is not
    0 (in any gain), or no gain has a finite pedestal and a finite gain other than 0. Bad
    pixels are 0, and False in the mask of the output.

    Without ``pixel_mask`` these are the numbers of ``det.raw.calib`` of psana for jungfrau
    and epix100, to float32 rounding, and for opal except for bad pixels, which psana does
    not mask. psana only subtracts pedestals from axis (here: ``pedestal``), takes 0.06
    keV/ADU for an epix100 without gain, and corrects the common mode of archon, then
    multiplies by 3.65; here nothing is put in place of constants that are not there.

    Examples
    --------
    >>> constants = Constants(detector="cam", pedestals=np.full((1, 2), 10.0, "f4"))
    >>> raw = Spec(dtype=np.dtype("u2"), shape=(1, 2))
    >>> made = Calibration(calibration="pedestal").prepare("opal", raw, constants)
    >>> made.compute(np.array([[[12, 9]]], "u2"))[""].tolist()
    [[[2.0, -1.0]]]
    """

    calibration: Kind = "gain"
    mask: Mask | None = None

    def __post_init__(self) -> None:
        if self.calibration not in get_args(Kind):
            raise ValueError(
                f"calibration={self.calibration!r}: write one of "
                + ", ".join(map(repr, get_args(Kind)))
            )
        object.__setattr__(self, "mask", pixels.user_mask(self.mask))

    def prepare(
        self, detector_type: str, raw: Spec, constants: Constants | None = None
    ) -> PerEvent:
        """Make the tables for frames ``raw``; the output and its mask are field ``""``."""
        name = constants.detector if constants else detector_type
        if self.calibration == "raw":
            return self._unchanged(name, raw, constants)
        shape = pixels.frame_shape(raw, f"calibration of {name}")
        if detector_type not in _TABLES:
            raise ConstantsError(
                f"{name}: no calibration is known for detectors of type "
                f"{detector_type!r}; write calibration='raw'"
            )
        given = _needed(constants, name, self.calibration)
        kernel, make = _TABLES[detector_type]
        made = make(given, raw, gain=self.calibration == "gain")
        raw_good = pixels.good_pixels(raw, self.mask, f"calibration of {name}")
        good = made.good if raw_good is None else made.good & raw_good
        tables = made.restricted(good)
        calibrated = pixels.pixel_spec(
            shape,
            np.dtype(np.float32),
            Spec(dtype=raw.dtype, unit="keV" if self.calibration == "gain" else "ADU"),
            mask=None if good.all() else read_only(good),
            long_name="calibrated frame",
        )
        return PerEvent(
            outputs={"": calibrated},
            compute=partial(_compute, kernel, tables, calibrated, Memory()),
            config=_config(given, good, self.calibration),
        )

    def _unchanged(self, name: str, raw: Spec, constants: Constants | None) -> PerEvent:
        good = pixels.good_pixels(raw, self.mask, f"calibration of {name}")
        if constants is not None and raw.shape is not None:
            of_constants = good_in(constants, raw.shape)
            good = of_constants if good is None else good & of_constants
        bad = good is not None and not good.all()
        unchanged = Spec(
            dtype=raw.dtype,
            shape=raw.shape,
            kind=raw.kind,
            unit=raw.unit or "ADU",
            long_name="raw frame",
            mask=read_only(good) if good is not None and bad else None,
        )
        config: dict[str, Any] = {"calibration": "raw"}
        if good is not None:
            config["mask"] = good
        return PerEvent(outputs={"": unchanged}, compute=_same, config=config)


def as_far_as_possible(detector_type: str, constants: Constants | None) -> Kind:
    """The calibration where the user chose none.

    Pixels that switch their gain are nothing without it; a camera with one gain is
    calibrated as far as its constants go.

    >>> as_far_as_possible("jungfrau", None), as_far_as_possible("opal", None)
    ('gain', 'raw')
    """
    if detector_type in GAIN_SWITCHING:
        return "gain"
    have = constants.arrays() if constants else {}
    if "pedestals" not in have:
        return "raw"
    return "gain" if "pixel_gain" in have else "pedestal"


def _same(values: Values) -> Mapping[str, Values]:
    return {"": values}


def _compute(
    kernel: Kernel, tables: Tables, made: Spec, memory: Memory, values: Values
) -> Mapping[str, Values]:
    size = tables.good.size
    out = memory.empty((len(values), size), made.dtype)
    for i, frame in enumerate(values):
        raw = pixels.contiguous(frame).reshape(size)
        kernel(raw, tables.offset, tables.factor, out[i])
    return {"": pixels.packed(out, made)}


def _needed(constants: Constants | None, name: str, kind: Kind) -> Constants:
    """The constants, with all that ``kind`` needs; else ConstantsError."""
    have = constants.arrays() if constants else {}
    need = ["pedestals"] + (["pixel_gain"] if kind == "gain" else [])
    lacking = [what for what in need if what not in have]
    if constants is not None and not lacking:
        return constants
    weaker = "'pedestal' or 'raw'" if "pedestals" in have else "'raw'"
    raise ConstantsError(
        f"{name}: calibration={kind!r} needs {' and '.join(need)}; there is "
        f"{', '.join(have) or 'none of the constants'}. Give a constants file "
        f"(--constants FILE, or constants=... here), or write calibration={weaker}"
    )


def _config(constants: Constants, good: Mask, kind: Kind) -> Mapping[str, Any]:
    """What ``/UserDataCfg`` keeps, under the names of smalldata_tools."""
    names = {"pedestals": "ped", "pixel_gain": "gain", "pixel_offset": "offset"}
    names |= {"pixel_rms": "rms", "pixel_status": "pixel_status"}
    arrays: Mapping[str, Array] = constants.arrays()
    config: dict[str, Any] = {names[k]: a for k, a in arrays.items() if k in names}
    return config | {"mask": good, "calibration": kind}
