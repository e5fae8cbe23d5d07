"""What a live session shows: its plots and newest values, a few times a second."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol

from sinks.zmq_record import messages_of_record
from smalldata_stream.batch import Batch
from smalldata_stream.ledger import Ledger
from smalldata_stream.message import Message, plot_messages
from smalldata_stream.modes.pace import Budget, Pace
from smalldata_stream.modes.session import Session
from smalldata_stream.run import RunInfo

VALUES_SECONDS = 0.01
"""Newest values are shown no more often: looking whether anybody wants them costs, too."""

VALUES_PART = 0.3
"""Of what a busy graph gives to showing, so much is for the newest values."""

SLICE_SECONDS = 0.005
"""Plots of a round that are not shown after so long wait for the next batch: events that
have come meanwhile go first."""

SHOWN_LETTERS = 20
"""Dead letters that are told along with the ledger."""


class Counts(Protocol):
    """What a publisher has sent so far, and what could not be made or sent."""

    sent: int
    bytes: int
    failed: int


class Publisher(Protocol):
    """A place that shows messages to whoever asks; made only when somebody does."""

    @property
    def counts(self) -> Counts:
        """What was sent so far."""

    def wanted(self, topics: Collection[str]) -> set[str]:
        """Which of the topics are read now."""

    def offer(self, topic: str, make: Callable[[], Message]) -> None:
        """Show what ``make`` makes, if anybody reads the topic."""

    def describe(self, topic: str, about: Mapping[str, Any]) -> None:
        """Say what a topic is before its first message."""

    def tell(self, about: Mapping[str, Any]) -> None:
        """Say something of the session."""

    def forget(self, topics: Collection[str] | None = None) -> None:
        """These topics are no more; all where none is named."""


class Shows(Protocol):
    """What a session tells of itself while it runs."""

    def begin(self, session: Session) -> None:
        """A graph begins."""

    def due(self) -> bool:
        """Whether it is time to show something."""

    def show(
        self, session: Session, batch: Batch, ledger: Ledger, *, whole: bool = True
    ) -> None:
        """Show everything as it is now, after ``batch``; ``whole`` says without a pause."""

    def show_values(self, session: Session, batch: Batch) -> bool:
        """Go on with what is to show, and show the newest values.

        False if nobody wants the values.
        """

    def tell_error(self, run: RunInfo, error: str) -> None:
        """Say that the graph does not build; an empty text says that it does."""


def one(topic: str) -> int:
    """A session by itself is one worker."""
    return 1


class Display:
    """Offers the plots and the newest values of a session to its publishers.

    ``workers`` says whose events are in a plot.
    """

    def __init__(
        self,
        publishers: Sequence[Publisher],
        every_seconds: float,
        workers: Callable[[str], int] = one,
    ):
        self._workers = workers
        self._publishers = publishers
        self._budget = Budget(1 - VALUES_PART)
        self._pace = Pace(every_seconds, self._budget)
        # Of their own: they need not wait until a round of plots is paid for. A round has
        # the newest values, too: they come at least as often as rounds do.
        self._values_budget = Budget(VALUES_PART)
        self._values = Pace(VALUES_SECONDS, self._values_budget, longest=math.inf)
        self._sequence = 0
        self._begun = False
        self._topics: set[str] = set()
        self._rest: deque[Callable[[], None]] = deque()

    def begin(self, session: Session) -> None:
        """A graph begins: its plots are listed before the first event."""
        self._begun = True
        self._topics = {path.partition("/")[0] for path in session.declaration.outputs}
        self._rest.clear()
        for publisher in self._publishers:
            publisher.forget()
            publisher.tell(told(session, session.ledger))
            for topic, plot in session.plan.plots().items():
                publisher.describe(topic, asdict(plot))
        self._pace.hurry()

    def awaited(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches; while they are waited for, showing costs the graph nothing."""
        return self._values_budget.awaited(self._budget.awaited(batches))

    def due(self) -> bool:
        """Whether it is time to show something."""
        return bool(self._publishers) and not self._rest and self._pace.due()

    def show(
        self, session: Session, batch: Batch, ledger: Ledger, *, whole: bool = True
    ) -> None:
        """Offer the newest values, and the plots as they are now: all, or the first ones.

        The others are offered by `show_values`, after the next batches.
        """
        with self._pace.shown():
            self._begin_round(session, batch, ledger)
            self._offer_plots(math.inf if whole else SLICE_SECONDS)

    def _begin_round(self, session: Session, batch: Batch, ledger: Ledger) -> None:
        self._sequence += 1
        self._rest.clear()
        plots = session.plan.plots()
        newest = newest_values(session, batch)
        for publisher in self._publishers:
            publisher.tell(told(session, ledger))
            publisher.wanted([*plots, *newest])
            for topic, make in newest.items():
                publisher.offer(topic, make)
            for topic in plots:
                plot = self._plot(session, topic)
                self._rest.append(partial(publisher.offer, topic, plot))

    def _offer_plots(self, seconds: float) -> None:
        """Go on with the round, at least by one plot."""
        end = time.monotonic() + seconds
        while self._rest:
            self._rest.popleft()()
            if time.monotonic() >= end:
                return

    def show_values(self, session: Session, batch: Batch) -> bool:
        """Offer the newest values to those who read them now, and what is left of a round.

        Plots are made at the rate at which people look; values come with every batch.
        """
        shown = False
        if self._publishers and self._values.due():
            with self._values.shown():
                shown = self._show_values(session, batch)
        if self._rest:
            with self._budget.spending():
                self._offer_plots(SLICE_SECONDS)
        return shown

    def _show_values(self, session: Session, batch: Batch) -> bool:
        shown = False
        for publisher in self._publishers:
            wanted = publisher.wanted(self._topics)
            for topic, make in newest_values(session, batch, wanted).items():
                publisher.offer(topic, make)
                shown = True
        return shown

    def tell_error(self, run: RunInfo, error: str) -> None:
        """Say that the graph does not build; an empty text says that it does."""
        tell_error(self._publishers, run, error, begun=self._begun)

    def _plot(self, session: Session, topic: str) -> Callable[[], Message]:
        sequence = self._sequence

        def make() -> Message:
            plan = session.plan
            plots, totals = {topic: plan.plots()[topic]}, plan.results_of(topic)
            (message,) = plot_messages(
                plots,
                totals,
                session.run,
                plan.newest,
                workers=self._workers(topic),
                sequence=sequence,
            )
            return message

        return make


