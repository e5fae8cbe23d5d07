"""Blocks of a run that psana reads: the right events, and no others are read."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from smalldata_stream.sources.psana_run import PsanaRun
from smalldata_stream.xtc2.format import Service
from smalldata_stream.xtc2.index import walk_headers
from tests.sources.psana_runs import needs_psana, patch

pytestmark = needs_psana
RUN = Simulation(
    events=90, steps=5, detectors=("gmd", "encoder", "jungfrau"), jungfrau_shape=(1, 4, 4)
)
LIMITS = BatchLimits(events=7)
CAMERA = "xpptut26-r0001-s002-c000.xtc2"
Events = dict[int, list[bytes]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("runs"), RUN).directory


def signals(run: PsanaRun) -> list[Signal]:
    wanted = ("gmd", "jungfrau", "scan", "epics")
    return [one for name in wanted for one in run.info.detectors[name].signals()]


def events(batches: Iterable[Batch]) -> Events:
    """By timestamp, the step and the bytes of each value."""
    found: Events = {}
    for batch in batches:
        for i, timestamp in enumerate(batch.timestamps.tolist()):
            assert timestamp not in found
            only = np.arange(len(batch)) == i
            found[timestamp] = [batch.steps[i].tobytes()]
            for column in batch.columns.values():
                one = column.select(only).values
                found[timestamp] += [np.asarray(value).tobytes() for value in one]
    return found


def opened(folder: Path, size: int) -> PsanaRun:
    (run,) = PsanaSource.from_run(RUN.exp, 1, folder).runs()
    run._size = size
    return run


@pytest.mark.parametrize("which", [[0, 1, 2, 3, 4, 5], [1, 3, 4], [5], [0, 5]])
def test_blocks_have_the_events_of_the_run(data: Path, which: list[int]) -> None:
    (native,) = FilesSource.from_run(RUN.exp, 1, data).runs()
    run = opened(data, 16)
    try:
        asked = signals(run)
        expected = list(events(native.batches(asked, LIMITS)).items())
        blocks = run.blocks(asked, LIMITS)
        assert blocks.count == 6
        for number in which:
            found = events(blocks.read(number))
            assert list(found.items()) == expected[16 * number : 16 * (number + 1)]
        assert not run.faults
    finally:
        run.close()


def test_what_would_kill_psana_in_a_block_of_another(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path, dirs_exist_ok=True)
    rows = walk_headers(np.fromfile(tmp_path / CAMERA, np.uint8)).rows
    bad = rows[rows["service"] == Service.L1_ACCEPT]["offset"][20]
    patch(tmp_path / CAMERA, int(bad) + 24 + 8, 4)  # the extent of its first part
    run = opened(tmp_path, 16)
    try:
        blocks = run.blocks(signals(run), LIMITS)
        assert len(events(blocks.read(0))) == 16
        assert len(events(blocks.read(2))) == 16
        assert not run.faults
    finally:
        run.close()
