"""A damaged event at the beginning: its shapes are not taken for those of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import BatchLimits, Signal, Status
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from tests.sources.psana_runs import needs_psana
from tests.sources.runs import one_run
from tests.xtc2 import writer as w

CAM = w.Block(
    0x101, "cam", "opal", "raw", (2, 0, 0), {"image": ("u2", 2), "line": ("f4", 1)}
)
IMAGE, LINE = Signal("cam", "raw", "image"), Signal("cam", "raw", "line")
EVENTS = 6


def event(i: int, size: int, *, part: int, whole: int) -> bytes:
    values = {"image": np.full((size, size), i), "line": np.full(size, i)}
    sent = w.shapes_data(CAM, values, damage=part)
    return w.dgram(10 + i, w.L1_ACCEPT, [sent], damage=whole)


@pytest.mark.parametrize(
    "source", [FilesSource, pytest.param(PsanaSource, marks=needs_psana)]
)
@pytest.mark.parametrize("damage", [{"part": 1, "whole": 0}, {"part": 0, "whole": 1}])
def test_a_damaged_first_event(tmp_path: Path, source: Any, damage: dict[str, int]) -> None:
    data = [w.configure([w.RUNINFO, CAM]), w.begin_run("tstx00417", 1)]
    data.append(event(0, 1, **damage))
    data += [event(i, 4, part=0, whole=0) for i in range(1, EVENTS)]
    path = w.write_stream(tmp_path, [*data, w.dgram(99, w.END_RUN)], smd=False)
    run = one_run(source.from_files([path]))
    fields = run.info.detectors["cam"].fields
    assert (fields["raw", "image"].shape, fields["raw", "line"].shape) == ((4, 4), (4,))
    (batch,) = run.batches([IMAGE, LINE], BatchLimits())
    good = [Status.OK] * (EVENTS - 1)
    assert batch.status["cam"].tolist() == [Status.DAMAGED, *good]
    for signal in (IMAGE, LINE):
        values = np.asarray(batch.columns[signal].values)
        assert values.reshape(EVENTS - 1, -1)[:, 0].tolist() == list(range(1, EVENTS))
    assert list(run.faults) == []