def tell_error(
    publishers: Iterable[Publisher], run: RunInfo, error: str, *, begun: bool
) -> None:
    """Say that the graph does not build, or that it does.

    Where no graph has ``begun`` over the run, what is told of another is forgotten.
    """
    about: dict[str, Any] = {"exp": run.exp, "run": run.number, "error": error}
    if not begun:
        about |= {"graph": {}, "dropped_detectors": [], "ledger": {}, "dead_letters": []}
    for publisher in publishers:
        publisher.tell(about)


def newest_values(
    session: Session, batch: Batch, topics: Collection[str] | None = None
) -> dict[str, Callable[[], Message]]:
    """By topic, the newest values of each detector, or of those among ``topics``."""
    outputs = session.declaration.outputs
    if topics is not None:
        outputs = {
            path: spec for path, spec in outputs.items() if path.partition("/")[0] in topics
        }
    about = {"exp": session.run.exp, "run": session.run.number, "events": 1, "workers": 1}
    return dict(messages_of_record(batch.timestamps, batch.record, outputs, about))


def told(session: Session, ledger: Ledger) -> dict[str, Any]:
    """What publishers say of a session: the run, its graph, where the events went."""
    about = session.declaration.provenance
    return {
        "exp": session.run.exp,
        "run": session.run.number,
        "graph": {"file": about["graph_file"], "sha256": about["graph_sha256"]},
        "dropped_detectors": list(session.plan.dropped),
        "ledger": {
            "read": ledger.read,
            "written": ledger.written,
            "filtered": dict(ledger.filtered),
            "failed": dict(ledger.failed),
            "dropped": dict(ledger.dropped),
            "gaps": dict(ledger.gaps),
            "unknown": dict(ledger.unknown),
            "closes": ledger.closes,
        },
        "dead_letters": [
            {"timestamp": letter.timestamp, "node": letter.node, "error": letter.error}
            for letter in ledger.dead_letters[-SHOWN_LETTERS:]
        ],
    }
