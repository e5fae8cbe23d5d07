"""A worker that compiles kernels: its events wait, and so do the rows of the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from sinks.memory import MemorySink
from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.loading import graph_of
from smalldata_stream.modes import in_order, joined
from smalldata_stream.modes.joined import BEHIND_SECONDS, LATE, JoinedRun
from smalldata_stream.modes.live import LiveOptions
from smalldata_stream.modes.relay import Behind, Relay, SharedRun, Taken
from smalldata_stream.modes.shield import Shield
from smalldata_stream.sources.simulated import Script, SimulatedSource
from tests.live.test_workers import Clock

WINDOW = 5.0


def taken(*times: int) -> Taken:
    stamps = np.array(times, np.uint64)
    return Taken(stamps, stamps * np.uint64(0), 8 * len(times), stamps, {})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(in_order, "time", clock)
    monkeypatch.setattr(joined, "time", clock)
    return clock


@pytest.fixture
def run_of_two(clock: Clock, tmp_path: Path) -> tuple[JoinedRun, MemorySink]:
    """A run that workers 0 and 1 are in, past the time in which all rows wait."""
    sink = MemorySink()
    (run,) = SimulatedSource(Script(events=1)).runs()
    graph = graph_of(tmp_path / "graph.py", "def graph(g, run):\n    g.detector('gmd')\n")
    options = LiveOptions(sink=lambda info: sink)
    one = JoinedRun(run.info, graph, lambda name: None, options, WINDOW)
    for worker in (0, 1):
        one.enter(worker)
    clock.now += WINDOW
    return one, sink


def test_rows_wait_for_a_worker_that_compiles(
    run_of_two: tuple[JoinedRun, MemorySink], clock: Clock
) -> None:
    run, sink = run_of_two
    run.wait_for(1, True)
    for k in range(10):
        run.take(0, taken(100 * k, 100 * k + 1))
        clock.now += WINDOW + 1
        run.show({})
    assert not len(sink.timestamps)
    run.take(1, taken(50, 250))
    run.take(1, taken(950))
    run.wait_for(1, False)
    clock.now += WINDOW + 1
    run.show({})
    assert {50, 250} < set(sink.timestamps.tolist())
    assert sorted(sink.timestamps.tolist()) == sink.timestamps.tolist()
    run.take(0, taken(960))
    report = run.end()
    assert LATE not in report.ledger.dropped
    assert len(sink.timestamps) == 2 * 10 + 3 + 1


def test_rows_do_not_wait_for_ever(
    run_of_two: tuple[JoinedRun, MemorySink],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, sink = run_of_two
    run.wait_for(1, True)
    run.take(0, taken(10, 20))
    clock.now += BEHIND_SECONDS + 1
    run.show({})
    assert sink.timestamps.tolist() == [10, 20]
    monkeypatch.setattr(joined, "BEHIND_BYTES", -1)
    run.wait_for(1, True)
    run.take(0, taken(30))
    clock.now += WINDOW + 1
    run.show({})
    assert sink.timestamps.tolist() == [10, 20, 30]


def test_rows_do_not_wait_for_one_that_has_died(
    run_of_two: tuple[JoinedRun, MemorySink], clock: Clock
) -> None:
    run, sink = run_of_two
    run.wait_for(1, True)
    run.take(0, taken(10, 20))
    run.leave(1)
    run.show({})
    assert sink.timestamps.tolist() == [10, 20]


class Catching:
    """A run whose reader is behind in some of its batches."""

    def __init__(self, behind: list[bool]):
        (run,) = SimulatedSource(Script(events=len(behind))).runs()
        self.info, self.description, self.behind = run.info, None, False
        self._run, self._behind = run, behind

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        batches = self._run.batches(signals, BatchLimits(events=1))
        for behind, batch in zip(self._behind, batches, strict=True):
            self.behind = behind
            yield batch

    def enabled(self, timestamps: Any) -> Any:
        return timestamps * 0


def test_a_worker_says_when_it_is_behind_and_before_the_batch_that_takes_long() -> None:
    said: list[object] = []
    relay = Relay(cast("Any", SimpleNamespace(send=said.append)), 1.0, Shield())
    run = Catching([True, True, False])
    relay.run = cast("Any", run)
    about = SimpleNamespace(provenance={"graph": ""})
    relay.begin(cast("Any", SimpleNamespace(declaration=about, run=run.info)))
    del said[:]
    shared = SharedRun(cast("Any", run), relay)
    for _ in shared.batches([], BatchLimits()):
        relay.send(cast("Any", "reduced"))
    kinds = [one if isinstance(one, Behind | str) else type(one) for one in said]
    assert kinds == [
        Behind(True), "reduced", Taken,
        "reduced", Taken,
        Behind(False), "reduced", Taken,
    ]  # fmt: skip
