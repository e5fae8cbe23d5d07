"""Long simulated runs, made quickly: the events of a short one again and again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.xtc2.format import Service
from smalldata_stream.xtc2.index import walk_headers


def longer(folder: Path, short: Path, times: int) -> Path:
    """Write to ``folder`` the run in ``short``, its events ``times`` over, ever later."""
    folder.mkdir()
    for path in short.glob("*-constants.h5"):
        shutil.copy(path, folder)
    for path in short.glob("*.xtc2"):
        _repeat(path, folder / path.name, times)
    return folder


def _repeat(path: Path, new: Path, times: int) -> None:
    raw = np.fromfile(path, np.uint8)
    rows = walk_headers(raw).rows
    is_event = rows["service"] == Service.L1_ACCEPT
    first, last = np.flatnonzero(is_event)[[0, -1]]
    period = int(rows["timestamp"][last] - rows["timestamp"][first]) + 1
    with new.open("wb") as file:
        for row in rows[:first]:
            file.write(_later(raw, row, 0))
        for repeat in range(times):
            for row in rows[is_event]:
                file.write(_later(raw, row, repeat * period))
        for row in rows[last + 1 :]:
            file.write(_later(raw, row, times * period))


def _later(raw: NDArray[np.uint8], row: Any, by: int) -> bytes:
    """A datagram, whose first word is its timestamp."""
    begin = int(row["offset"])
    time = int(row["timestamp"]) + by
    return time.to_bytes(8, "little") + raw[begin + 8 : begin + int(row["size"])].tobytes()
