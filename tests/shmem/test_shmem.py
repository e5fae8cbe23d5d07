"""Events through the real server: all come or are counted, and none is changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import BatchLimits, Frames, Signal, Status
from smalldata_stream.play import Play, build, passes
from smalldata_stream.play_order import stamped
from smalldata_stream.protocols import Queue
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.shmem import ShmemRun, ShmemSource
from smalldata_stream.sources.shmem_losses import DROPPED, NOT_SENT
from smalldata_stream.timestamps import EPOCH
from tests.processes import PATIENCE
from tests.shmem.playing import (
    CAM,
    COUNT,
    IMAGE,
    OTHER,
    VALUE,
    Playing,
    batches_of,
    between,
    lost,
    needs_server,
    new_tag,
    received,
    rows,
    signals_of,
    write_run,
)
from tests.shmem.test_play_build import assert_same, files, values
from tests.sources.oracle import needs_data

pytestmark = needs_server
TIMESTAMP = Signal("", "", "timestamp")
PULSE_ID = Signal("timing", "raw", "pulseId")


def first_run(tag: str, **options: Any) -> Iterator[ShmemRun]:
    """The first run of the server with this tag, and its iterator's end."""
    with closing(ShmemSource(tag, **{"timeout": PATIENCE, **options}).runs()) as runs:
        yield next(runs)


def without_time(events: list[dict[Signal, Any]]) -> list[dict[Signal, Any]]:
    return [{s: v for s, v in row.items() if s != TIMESTAMP} for row in events]


def test_every_event_comes_or_is_counted(tmp_path: Path) -> None:
    tag = new_tag()
    with Playing(write_run(tmp_path / "a.xtc2", 240), tag=tag):
        for run in first_run(tag):
            counts = received(run)
            assert (run.info.exp, run.info.number) == ("tstx00417", 1)
            assert run.info.events is None
            assert lost(run) == between(counts)
    assert counts == sorted(set(counts))
    assert len(counts) > 100  # on a busy machine; else nearly all


def test_unused_slots_cost_events_which_are_counted(tmp_path: Path) -> None:
    tag = new_tag()
    with Playing(write_run(tmp_path / "a.xtc2", 120), tag=tag, clients=4):
        for run in first_run(tag):
            counts = received(run)
            assert lost(run) == between(counts) > 0
            assert {fault.what for fault in run.faults if fault.events} == {NOT_SENT}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    some = ("timing", "gmd", "fim0", "atmopal", "jungfrau", "andor_slow")
    simulation = Simulation(events=40, steps=2, detectors=some, jungfrau_shape=(2, 64, 512))
    return list(simulate(tmp_path_factory.mktemp("run"), simulation).xtc2)


def test_values_are_those_of_the_files(simulated: list[Path]) -> None:
    tag = new_tag()
    [from_files] = FilesSource.from_files(simulated).runs()
    expected = {row[PULSE_ID]: row for row in rows(batches_of(from_files))}
    with Playing(*simulated, tag=tag, rate_hz=60):
        for run in first_run(tag, first_seconds=PATIENCE):
            assert [*run.info.detectors] == [*from_files.info.detectors]
            for name, detector in run.info.detectors.items():
                theirs = from_files.info.detectors[name]
                assert (detector.fields, detector.segments) == (
                    theirs.fields,
                    theirs.segments,
                )
            batches = batches_of(run)
            damaged = [fault for fault in run.faults if fault.what != NOT_SENT]
            assert damaged == []
    frames = [c.values for b in batches for c in b.columns.values()]
    assert any(isinstance(values, Frames) for values in frames)
    for some in frames:
        if isinstance(some, Frames):
            assert not any(frame.flags.writeable for frame in some)
    ours = rows(batches)
    assert len(ours) > 10
    theirs_rows = [expected[row[PULSE_ID]] for row in ours]
    assert_same(without_time(ours), without_time(theirs_rows))


