"""Run as a program: what psana finds in a run, pickled.

``psana_dump.py DIRECTORY EXP RUN OUTPUT [CONSTANTS.npz]``; psana may abort the
interpreter, therefore a process of its own. With constants, the jungfrau is calibrated by
psana.
"""

import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def load_psana() -> Any:
    """psana without its web services."""
    krtc = types.ModuleType("krtc")
    krtc.KerberosTicket = object  # type: ignore[attr-defined]
    sys.modules["krtc"] = krtc
    import psana
    from psana.psexp import ds_base

    ds_base.DataSourceBase._get_file_info_from_db = lambda *_: {}
    return psana


def fields(event: Any) -> Iterator[tuple[tuple[str, int, str, str], Any]]:
    """Every field of every datagram of an event."""
    for datagram in filter(None, event._dgrams):
        for detector, segments in vars(datagram).items():
            if detector.startswith("_") or not isinstance(segments, dict):
                continue
            for segment, algorithms in segments.items():
                for algorithm, values in vars(algorithms).items():
                    for name, value in vars(values).items():
                        if not name.startswith("_"):
                            kept = value.copy() if isinstance(value, np.ndarray) else value
                            yield (detector, segment, algorithm, name), kept


METHODS = {
    "timing": ("raw", ["eventcodes", "pulseId", "destination", "timestamp"]),
    "encoder": ("raw", ["value"]),
    "fim0": ("raw", ["raw_all"]),
    "atmopal": ("ttfex", ["fltpos_ps"]),
    "andor_slow": ("raw", ["raw"]),
    "jungfrau": ("raw", ["raw"]),
}
SLOW = [
    "sample_x",
    "attenuator",
    "XPP:SAM:TC:01:TEMP",
    "step_value",
    "step_docstring",
    "lxt",
]


def dump(directory: str, exp: str, run_number: str, constants: str | None) -> Any:
    """All events, by timestamp."""
    psana = load_psana()
    source = psana.DataSource(
        exp=exp,
        run=int(run_number),
        dir=directory,
        skip_calib_load="all",
        log_level="ERROR",
    )
    run = next(source.runs())
    methods = dict(METHODS)
    if constants is not None:
        about = {"experiment": exp, "run": 1}
        arrays = {name: (array, about) for name, array in np.load(constants).items()}
        if "geometry" in arrays:
            arrays["geometry"] = (str(arrays["geometry"][0]), about)
        run.dsparms.calibconst["jungfrau"] = arrays
        methods["jungfrau"] = ("raw", ["raw", "calib"])
    detectors = {name: run.Detector(name) for name in methods if name in run.detnames}
    slow = {name: run.Detector(name) for name in SLOW}
    found: dict[str, Any] = {
        "exp": run.expt,
        "run": run.runnum,
        "detnames": set(run.detnames),
        "detinfo": dict(run.detinfo),
        "steps": [],
        "events": {},
    }
    for step in run.steps():
        begin = {name: slow[name](step) for name in SLOW[3:]}
        found["steps"].append((int(step.evt.timestamp), begin))
        for event in step.events():
            values: dict[Any, Any] = dict(fields(event))
            for name, detector in detectors.items():
                algorithm, methods_of = methods[name]
                for method in methods_of:
                    value = getattr(getattr(detector, algorithm), method)(event)
                    key = (name, algorithm, method)
                    values[key] = value.copy() if isinstance(value, np.ndarray) else value
            values.update({name: slow[name](event) for name in SLOW})
            values["step"] = len(found["steps"]) - 1
            found["events"][int(event.timestamp)] = values
    if constants is not None:
        x, y, _ = detectors["jungfrau"].raw._pixel_coords()
        found["pixel_coords"] = (np.squeeze(x), np.squeeze(y))
    return found


if __name__ == "__main__":
    directory, exp, run_number, output, *constants = sys.argv[1:]
    result = dump(directory, exp, run_number, constants[0] if constants else None)
    Path(output).write_bytes(pickle.dumps(result))
