"""What a session counts while it runs, in plain numbers, once per batch."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Batch
from smalldata_stream.flow import Absent, Chosen, Node
from smalldata_stream.ledger import Ledger
from smalldata_stream.metrics_counts import Bounded, Rising, RunCounts
from smalldata_stream.metrics_families import (
    LATENCY_BOUNDS,
    STAGES,
    Family,
    Mode,
    Sent,
    State,
    families,
)
from smalldata_stream.protocols import Declaration, Queue
from smalldata_stream.timestamps import unix_nanoseconds

if TYPE_CHECKING:
    from smalldata_stream.plan import Plan

MAX_REASONS = 30
"""Reasons of one stage that are told apart; the others are counted together."""

MAX_NODES = 1000
"""Nodes that are told apart, over all runs of the process."""


class SessionCounts:
    """Counts over all runs of a process; told by one thread, read by others.

    For each run: `begin`, then `batch` (and `published`, `queue`) for each batch, then
    `end`, also when the run was aborted.

    Parameters
    ----------
    mode
        ``"live"`` has the latency from pulse to publish; in ``"batch"`` pulses are old and
        it has no meaning.
    clock
        Nanoseconds since 1970.
    """

    def __init__(self, mode: Mode, *, clock: Callable[[], int] = time.time_ns):
        self._lock = threading.Lock()
        self._clock = clock
        self._state = State(mode)
        self._former, self._current = RunCounts(), RunCounts()
        self._plan: Plan | None = None
        self._nodes: tuple[tuple[str, Node], ...] = ()
        self._unpublished: deque[NDArray[np.uint64]] = deque()
        self._reasons = {stage: Bounded(MAX_REASONS) for stage in STAGES}
        self._node_names = Bounded(MAX_NODES)
        self._rising: dict[tuple[str, str], Rising] = {}
        self._ranks: dict[int, State] = {}

    def begin(self, declaration: Declaration, plan: Plan) -> None:
        """A run begins: its counts are added to those of the runs before."""
        self._finish_run()
        about, state = declaration.provenance, self._state
        works = [n for n in plan.nodes if not isinstance(n, Absent | Chosen)]
        with self._lock:
            self._plan = plan
            self._nodes = tuple(
                (self._node_names(node.path), node)
                for node in works
                if node is not plan.source
            )
            state.exp, state.run = declaration.run.exp, str(declaration.run.number)
            state.graph = about.get("graph_file", "")
            state.graph_sha256 = about.get("graph_sha256", "")
            state.absent = tuple(plan.dropped)
            state.in_progress, state.runs = True, state.runs + 1

    def batch(self, batch: Batch, ledger: Ledger) -> None:
        """A batch has gone through the graph, and ``ledger`` has it: once per batch."""
        self.events(batch.timestamps, nbytes_of(batch), ledger)

    def events(self, timestamps: NDArray[np.uint64], nbytes: int, ledger: Ledger) -> None:
        """The same for events that went through a graph elsewhere: of ``nbytes`` bytes."""
        now, state = self._clock(), self._state
        with self._lock:
            self._take(ledger)
            state.batches.add(np.array([len(timestamps)]))
            state.read_bytes += nbytes
            state.last_batch = now / 1e9
            if len(timestamps):
                state.newest = int(timestamps[-1])
            if state.mode == "live":
                # A copy: what a batch holds may be a view of shared memory.
                self._unpublished.append(timestamps.copy())
                self._expire(now)

    def lost(self, ledger: Ledger) -> None:
        """What the source has lost so far: ``ledger`` is the whole one of now."""
        with self._lock:
            self._take(ledger)

    def published(
        self, publisher: str, *, messages: int, nbytes: int, failed: int = 0
    ) -> None:
        """The results of all batches so far went out, just now.

        The numbers are what the publisher has sent, and failed to send, in all, as it
        counts.
        """
        with self._lock:
            self._state.sent[publisher] = Sent(
                self._rise(publisher, "messages", messages),
                self._rise(publisher, "bytes", nbytes),
                self._rise(publisher, "failed", failed),
            )
            now = self._clock()
            while self._unpublished:
                self._measure(self._unpublished.popleft(), now)

    def graph_broken(self, broken: bool) -> None:
        """Whether the graph file does not build; an older graph goes on if there is one."""
        with self._lock:
            self._state.graph_broken = broken

    def queue(self, name: str, *, depth: int, dropped: int) -> None:
        """How many wait in a queue now, and how many it has thrown away in all."""
        with self._lock:
            total = self._rise(name, "dropped", dropped)
            self._state.queues[name] = Queue(depth, total)

    def end(self, ledger: Ledger) -> None:
        """The run is over, or was aborted; ``ledger`` is its last."""
        with self._lock:
            self._take(ledger)
        self._finish_run()

    def _finish_run(self) -> None:
        with self._lock:
            self._former += self._current + node_counts(self._nodes)
            self._current, self._plan, self._nodes = RunCounts(), None, ()
            self._unpublished.clear()
            self._state.in_progress = False

    def _take(self, ledger: Ledger) -> None:
        counts = RunCounts()
        for stage, reason, n in ledger.rows():
            if stage in STAGES:
                key = (stage, self._reasons[stage](reason))
                counts.events[key] = counts.events.get(key, 0) + n
        self._keep_lost(counts.events)
        for path, n in (self._plan.failures if self._plan is not None else {}).items():
            name = self._node_names(path)
            counts.errors[name] = counts.errors.get(name, 0) + n
        self._current, self._state.missing = counts, ledger.missing

    def _keep_lost(self, events: dict[tuple[str, str], int]) -> None:
        """What was lost stays so: not every ledger says it, and an estimate may shrink.

        And what was written, when the file turns out to have less of it.
        """
        rising = ("dropped", "written")
        told = sum(n for (stage, _), n in events.items() if stage in rising)
        for key, n in self._current.events.items():
            if key[0] in rising:
                events[key] = max(n, events.get(key, 0))
        kept = sum(n for (stage, _), n in events.items() if stage in rising)
        events["read", ""] += kept - told

    def _rise(self, name: str, what: str, value: int) -> int:
        return self._rising.setdefault((name, what), Rising()).read(value)

    def _measure(self, timestamps: NDArray[np.uint64], now: int) -> None:
        # Clocks differ: a pulse from the future was published at once.
        waited = np.maximum(now - unix_nanoseconds(timestamps), 0)
        self._state.latency.add(waited / 1e9)

    def _expire(self, now: int) -> None:
        """Count what nobody publishes as later than all bounds, and let go of it."""
        oldest = now - int(LATENCY_BOUNDS[-1] * 1_000_000_000)
        while self._unpublished:
            first = self._unpublished[0]
            if len(first) and int(unix_nanoseconds(first[-1:])[0]) >= oldest:
                return
            self._measure(self._unpublished.popleft(), now)

    def families(self) -> list[Family]:
        """All metrics as they are now, of all ranks that were told of.

        One batch is in all of them or in none, but for those of the nodes: these count as
        they go.
        """
        state = self.snapshot()
        with self._lock:
            others = list(self._ranks.values())
        for other in others:
            state = state.with_rank(other)
        return list(families(state))

    def snapshot(self) -> State:
        """What was counted here, as it is now."""
        with self._lock:
            state, nodes = self._state.snapshot(), self._nodes
            counts = self._former, self._current
        # Nothing below keeps the graph waiting.
        state.counts = sum(counts, node_counts(nodes))
        return state

    def rank(self, rank: int, state: State) -> None:
        """What another rank of the job has counted so far."""
        with self._lock:
            self._ranks[rank] = state

    def handed_over(self) -> State:
        """What was counted here, but for the ledger: the run is over, and rank 0 has it."""
        self._finish_run()
        with self._lock:
            self._former.events, self._former.errors = {}, {}
        return self.snapshot()


def nbytes_of(batch: Batch) -> int:
    """Bytes of the columns of a batch."""
    return sum(column.values.nbytes for column in batch.columns.values())


def node_counts(nodes: Iterable[tuple[str, Node]]) -> RunCounts:
    """What the nodes of a run have counted themselves, by the names given."""
    counts = RunCounts()
    for name, node in nodes:
        counts.seconds[name] = counts.seconds.get(name, 0.0) + node.seconds
        counts.passed[name] = counts.passed.get(name, 0) + node.events
    return counts
