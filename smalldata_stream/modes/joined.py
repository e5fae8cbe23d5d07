"""One run of a live session with several workers: a graph, a sink and a ledger for all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

import numpy as np

from smalldata_stream.batch import Batch, Record
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import FindConstants
from smalldata_stream.ledger import Ledger
from smalldata_stream.loading import GraphFile
from smalldata_stream.modes.display import Display
from smalldata_stream.modes.in_order import InOrder, Rows
from smalldata_stream.modes.live import LiveOptions, count_published
from smalldata_stream.modes.relay import Shown, Taken
from smalldata_stream.modes.session import Report, Session
from smalldata_stream.plan import LETTERS_PER_NODE
from smalldata_stream.protocols import Fault
from smalldata_stream.reductions.window import Windowed
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.shmem_losses import BROKEN, DROPPED, NOT_SENT, TWICE
from smalldata_stream.total import TotalNode

LATE = "came from its worker after the collector's window"
"""Why events are not in the file that a worker has reduced; plots have them."""

BEHIND_SECONDS, BEHIND_BYTES = 120.0, 1 << 30
"""So long, and with so much in memory, rows wait for a worker that catches up."""

GRACE_SECONDS = 2.0
"""A worker that begins a run so much later than the others end it joins them still."""


class JoinedRun:
    """A graph over a run, as far as all workers have come.

    Raises
    ------
    GraphError
        Where the graph does not fit the run.
    OutputError
        Where the sink cannot begin.
    """

    def __init__(
        self,
        run: RunInfo,
        graph: GraphFile,
        constants: FindConstants,
        options: LiveOptions,
        window_seconds: float,
    ):
        self.run = run
        self._options = options
        self._session = Session(
            run,
            graph,
            options.sink(run),
            constants,
            command=options.command,
            go_on=True,
        )
        if self._session.plan.before_ms:
            self._session.abort()
            raise GraphError(
                "ghost= needs the frame of the pulse before, and of several workers each "
                "gets some of the events: leave out ghost= (write common_mode=80 or 81 "
                "instead of 180 or 181), or start live without --workers"
            )
        self._session.plan.go_live()
        self._session.begin()
        self._metrics = options.metrics
        if self._metrics is not None:
            self._metrics.begin(self._session.declaration, self._session.plan)
        outputs = self._session.declaration.outputs
        self._rows = InOrder(outputs, window_seconds)
        self._from = time.monotonic() + window_seconds
        self._behind: dict[int, float] = {}
        self._ledgers: dict[int, Ledger] = {}
        self._done = Ledger()
        self._newest: dict[int, int] = {}
        self._nodes: dict[int, Mapping[str, tuple[float, int]]] = {}
        self._retired = False
        self._shown: Rows = (np.empty(0, np.uint64), {})
        self.inside: set[int] = set()
        self.left_at = time.monotonic()
        self.seen: set[int] = set()
        self._display = Display(
            options.publishers, options.display_seconds, self.workers_in
        )
        self._display.begin(self._session)

    def enter(self, worker: int) -> None:
        """A worker has begun the run."""
        self.inside.add(worker)
        self.seen.add(worker)

    def leave(self, worker: int) -> None:
        """A worker has ended it, or has died."""
        self.inside.discard(worker)
        self.left_at = time.monotonic()
        self._rows.leave(worker)
        self._behind.pop(worker, None)
        self._keep(worker)

    def wait_for(self, worker: int, behind: bool) -> None:
        """A worker may bring old events from now on, or has caught up."""
        if behind:
            self._behind[worker] = time.monotonic() + BEHIND_SECONDS
        else:
            self._behind.pop(worker, None)

    def retire(self) -> None:
        """Another run, or graph, is shown from now on; this one still ends as it should."""
        self._metrics = None
        self._retired = True

    def over(self, alive: set[int]) -> bool:
        """Whether none of the workers that are alive will bring more of it."""
        waited = time.monotonic() - self.left_at > GRACE_SECONDS
        return not self.inside and (waited or alive <= self.seen)

    def take(self, worker: int, taken: Taken) -> None:
        """What a batch of a worker gave."""
        with self._options.guard:
            self._rows.put(
                worker, taken.timestamps, taken.enabled, taken.kept, taken.record
            )
            self._write()
        newest = self._shown[0]
        if len(taken.kept) and not (len(newest) and taken.kept[-1] < newest[-1]):
            self._shown = (taken.kept, taken.record)
            if not self._retired and not self._display.due():
                with self._options.guard:
                    self._display.show_values(self._session, self._batch())
        if self._metrics is not None:
            # Its ledger comes with the next `Shown`; until then the last one stands.
            ledger, faults = self._balance()
            self._session.ledger = ledger
            whole = self._session.ledger_with(faults)
            self._metrics.events(taken.timestamps, taken.nbytes, whole)

    def merge(self, worker: int, shown: Shown) -> None:
        """What a worker has added to totals and plots since the last time."""
        plan = self._session.plan
        with self._options.guard:
            plan.merge_states(shown.states)
            plan.newest = max(plan.newest, shown.newest)
            self._newest[worker] = max(self._newest.get(worker, 0), shown.newest)
            self._ledgers[worker] = shown.ledger
            self._nodes[worker] = shown.nodes
            self._count_nodes()
        if shown.last:
            self.leave(worker)

    def restart_plots(self, topics: set[str]) -> None:
        """Begin these plots anew, or all."""
        with self._options.guard:
            self._session.plan.restart_plots(topics)

    def show(self, workers: Mapping[str, int]) -> None:
        """Hand on what is in order; publish, if it is time to."""
        with self._options.guard:
            self._write()
        if self._retired or not self._display.due():
            return
        with self._options.guard:
            self._session.ledger, faults = self._balance()
            ledger = self._session.ledger_with(faults)
        for publisher in self._options.publishers:
            publisher.tell({"workers": dict(workers)})
        with self._options.guard:
            self._display.show(self._session, self._batch(), ledger)
        count_published(self._options)
        if self._metrics is not None:
            self._metrics.queue(
                "collector", depth=self._rows.depth, dropped=self._rows.late
            )

    def _batch(self) -> Batch:
        """The newest rows that came."""
        timestamps, record = self._shown
        steps = np.full(len(timestamps), -1, np.int32)
        return Batch(timestamps, steps, {}, {}, Record(record))

    def end(self) -> Report:
        """All workers have ended it: write what waits, the totals, and the ledger."""
        with self._options.guard:
            for rows in self._rows.ready(()):
                self._session.write(*rows)
            self._session.ledger, faults = self._balance()
            report = self._session.end(faults)
        if self._metrics is not None:
            self._metrics.end(report.ledger)
        return report

    def workers_in(self, plot: str) -> int:
        """How many workers have an event in a plot as it is now."""
        begin = 0
        for node in self._session.plan.nodes:
            if isinstance(node, TotalNode) and node.plot_path == plot:
                state = node.state
                if isinstance(state, Windowed):
                    begin = state.first
        return sum(newest >= begin for newest in self._newest.values() if newest)

    def _write(self) -> None:
        if time.monotonic() < self._from:  # other workers may begin with earlier events
            return
        waits = max(self._behind.values(), default=0.0) > time.monotonic()
        overdue = not waits or self._rows.nbytes > BEHIND_BYTES
        for timestamps, record in self._rows.ready(self.inside, overdue=overdue):
            self._session.write(timestamps, record)

    def _keep(self, worker: int) -> None:
        """A worker may begin the run again, with a ledger from 0."""
        ledger = self._ledgers.pop(worker, None)
        if ledger is not None:
            self._done = added(self._done, ledger)

    def _balance(self) -> tuple[Ledger, list[Fault]]:
        """The ledger of all without what was lost, and what was lost."""
        total = self._done
        for ledger in self._ledgers.values():
            total = added(total, ledger)
        lost = Counter(total.dropped)
        read = total.read - lost.total()
        rows = self._rows
        known = lost[DROPPED] + lost[BROKEN]
        moved = {LATE: rows.late, TWICE: rows.twice}
        lost += Counter(moved)
        lost[NOT_SENT] += max(0, rows.gaps.missing - known)
        plan = self._session.plan
        plan.failures, plan.letters = Counter(total.gaps), total.dead_letters
        n = sum(moved.values())
        whole = Ledger(
            read=read - n,
            written=total.written - n,
            filtered=total.filtered,
            failed=total.failed,
            unknown=total.unknown,
        )
        self._session.count_lost(whole)
        where = self.run.source
        return whole, [Fault(where, why, count) for why, count in lost.items() if count]

    def _count_nodes(self) -> None:
        for node in self._session.plan.nodes:
            counts = [one.get(node.path, (0.0, 0)) for one in self._nodes.values()]
            node.seconds = sum(seconds for seconds, _ in counts)
            node.events = sum(events for _, events in counts)


def added(one: Ledger, other: Ledger) -> Ledger:
    """Both ledgers as one; of dead letters so many for each node as one has.

    >>> added(Ledger(read=2, written=2), Ledger(read=1, filtered=Counter(dark=1))).rows()
    [('read', '', 3), ('written', '', 2), ('filtered', 'dark', 1)]
    """
    letters = []
    known: Counter[str] = Counter()
    for letter in sorted(
        [*one.dead_letters, *other.dead_letters], key=lambda letter: letter.timestamp
    ):
        known[letter.node] += 1
        if known[letter.node] <= LETTERS_PER_NODE:
            letters.append(letter)
    return Ledger(
        read=one.read + other.read,
        written=one.written + other.written,
        filtered=one.filtered + other.filtered,
        failed=one.failed + other.failed,
        dropped=one.dropped + other.dropped,
        gaps=one.gaps + other.gaps,
        unknown=one.unknown + other.unknown,
        dead_letters=letters,
    )
