"""One run through psana's server into live, and its files into batch: the same bits."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.graph import FindConstants
from smalldata_stream.loading import load_graph
from smalldata_stream.modes.batch import reduce_run
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import LiveOptions, run_live
from smalldata_stream.modes.session import Report
from smalldata_stream.play_server import ShmemServer
from smalldata_stream.protocols import Fault, Run
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.shmem import ShmemSource
from smalldata_stream.sources.shmem_losses import DROPPED
from smalldata_stream.xtc2.format import DGRAM, DGRAM_BYTES, Service, service_of
from tests.processes import PATIENCE, child_of
from tests.shmem.playing import Playing, needs_server, new_tag
from tests.test_real_files import assert_same_tree

pytestmark = needs_server

EVENTS, STEP = 120, 60
GRAPH = """
from smalldata_stream.detectors.ghost import Ghost

def graph(g, run):
    light = g.light_status(xray_excluded=[162], laser_required=[90])
    g.scan()
    g.epics()
    for name in ("gmd", "fim0", "atmopal", "timing"):
        g.detector(name)
    # Events are played at 60 Hz; a busy machine takes longer now and then.
    jungfrau = g.detector("jungfrau", ghost=Ghost(most_ms=100))
    ring = jungfrau.roi("ROI_0", [[0, 1], [10, 40], [100, 160]], area=True)
    profile = ring.projection(axis=0)
    jungfrau.sum("calib")
    jungfrau.sum("calib_max")
    jungfrau.sum("calib_dropped")
    g.function(lambda s, e: s / e if e > 0.05 else None,
               ring["sum"], "gmd/energy", name="jungfrau/per_pulse")
    ring["sum"].plot.strip()
    profile.plot.line(by="lightStatus/laser")
    jungfrau.plot.image()
    g.keep(light["xray"], why="no X-rays")
"""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    some = ("timing", "gmd", "fim0", "atmopal", "jungfrau")
    simulation = Simulation(
        events=EVENTS,
        steps=2,
        detectors=some,
        jungfrau_shape=(1, 64, 512),
        jungfrau_ghost=0.005,
    )
    return simulate(tmp_path_factory.mktemp("run"), simulation)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The timestamps of the events that the server is given, in their order."""
    timestamps: list[int] = []
    send = ShmemServer.send

    def tee(server: ShmemServer, raw: bytes) -> None:
        (header,) = np.frombuffer(raw[:DGRAM_BYTES], DGRAM)
        if service_of(header["env"]) == Service.L1_ACCEPT:
            timestamps.append(int(header["timestamp"]))
        send(server, raw)

    monkeypatch.setattr(ShmemServer, "send", tee)
    return timestamps


def stop_the_client(monkeypatch: pytest.MonkeyPatch, sent: Sequence[int]) -> None:
    """Have psana's client stand still while a part of the events of a step is sent."""
    send = ShmemServer.send

    def then_stop(server: ShmemServer, raw: bytes) -> None:
        send(server, raw)
        how = {STEP // 4: signal.SIGSTOP, STEP * 2 // 3: signal.SIGCONT}.get(len(sent))
        if how is not None:
            os.kill(child_of(os.getpid()), how)

    monkeypatch.setattr(ShmemServer, "send", then_stop)


class SeenLive:
    """A run in files at the times at which it was played, without what live did not see."""

    def __init__(self, run: Run, sent: Sequence[int], seen: NDArray[np.uint64]):
        self.run, self.info = run, run.info
        self.sent = np.array(sent, np.uint64)
        self.seen = np.isin(self.sent, seen)

    @property
    def faults(self) -> Sequence[Fault]:
        return self.run.faults

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        done = 0
        for batch in self.run.batches(signals, limits):
            now = slice(done, done + len(batch))
            done += len(batch)
            again = Batch(self.sent[now], batch.steps, batch.columns, batch.status)
            yield again.select(self.seen[now])


def live(simulated: SimulatedFiles, graph: Path, output: Path) -> tuple[Report, set[int]]:
    """The report of the played run, and the events that came to the graph."""
    taken: set[int] = set()
    tag = new_tag()

    class Watched:
        def runs(self) -> Iterator[Run]:
            for run in ShmemSource(tag, timeout=PATIENCE, first_events=10).runs():
                yield WatchedRun(run)
                return

    class WatchedRun:
        def __init__(self, run: Run):
            self.run, self.info = run, run.info

        @property
        def faults(self) -> Sequence[Fault]:
            return self.run.faults

        def batches(
            self, signals: Collection[Signal], limits: BatchLimits
        ) -> Iterator[Batch]:
            for batch in self.run.batches(signals, limits):
                taken.update(batch.timestamps.tolist())
                yield batch

    options = LiveOptions(
        limits=BatchLimits(seconds=0.05), sink=lambda info: Hdf5Sink(output)
    )

    def constants(info: RunInfo) -> FindConstants:
        return find_constants(str(simulated.constants), info, None)

    with Playing(*simulated.xtc2, tag=tag, rate_hz=60):
        (report,) = run_live(Watched(), GraphWatch(str(graph)), constants, options)
    return report, taken


@pytest.mark.parametrize("pause", [False, True], ids=["steady", "with a pause"])
def test_live_and_batch_write_the_same_bits(
    pause: bool,
    simulated: SimulatedFiles,
    sent: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if pause:
        stop_the_client(monkeypatch, sent)
    graph = tmp_path / "graph.py"
    graph.write_text(GRAPH)
    report, taken = live(simulated, graph, tmp_path / "live.h5")

    # Which events live did not see, and that its ledger says how many. What the server did
    # not hand out is known by the gaps between the events seen in a step; what the reader
    # gave up is counted wherever it was.
    assert len(sent) == EVENTS
    assert taken <= set(sent)
    missed = [i for i, time in enumerate(sent) if time not in taken]
    steps = [
        [i for i, t in enumerate(sent) if t in taken and i // STEP == k] for k in (0, 1)
    ]
    known = [i for i in missed if any(step[0] < i < step[-1] for step in steps)]
    assert report.ledger.closes
    dropped = report.ledger.dropped
    assert report.ledger.read == len(taken) + dropped.total()
    if dropped[DROPPED]:  # on a busy machine
        assert dropped[DROPPED] <= dropped.total() <= len(missed)
    else:
        assert dropped.total() == len(known)
    if pause:
        assert dropped.total() > 0
        assert known

    (run,) = FilesSource.from_files(simulated.xtc2).runs()
    seen = np.array(sorted(taken), np.uint64)
    constants = find_constants(str(simulated.constants), run.info, None)
    batch = tmp_path / "batch.h5"
    reduce_run(
        SeenLive(run, sent, seen), load_graph(str(graph)), Hdf5Sink(batch), constants
    )
    with h5py.File(tmp_path / "live.h5", "r+") as one, h5py.File(batch, "r+") as other:
        assert 0 < len(one["timestamp"]) < len(taken)  # some have no X-rays
        assert one["jungfrau/ROI_0_area"].shape == (len(one["timestamp"]), 30, 60)
        assert "Sums/jungfrau_calib" in one
        assert np.isfinite(one["jungfrau/ROI_0_sum"][:]).any()
        for f in (one, other):
            del f["ledger"]  # compared above: batch does not know of what was lost
        assert_same_tree(one, other)