@needs_data
@pytest.mark.parametrize("name", ["fakesteps", "intg_det", "jungfrau"])
def test_real_files(name: str) -> None:
    tag = new_tag()
    source = FilesSource.from_files(files(name))
    with Playing(*files(name), tag=tag, rate_hz=30) as playing:
        for run in first_run(tag):
            ours = rows(batches_of(run))
    begin = round((playing.progress.begin - EPOCH) * 1e9)
    how = Play(tag="none", loops=1)
    sent = stamped(passes(build(source), how), begin, round(1e9 / 30))
    times = [one.time for one in sent if one.service.name == "L1_ACCEPT"]
    event = {t // 10**9 << 32 | t % 10**9: i for i, t in enumerate(times)}
    expected = values(source)
    assert ours
    assert_same(without_time(ours), [expected[event[row[TIMESTAMP]]] for row in ours])


def test_two_clients_share_the_events(tmp_path: Path) -> None:
    tag = new_tag()
    came: tuple[set[int], set[int]] = (set(), set())

    def client(mine: set[int]) -> None:
        for run in first_run(tag):
            for batch in run.batches([COUNT], BatchLimits(seconds=0.1)):
                mine.update(batch.timestamps.tolist())
                if min(map(len, came)) > 60:
                    return

    threads = [threading.Thread(target=client, args=[mine]) for mine in came]
    with Playing(write_run(tmp_path / "a.xtc2", 240), tag=tag, clients=2, loops=0):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    one, other = came
    assert min(len(one - other), len(other - one)) > 40
    assert len(one & other) < 20


def test_another_configuration_is_another_run(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a.xtc2", 20, names=[CAM], number=1)
    two = write_run(tmp_path / "b.xtc2", 30, names=[OTHER], number=2)
    tag = new_tag()
    with Playing(one, two, tag=tag, rate_hz=60):
        runs = ShmemSource(tag, timeout=PATIENCE, first_seconds=PATIENCE).runs()
        run = next(runs)
        assert (run.info.number, [*run.info.detectors]) == (1, ["cam"])
        assert len(batches_of(run)[0]) > 5
        run = next(runs)
        assert [*run.info.detectors] == ["other"]
        assert run.info.number in (2, 0)  # psana's server may lose a BeginRun when busy
        found = [row[VALUE] for row in rows(batches_of(run))]
        assert set(found) <= {i / 2 for i in range(30)}
        assert len(found) > 5
        runs.close()


def test_the_rest_of_a_run_can_be_left(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a.xtc2", 60)
    tag = new_tag()
    with Playing(path, tag=tag, loops=2, run_per_loop=True):
        runs = ShmemSource(tag, first_events=5, timeout=PATIENCE).runs()
        begins = []
        for run in islice(runs, 2):
            batches = run.batches([COUNT], BatchLimits(events=5))
            begins.append(next(batches).columns[COUNT].values[0])
        runs.close()
    assert max(begins) < 40


def test_a_batch_is_not_older_than_its_limit(tmp_path: Path) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 6)
    limits = BatchLimits(events=1000, seconds=0.1)
    with Playing(path, tag=tag, rate_hz=3):
        for run in first_run(tag, first_events=2):
            lengths = [len(batch) for batch in run.batches([COUNT], limits)]
    assert len(lengths) > 2  # by number all six would be one batch


def test_a_detector_that_goes_and_comes_back(tmp_path: Path) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 120, without=range(40, 80))
    with Playing(path, tag=tag, rate_hz=60):
        for run in first_run(tag):
            batches = batches_of(run)
    found = {row[VALUE]: row.get(COUNT) for row in rows(batches)}
    assert len(found) > 20
    assert found == {v: None if 20 <= v < 40 else round(2 * v) for v in found}
    assert None in found.values()
    status = np.concatenate([batch.status["cam"] for batch in batches])
    assert set(status.tolist()) == {Status.OK, Status.MISSING}


def test_a_detector_that_comes_late(tmp_path: Path) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 120, side=4, without=range(60))
    with Playing(path, tag=tag, rate_hz=60):
        for run in first_run(tag, first_events=5):
            assert run.info.detectors["cam"].fields["raw", "image"].shape is None
            found = rows(batches_of(run))
    late = [row for row in found if IMAGE in row]
    assert len(late) > 5
    assert all(row[IMAGE][0, 0] == row[COUNT] for row in late)


def test_a_slow_reader_gets_the_newest_and_is_told(tmp_path: Path) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 400, side=100)
    counts = []
    with Playing(path, tag=tag, rate_hz=200):
        # Four slabs, of one event each.
        for run in first_run(tag, memory=1, first_events=1):
            for batch in run.batches([COUNT, IMAGE], BatchLimits(events=1)):
                [count] = batch.columns[COUNT].values
                [image] = batch.columns[IMAGE].values
                assert image[0, 0] == count % 65536
                counts.append(int(count))
                time.sleep(0.1)
                assert image[0, 0] == count % 65536
            told = {fault.what: fault.events for fault in run.faults}
    assert counts == sorted(counts)
    assert counts[-1] > 300
    assert told[DROPPED] > 50
    # Known is what was dropped here, also before the first; the rest by the period of those
    # that came, which is too long where no two came one after the other.
    missing = counts[-1] + 1 - len(counts)
    assert between(counts) / 2 < sum(told.values()) <= missing


@pytest.mark.parametrize("alone", [True, False])
def test_events_wait_while_the_reader_makes_itself_ready(
    tmp_path: Path, alone: bool
) -> None:
    tag, counts, depths = new_tag(), list[int](), list[int]()
    path = write_run(tmp_path / "a.xtc2", 100)
    with Playing(path, tag=tag, rate_hz=200) as playing:
        # Slabs of a few events, all of which have waited too long when they are asked for.
        slabs: dict[str, Any] = {"memory": 64 * 4096, "stale_seconds": 1e-6}
        for run in first_run(tag, first_events=1, alone=alone, **slabs):
            for batch in run.batches([COUNT], BatchLimits(events=1)):
                assert run.behind
                if not counts:
                    playing.join()  # as if kernels were compiled for the first batch
                counts += map(int, batch.columns[COUNT].values)
                depths.append(run.queue.depth)
            assert run.queue == Queue(depth=0, dropped=0)
            told = {fault.what for fault in run.faults}
    assert DROPPED not in told
    assert len(counts) > 1
    assert max(depths) > 0


def test_frames_are_kept_as_long_as_they_are_used(tmp_path: Path) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 100, side=200)
    with Playing(path, tag=tag):
        for run in first_run(tag, memory=1, first_events=1):
            info = run.info.detectors["cam"].fields["raw", "image"]
            assert info.frame
            batches = run.batches(signals_of(run), BatchLimits(events=1))
            kept = [next(batches) for _ in range(2)]
            later = [int(batch.columns[COUNT].values[0]) for batch in batches]
    assert len(later) > 3
    for batch in kept:
        [frame] = batch.columns[IMAGE].values
        expected = np.arange(200 * 200, dtype=np.uint16).reshape(200, 200)
        [count] = batch.columns[COUNT].values
        np.testing.assert_array_equal(frame, expected + np.uint16(count))
