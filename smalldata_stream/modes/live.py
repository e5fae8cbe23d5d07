"""Live mode: the graph over events as they come, its plots published while they do.

The same `Session` as in batch mode takes every batch, so the numbers are the same to the
last bit; plots span a window instead of the run, a graph that fails never ends the
session, and the graph file may be edited while it runs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.errors import SmalldataError
from smalldata_stream.graph import FindConstants
from smalldata_stream.modes.display import Display, Publisher, Shows
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.nowhere import Nowhere
from smalldata_stream.modes.resets import Resets
from smalldata_stream.modes.session import Report, Session
from smalldata_stream.modes.shield import Shield
from smalldata_stream.protocols import Askable, Fault, Queued, Run, Sink, Source
from smalldata_stream.run import RunInfo

if TYPE_CHECKING:
    from smalldata_stream.metrics import Metrics

log = logging.getLogger(__name__)

BATCH_SECONDS = 0.015
"""No event waits longer for others to be reduced with."""

NO_GRAPH = "the graph does not build"
"""Why events failed that came while there was no graph for the run."""


READER = "reader"
"""The queue of the events that wait to be reduced, in the metrics."""


def nowhere(run: RunInfo) -> Sink:
    """The sink of a session that writes no file."""
    return Nowhere()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """How a live session runs.

    Attributes
    ----------
    limits
        A batch is never older than ``limits.seconds``.
    display_seconds
        Time between two rounds of publishing; newest values go with every batch.
    shows
        Is told what there is to show instead of the publishers.
    sink
        The sink of a run; asked for again when the graph of a run was edited.
    guard
        Held while totals change, so that publishers may make messages in other threads.
    resets
        Plots to begin anew before the next batch.
    shield
        Keeps signals away while a batch is taken.
    """

    limits: BatchLimits = field(default_factory=lambda: BatchLimits(seconds=BATCH_SECONDS))
    display_seconds: float = 0.2
    publishers: Sequence[Publisher] = ()
    shows: Shows | None = None
    metrics: Metrics | None = None
    sink: Callable[[RunInfo], Sink] = nowhere
    guard: threading.Lock = field(default_factory=threading.Lock)
    resets: Resets = field(default_factory=Resets)
    shield: Shield = field(default_factory=Shield)
    command: str = ""


def run_live(
    source: Source,
    watch: GraphWatch,
    constants: Callable[[RunInfo], FindConstants],
    options: LiveOptions,
) -> Iterator[Report]:
    """Reduce runs as they come; a report for each graph of each run that has ended.

    Ends with the source. On KeyboardInterrupt what was written so far is finished, the
    last report is given, and the iteration ends; while no run is there, it goes through.

    Raises
    ------
    SourceError
        When nothing can be read.
    """
    from smalldata_stream.kernels.compiled import load_compiler

    load_compiler()  # now, while no event waits for it
    for run in source.runs():
        live = _LiveRun(run, watch, constants, options)
        try:
            yield from live.reduce()
        except KeyboardInterrupt:
            yield from live.finish()
            return


def count_published(options: LiveOptions) -> None:
    """Tell the metrics what the publishers have sent."""
    if options.metrics is not None:
        for publisher in options.publishers:
            counts, name = publisher.counts, type(publisher).__name__
            options.metrics.published(
                name, messages=counts.sent, nbytes=counts.bytes, failed=counts.failed
            )


class _LiveRun:
    """One run, with the graph that it has at the moment, if any."""

    def __init__(
        self,
        run: Run,
        watch: GraphWatch,
        constants: Callable[[RunInfo], FindConstants],
        options: LiveOptions,
    ):
        self._run, self._watch = run, watch
        self._constants, self._options = constants, options
        self._display: Shows = options.shows or Display(
            options.publishers, options.display_seconds
        )
        self._session: Session | None = None
        self._report: Report | None = None
        self._info = run.info
        self._unreduced = 0
        self._signals: tuple[Signal, ...] = ()
        self._told: dict[tuple[str, str], int] = {}

    def reduce(self) -> Iterator[Report]:
        """Take batch after batch, and another graph when there is one."""
        self._build()
        if self._session is not None:
            self._signals = tuple(self._session.plan.signals)
        batches, batch = self._run.batches(self._signals, self._options.limits), None
        if isinstance(self._display, Display):
            batches = self._display.awaited(batches)
        for batch in batches:
            if self._session is None:
                self._unreduced += len(batch)
            else:
                self._take(self._session, batch)
                if self._display.due():
                    self._show(batch, whole=False)
                elif self._show_values(self._session, batch):
                    count_published(self._options)
            if self._watch.changed() or self._knows_more():
                yield from self._rebuild()
        if batch is not None and self._session is not None:
            self._show(batch)  # what came last, however soon after the round before
        yield from self.finish()

    def _take(self, session: Session, batch: Batch) -> None:
        with self._options.shield.held(), self._options.guard:
            topics = self._options.resets.take()
            if topics is not None:
                session.plan.restart_plots(topics)
            session.take(batch)

    def finish(self) -> Iterator[Report]:
        """End the graph there is; a signal waits until its file is whole."""
        if self._session is not None:
            with self._options.shield.held(), self._options.guard:
                self._report = self._session.end(self._lost())
                self._count_queue()
                self._told = {(one.where, one.what): one.events for one in self._run.faults}
                self._session = None
        if self._report is not None:
            report, self._report = self._report, None
            yield report

    def _show(self, batch: Batch, *, whole: bool = True) -> None:
        assert self._session is not None
        with self._options.guard:
            ledger = self._session.ledger_with(self._lost())
        # To look at a plot adds what waits: no other publisher may look meanwhile.
        with self._options.guard:
            self._display.show(self._session, batch, ledger, whole=whole)
        count_published(self._options)
        if self._options.metrics is not None:
            self._options.metrics.lost(ledger)
        self._count_queue()

    def _show_values(self, session: Session, batch: Batch) -> bool:
        with self._options.guard:
            return self._display.show_values(session, batch)

    def _count_queue(self) -> None:
        """Tell the metrics what waits for the graph."""
        if self._options.metrics is not None and isinstance(self._run, Queued):
            queue = self._run.queue
            self._options.metrics.queue(READER, depth=queue.depth, dropped=queue.dropped)

    def _lost(self) -> list[Fault]:
        """What was lost since the graph before this one ended: that has told the rest."""
        told = self._told
        return [
            replace(one, events=max(0, one.events - told.get((one.where, one.what), 0)))
            for one in self._run.faults
        ]

    def _knows_more(self) -> bool:
        """Whether a graph that did not build may do so by what the run has shown since."""
        return self._session is None and self._run.info is not self._info

    def _rebuild(self) -> Iterator[Report]:
        """Another graph takes over here, if it builds; else the old one goes on."""
        new = self._made()
        if new is None:
            return
        signals = tuple(new.plan.signals)
        if isinstance(self._run, Askable):
            self._run.ask(signals)
        elif more := set(signals) - set(self._signals):
            new.abort()
            self._refuse(f"this source cannot read {min(more)} now; restart the session")
            return
        yield from self.finish()
        self._start(new)

    def _build(self) -> None:
        new = self._made()
        if new is not None:
            self._start(new)

    def _made(self) -> Session | None:
        options, info = self._options, self._run.info
        self._info = info
        try:
            session = Session(
                info,
                self._watch.load(),
                options.sink(info),
                self._constants(info),
                metrics=options.metrics,
                command=options.command,
                go_on=True,
            )
        except SmalldataError as error:
            self._refuse(str(error))
            return None
        self._display.tell_error(info, "")
        if options.metrics is not None:
            options.metrics.graph_broken(False)
        return session

    def _refuse(self, why: str) -> None:
        """Say why the graph of the file is not the one that runs."""
        log.error("%s", why)
        if self._options.metrics is not None:
            self._options.metrics.graph_broken(True)
        self._display.tell_error(self._run.info, why)

    def _start(self, session: Session) -> None:
        with self._options.shield.held():  # a file that is begun is one that is ended
            session.plan.go_live()
            session.begin()
            session.ledger.read += self._unreduced
            if self._unreduced:
                session.ledger.failed[NO_GRAPH] += self._unreduced
            self._unreduced = 0
            self._session = session
            self._display.begin(session)
