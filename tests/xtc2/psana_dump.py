"""Runs in a process of its own: what psana reads of a run, to a pickle.

python psana_dump.py OUT files PATH
python psana_dump.py OUT run EXP NUMBER DIRECTORY
"""

from __future__ import annotations

import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

NOT_EVENTS = {"runinfo", "smdinfo", "chunkinfo", "epicsinfo"}


def plain(value: Any) -> Any:
    """Something that can be pickled and compared."""
    if isinstance(value, np.ndarray):
        return np.array(value)
    if isinstance(value, (int, float, str, np.generic)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.value  # an enum


def raw_fields(dgrams: list[Any]) -> dict[tuple[str, int, str, str], Any]:
    found = {}
    for dgram in dgrams:
        for detector, segments in vars(dgram).items() if dgram else ():
            if detector.startswith("_") or detector in NOT_EVENTS:
                continue
            for segment, algorithms in segments.items():
                for algorithm, fields in vars(algorithms).items():
                    if algorithm.startswith("_"):
                        continue
                    for name, value in vars(fields).items():
                        if not name.startswith("_"):
                            found[detector, segment, algorithm, name] = plain(value)
    return found


def derived(
    run: Any, detectors: dict[str, Any], event: Any
) -> dict[tuple[str, str, str], Any]:
    found = {}
    for name, (detector, methods) in detectors.items():
        for algorithm, method in methods:
            value = getattr(getattr(detector, algorithm), method)(event)
            found[name, algorithm, method] = plain(value)
    return found


def dump_run(run: Any, wanted: list[tuple[str, str, str]]) -> dict[str, Any]:
    env_names = [name for key in (run.epicsinfo, run.scaninfo) for name in key]
    variables = {name[0] if isinstance(name, tuple) else name for name in env_names}
    # psana makes no Detector of a PV that it knows by another name only.
    env = {name: run.Detector(name) for name in sorted(variables)}
    detectors: dict[str, Any] = {}
    for name, algorithm, method in wanted:
        if name in run.detnames:
            entry = detectors.setdefault(name, (run.Detector(name), []))
            entry[1].append((algorithm, method))
    events = [
        {
            "timestamp": event.timestamp,
            "raw": raw_fields(event._dgrams),
            "derived": derived(run, detectors, event),
            "env": {name: plain(get(event)) for name, get in env.items()},
        }
        for event in run.events()
    ]
    return {"exp": run.expt, "number": run.runnum, "events": events}


def dump(mode: str, arguments: list[str]) -> list[dict[str, Any]]:
    from psana import DataSource
    from psana.detector.detector_impl import DetectorImpl

    # psana keeps detectors by name for ever, also those of another file.
    DetectorImpl._registry.clear()
    keys: dict[str, Any]
    if mode == "files":
        keys, methods = {"files": arguments[0]}, arguments[1:]
    else:
        exp, number, directory = arguments[:3]
        keys, methods = {"exp": exp, "run": int(number), "dir": directory}, arguments[3:]
    wanted = []
    for one in methods:
        detector, algorithm, method = one.split(".")
        wanted.append((detector, algorithm, method))
    source = DataSource(**keys, skip_calib_load="all")
    return [dump_run(run, wanted) for run in source.runs()]


def main(out: str) -> None:
    krtc: Any = types.ModuleType("krtc")
    krtc.KerberosTicket = type("KerberosTicket", (), {})
    sys.modules["krtc"] = krtc
    from psana.psexp import ds_base

    ds_base.DataSourceBase._get_file_info_from_db = lambda self, runnum: {}
    jobs: dict[str, list[str]] = json.load(sys.stdin)
    found = {name: dump(mode, arguments) for name, (mode, *arguments) in jobs.items()}
    Path(out).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
