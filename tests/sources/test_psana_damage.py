"""Bad files through psana: the right numbers or an error, and never the end of us."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from smalldata_stream.batch import BatchLimits, Signal, Status
from smalldata_stream.errors import CorruptData, PsanaError
from smalldata_stream.simulate.xtc2_writer import Service, Stream
from smalldata_stream.sources.psana import PsanaSource
from tests.sources import test_files_damage as small
from tests.sources.oracle import read
from tests.sources.psana_runs import (
    CAM,
    COUNT,
    FIRST,
    begin,
    collect,
    counts,
    event_at,
    needs_psana,
    patch,
    write_cam,
)
from tests.xtc2 import writer as w

pytestmark = needs_psana
EVENTS = 300
LIMITS = BatchLimits(events=64)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cam(tmp_path_factory.mktemp("psana") / "cam.xtc2", EVENTS)


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path))


def test_what_kills_psana_is_an_error_after_all_good_events(path: Path) -> None:
    bad = 200
    patch(path, event_at(path, bad) + 24 + 8, 4)  # the extent of its first part
    run = next(PsanaSource.from_files([path]).runs())
    batches, error = collect(run, LIMITS)
    assert counts(batches) == list(range(bad))
    assert isinstance(error, PsanaError)
    assert re.search(f"was killed by SIG(ABRT|SEGV).*after {bad} events", str(error))
    assert sum(fault.events for fault in run.faults) == EVENTS - bad


def test_what_kills_psana_among_the_first_events(path: Path) -> None:
    bad = 3
    patch(path, event_at(path, bad) + 24 + 8, 4)
    run = next(PsanaSource.from_files([path]).runs())
    batches, error = collect(run, LIMITS)
    assert counts(batches) == list(range(bad))
    assert isinstance(error, PsanaError)


def test_a_cut_file_ends_with_a_fault(path: Path) -> None:
    bad = 150
    with path.open("r+b") as file:
        file.truncate(event_at(path, bad) + 50)
    run = next(PsanaSource.from_files([path]).runs())
    batches, error = collect(run, LIMITS)
    assert error is None
    assert counts(batches) == list(range(bad))
    (fault,) = run.faults
    assert f"byte {event_at(path, bad)}" in fault.where


def test_an_extent_that_hides_the_rest(path: Path) -> None:
    bad = 120
    patch(path, event_at(path, bad) + 20, 1 << 20)  # of the datagram
    run = next(PsanaSource.from_files([path]).runs())
    batches, error = collect(run, LIMITS)
    assert counts(batches) == list(range(bad))
    assert error is not None or run.faults


@pytest.mark.parametrize("content", [b"", b"no xtc2, this" * 9])
def test_no_xtc2_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xtc2").write_bytes(content)
    with pytest.raises(CorruptData, match=r"a\.xtc2"):
        next(PsanaSource.from_files([tmp_path / "a.xtc2"]).runs())


def test_without_begin_run(tmp_path: Path) -> None:
    path = tmp_path / "a.xtc2"
    with Stream(path, tmp_path / "a.smd", [CAM]) as stream:
        stream.configure(1)
        values = {"image": np.zeros((1, 2, 2)), "count": np.zeros(1)}
        stream.events(np.array([FIRST]), [(CAM, values)])
    with pytest.raises(PsanaError, match="without a BeginRun"):
        next(PsanaSource.from_files([path]).runs())


def test_damage_words(path: Path) -> None:
    patch(path, event_at(path, 5) + 16, 8, width=2)  # Corrupted, of the datagram
    patch(path, event_at(path, 7) + 24 + 4, 16, width=2)  # DroppedContribution, of cam
    run = next(PsanaSource.from_files([path]).runs())
    batches, error = collect(run, LIMITS)
    status = np.concatenate([batch.status["cam"] for batch in batches])
    assert error is None
    assert np.flatnonzero(status).tolist() == [5, 7]
    assert (status[[5, 7]] == Status.DAMAGED).all()
    assert counts(batches) == [i for i in range(EVENTS) if i not in (5, 7)]


def test_another_shape_than_declared(tmp_path: Path) -> None:
    path, image = tmp_path / "a.xtc2", Signal("cam", "raw", "image")
    with Stream(path, tmp_path / "a.smd", [CAM]) as stream:
        begin(stream)
        for i, side in enumerate([4, 4, 6, 4]):
            values = {"image": np.full((1, side, side), i), "count": np.array([i])}
            stream.events(np.array([FIRST + i]), [(CAM, values)])
        stream.transition(FIRST + 9, Service.END_RUN)
    run = next(PsanaSource.from_files([path]).runs())
    (batch,) = run.batches([image, COUNT], LIMITS)
    assert batch.status["cam"].tolist() == [0, 0, Status.DAMAGED, 0]
    assert counts([batch]) == [0, 1, 3]
    assert np.asarray(batch.columns[image].values)[:, 0, 0].tolist() == [0, 1, 3]
    (fault,) = run.faults
    assert "(6, 6) instead of (4, 4)" in fault.what
    assert fault.events == 0


def test_a_timestamp_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.xtc2"
    with Stream(path, tmp_path / "a.smd", [CAM]) as stream:
        begin(stream)
        values = {"image": np.zeros((4, 2, 2)), "count": np.arange(4)}
        stream.events(FIRST + np.array([0, 1, 1, 2]), [(CAM, values)])
        stream.transition(FIRST + 9, Service.END_RUN)
    run = next(PsanaSource.from_files([path]).runs())
    batches, error = collect(run, LIMITS)
    assert error is None
    assert counts(batches) == [0, 1, 3]
    assert any(
        "timestamp of another" in f.what or "same or a later" in f.what for f in run.faults
    )


def test_an_event_that_ends_a_batch_of_the_daq_is_one(tmp_path: Path) -> None:
    """The DAQ gives the last event of its own batches a service of its own."""
    data = small.datagrams()
    last = bytearray(data[5])
    last[11] = last[11] & 0xF0 | 11
    path = w.write_stream(tmp_path, [*data[:5], bytes(last), *data[6:]], smd=False)
    run = next(PsanaSource.from_files([path]).runs())
    assert [row[small.X] for row in read(run)] == [i / 2 for i in range(small.EVENTS)]
    assert list(run.faults) == []
