"""What a session shows: in which order, and how much at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sinks.zmq import ZmqPublisher
from smalldata_stream.batch import Batch
from smalldata_stream.message import Message
from smalldata_stream.modes import display, pace
from smalldata_stream.modes.display import Display
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.nowhere import Nowhere
from smalldata_stream.modes.session import Session
from smalldata_stream.sources.simulated import Script, SimulatedSource
from tests.modes.editing import SMALL, live
from tests.modes.test_pace import Clock

GRAPH = """
def graph(g, run):
    gmd = g.detector("gmd")
    for bins in (2, 3, 4):
        gmd["energy"].plot.histogram((0, 10, bins), name=f"h{bins}")
"""
PLOTS = [f"plots/gmd/energy_h{bins}" for bins in (2, 3, 4)]


class Written:
    """A publisher that notes down what it is offered."""

    def __init__(self) -> None:
        self.counts = SimpleNamespace(sent=0, bytes=0, failed=0)
        self.offered: list[str] = []
        self.events: list[int] = []

    def wanted(self, topics: Collection[str]) -> set[str]:
        return set(topics)

    def offer(self, topic: str, make: Callable[[], Message]) -> None:
        self.offered.append(topic)
        self.events.append(int(make().metadata["events"]))

    def take(self) -> list[str]:
        offered, self.offered = self.offered, []
        return offered

    def describe(self, topic: str, about: Mapping[str, Any]) -> None: ...
    def tell(self, about: Mapping[str, Any]) -> None: ...
    def forget(self, topics: Collection[str] | None = None) -> None: ...


@pytest.fixture
def showing(tmp_path: Path) -> Iterator[tuple[Session, Iterator[Batch]]]:
    path = tmp_path / "graph.py"
    path.write_text(GRAPH)
    (run,) = SimulatedSource(Script()).runs()
    session = Session(run.info, GraphWatch(str(path)).load(), Nowhere(), lambda name: None)
    session.plan.go_live()
    session.begin()
    yield session, iter(run.batches(tuple(session.plan.signals), SMALL))
    session.abort()


def test_a_long_round_is_shown_between_batches(
    showing: tuple[Session, Iterator[Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(display, "VALUES_SECONDS", 1000.0)
    (session, batches), publisher = showing, Written()
    shows = Display([publisher], every_seconds=0.0)
    shows.begin(session)
    session.take(batch := next(batches))
    assert shows.due()
    shows.show(session, batch, session.ledger, whole=False)
    assert publisher.take() == ["damage", "gmd", PLOTS[0]]
    assert not shows.due()  # a round is ended before the next begins
    session.take(batch := next(batches))
    assert shows.show_values(session, batch)
    assert publisher.take() == ["damage", "gmd", PLOTS[1]]
    assert not shows.show_values(session, batch)
    assert publisher.take() == [PLOTS[2]]
    read = session.ledger.read
    assert publisher.events[-3:] == [1, read, read]  # a plot is of when it is shown
    assert shows.due()


def test_a_round_is_shown_whole_where_that_is_said(
    showing: tuple[Session, Iterator[Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "SLICE_SECONDS", 0.0)
    (session, batches), publisher = showing, Written()
    shows = Display([publisher], every_seconds=0.0)
    shows.begin(session)
    session.take(batch := next(batches))
    shows.show(session, batch, session.ledger, whole=False)
    publisher.take()
    shows.show(session, batch, session.ledger)
    assert publisher.take() == ["damage", "gmd", *PLOTS]


def test_values_do_not_wait_until_a_round_is_paid_for(
    showing: tuple[Session, Iterator[Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    monkeypatch.setattr(display, "VALUES_SECONDS", 0.0)

    class Slow(Written):
        def offer(self, topic: str, make: Callable[[], Message]) -> None:
            super().offer(topic, make)
            clock.works(0.05 if topic in PLOTS else 0.0001)

    def awaited(batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            clock.now += 0.001  # it waits, but not as long as the round took
            yield batch

    (session, batches), publisher = showing, Slow()
    shows = Display([publisher], every_seconds=0.0)
    shows.begin(session)
    rounds = 0
    for number, batch in enumerate(shows.awaited(awaited(batches))):
        session.take(batch)
        if number == 0:
            assert shows.due()
            shows.show(session, batch, session.ledger)
        else:
            rounds += shows.due()
            assert shows.show_values(session, batch)
    assert number > 3
    assert rounds == 0


def test_another_graph_leaves_the_round_of_the_one_before(
    showing: tuple[Session, Iterator[Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "SLICE_SECONDS", 0.0)
    (session, batches), publisher = showing, Written()
    shows = Display([publisher], every_seconds=1000.0)
    shows.begin(session)
    session.take(batch := next(batches))
    shows.show(session, batch, session.ledger, whole=False)
    shows.begin(session)
    publisher.take()
    shows.show_values(session, batch)
    assert publisher.take() == ["damage", "gmd"]


def test_plots_are_made_under_the_guard(tmp_path: Path) -> None:
    """Another publisher's thread may want the same plot: making it adds what waits."""
    path, guard = tmp_path / "graph.py", threading.Lock()
    path.write_text(GRAPH)
    held: list[bool] = []

    class Looking(Written):
        def offer(self, topic: str, make: Callable[[], Message]) -> None:
            held.append(guard.locked())
            super().offer(topic, make)

    publisher = Looking()
    live(
        path,
        SimulatedSource(Script()),
        publishers=[cast("ZmqPublisher", publisher)],
        guard=guard,
    )
    assert publisher.offered
    assert all(held)
