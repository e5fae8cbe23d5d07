"""Arrays among EPICS variables that come only after the first event of a growing file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from smalldata_stream.batch import BatchLimits, Signal
from tests.sources.oracle import rows_of
from tests.sources.test_files_live import one_run
from tests.xtc2 import writer as w

EPICS = w.Block(
    0x300, "epics", "epics", "raw", (1, 0, 0), {"wave": ("f8", 1), "map": ("i4", 2)}
)
GMD = w.Block(0x101, "g", "gmd", "raw", (2, 1, 0), {"x": ("f8", 0)})
WAVE, MAP = Signal("epics", "raw", "wave"), Signal("epics", "raw", "map")


def event(time: int) -> bytes:
    return w.dgram(time, w.L1_ACCEPT, [w.shapes_data(GMD, {"x": time})])


def slow(time: int, length: int) -> bytes:
    values = {"wave": time + np.arange(length), "map": np.full((2, length), time)}
    return w.dgram(time, w.SLOW_UPDATE, [w.shapes_data(EPICS, values)])


def growing(folder: Path, more: list[bytes]) -> tuple[list[dict[Signal, Any]], list[str]]:
    """Rows and faults of a file of one event that gets ``more`` when that was read."""
    path = folder / "tstx00417-r0001-s000-c000.xtc2"
    head = [w.configure([w.RUNINFO, EPICS, GMD]), w.begin_run("tstx00417", 1), event(100)]
    path.write_bytes(b"".join(head))
    run = one_run(folder)
    batches = run.batches([WAVE, MAP], BatchLimits())
    rows = rows_of([next(batches)])
    with path.open("ab") as file:
        file.write(b"".join([*more, w.dgram(1000, w.END_RUN)]))
    return rows + rows_of(batches), [fault.what for fault in run.faults]


def test_the_first_value_gives_the_shape(tmp_path: Path) -> None:
    data = [slow(110, 3), event(120), slow(130, 3), event(140)]
    rows, faults = growing(tmp_path, data)
    assert [row.get(WAVE) is not None for row in rows] == [False, True, True]
    assert [row[WAVE].tolist() for row in rows[1:]] == [[110, 111, 112], [130, 131, 132]]
    assert [row[MAP].tolist() for row in rows[1:]] == [[[110] * 3] * 2, [[130] * 3] * 2]
    assert faults == []


def test_a_value_of_another_shape_is_said_and_the_old_one_stays(tmp_path: Path) -> None:
    data = [slow(110, 3), event(120), slow(130, 5), event(140)]
    rows, faults = growing(tmp_path, data)
    assert [row[WAVE].tolist() for row in rows[1:]] == [[110, 111, 112]] * 2
    assert faults == [
        "epics.raw: wave of another shape than (3,)",
        "epics.raw: map of another shape than (2, 3)",
    ]
