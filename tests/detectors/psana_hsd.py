"""Run as a program: what psana unpacks of an hsd, pickled.

``psana_hsd.py DIRECTORY EXP RUN OUTPUT``; in a process of its own, as psana may abort it.
"""

import pickle
import sys
from pathlib import Path
from typing import Any

from tests.simulate.psana_dump import load_psana


def copied(value: Any) -> Any:
    """Lists of peaks and waveforms, which end with their event."""
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(one) for one in value]
    return value.copy() if hasattr(value, "copy") else value


def dump(directory: str, exp: str, run_number: str) -> list[dict[str, Any]]:
    """Each event's waveforms, peaks and baselines."""
    source = load_psana().DataSource(
        exp=exp,
        run=int(run_number),
        dir=directory,
        skip_calib_load="all",
        log_level="ERROR",
    )
    run = next(source.runs())
    raw = run.Detector("hsd").raw
    found = []
    for event in run.events():
        status = raw.fex_status(event) if hasattr(raw, "fex_status") else None
        whats = {"waveforms": raw.waveforms(event), "peaks": raw.peaks(event)}
        found.append(copied({**whats, "status": status}))
    return found


if __name__ == "__main__":
    *where, output = sys.argv[1:]
    Path(output).write_bytes(pickle.dumps(dump(*where)))
