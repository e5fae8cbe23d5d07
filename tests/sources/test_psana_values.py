"""Through psana's process comes what psana reads, and what our own decoder reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Batch, BatchLimits, Frames, Signal
from smalldata_stream.protocols import Run
from smalldata_stream.run import DetectorInfo
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from tests.sources.oracle import (
    DATA,
    compare,
    needs_data,
    psana_reads_all,
    rows_of,
    same_bits,
)
from tests.sources.psana_runs import needs_psana
from tests.sources.runs import all_signals
from tests.xtc2 import samples

pytestmark = needs_psana
LIMITS = BatchLimits(events=7)


def described(run: Run) -> dict[str, DetectorInfo]:
    """The detectors but for serial numbers: psana keeps one of several that it has."""
    return {
        name: replace(info, serial="", config={})
        for name, info in run.info.detectors.items()
    }


def same_batches(ours: list[Batch], theirs: list[Batch]) -> None:
    """Assert equality of everything but the cut into batches."""
    for a, b in zip(rows_of(ours), rows_of(theirs), strict=True):
        assert a.keys() == b.keys()
        for signal, value in a.items():
            assert same_bits(value, b[signal]), (signal, value, b[signal])
    for detector in theirs[0].status:
        of = [
            np.concatenate([batch.status[detector] for batch in batches]).tolist()
            for batches in (ours, theirs)
        ]
        assert of[0] == of[1], detector
    for signal, column in theirs[0].columns.items():
        mine = {type(batch.columns[signal].values) for batch in ours}
        assert mine == {type(column.values)}, signal


Make = Callable[[Any], Any]


def both(make: Make) -> int:
    """Assert that both readers give the same runs; how many events there were."""
    events = 0
    for ours, theirs in zip(
        make(PsanaSource).runs(), make(FilesSource).runs(), strict=True
    ):
        assert described(ours) == described(theirs)
        assert list(ours.info.detectors) == list(theirs.info.detectors)
        keys = ("exp", "number", "begin")
        assert [getattr(ours.info, k) for k in keys] == [
            getattr(theirs.info, k) for k in keys
        ]
        signals = all_signals(theirs)
        mine = list(ours.batches(signals, LIMITS))
        same_batches(mine, list(theirs.batches(signals, LIMITS)))
        assert not ours.faults
        events += sum(map(len, mine))
    return events


@needs_data
@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("test_jungfrau05M_calib.xtc2", 2),
        ("test_timetool_psana.xtc2", 1325),
    ],
)
def test_real_file(name: str, events: int) -> None:
    assert both(lambda source: source.from_files([DATA / name])) == events


@needs_data
@pytest.mark.parametrize(("folder", "events"), [("fakesteps", 10), ("chunking", 15)])
def test_real_directory(folder: str, events: int) -> None:
    assert both(lambda source: source.from_run("xpptut15", 14, DATA / folder)) == events


@needs_data
def test_streams_without_small_data_files(tmp_path: Path) -> None:
    for path in (DATA / "intg_det").glob("*.xtc2"):
        (tmp_path / path.name).symlink_to(path)
    paths = sorted(tmp_path.glob("*.xtc2"))
    assert both(lambda source: source.from_files(paths)) == 17


@dataclass(frozen=True)
class Written:
    """Runs with everything odd in them, and what psana finds there."""

    every_type: Path
    derived: Path
    methods: list[str]
    streams: tuple[str, int, Path]
    three_runs: Path
    psana: dict[str, Any]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folders = [tmp_path_factory.mktemp(name) for name in ("every", "derived", "s", "three")]
    every_type, three_runs = samples.every_type(folders[0]), samples.three_runs(folders[3])
    derived, methods = samples.derived_detectors(folders[1])
    exp, run = samples.several_streams(folders[2])
    jobs = {
        "every_type": ["files", str(every_type)],
        "derived": ["files", str(derived), *methods],
        "streams": ["run", exp, str(run), str(folders[2])],
        "three_runs": ["files", str(three_runs)],
    }
    psana = psana_reads_all(tmp_path_factory.mktemp("psana"), jobs)
    streams = (exp, run, folders[2])
    return Written(every_type, derived, methods, streams, three_runs, psana)


def test_every_field_type(written: Written) -> None:
    source = PsanaSource.from_files([written.every_type])
    assert compare(source, written.psana["every_type"]) > 500


def test_derived_fields(written: Written) -> None:
    source = PsanaSource.from_files([written.derived])
    assert compare(source, written.psana["derived"]) >= 20 * len(written.methods)


def test_streams_segments_gaps_and_steps(written: Written) -> None:
    source = PsanaSource.from_run(*written.streams)
    assert compare(source, written.psana["streams"]) > 500


def test_several_runs_with_another_configuration(written: Written) -> None:
    source = PsanaSource.from_files([written.three_runs])
    assert compare(source, written.psana["three_runs"]) == 30


@needs_data
def test_frames_are_looked_at_where_they_are() -> None:
    path = DATA / "test_jungfrau05M_calib.xtc2"
    runs = PsanaSource.from_files([path]).runs()
    run = next(runs)
    raw = Signal("jungfrau", "raw", "raw")
    (batch,) = run.batches([raw], BatchLimits())
    frames = batch.columns[raw].values
    assert isinstance(frames, Frames)
    base: Any = frames[0]
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    assert Path(str(base.filename)) == path.resolve()
    assert next(runs, None) is None
