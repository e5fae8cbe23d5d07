"""One run going through a graph into a sink: the same steps live and in batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Batch, Column, Mask
from smalldata_stream.columns import truth
from smalldata_stream.graph import FindConstants, Graph
from smalldata_stream.ledger import Ledger
from smalldata_stream.loading import GraphFile
from smalldata_stream.modes.provenance import provenance
from smalldata_stream.plan import Plan
from smalldata_stream.protocols import Declaration, Fault, Result, Sink
from smalldata_stream.run import RunInfo

if TYPE_CHECKING:
    from smalldata_stream.metrics_session import SessionCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of one run; ``sink`` has written it."""

    run: RunInfo
    sink: Sink
    declaration: Declaration
    ledger: Ledger
    faults: Sequence[Fault]
    dropped: Sequence[str]
    totals: Mapping[str, Result]
    seconds: float


class Session:
    """A graph built for a run, its sink, and the ledger of the events so far.

    begin, then take for each batch, then end; or abort at any moment.

    Raises
    ------
    GraphError
        When made, where the graph does not fit the run.
    """

    def __init__(
        self,
        run: RunInfo,
        graph: GraphFile,
        sink: Sink,
        constants: FindConstants,
        *,
        metrics: SessionCounts | None = None,
        command: str = "",
        ranks: str = "",
    ):
        self._started = time.monotonic()
        self._graph: Graph = graph.build(run, constants)
        self._sink, self._metrics = sink, metrics
        self.run = run
        self.ledger = Ledger()
        self.declaration = declare(self._graph, graph, command, ranks)

    @property
    def plan(self) -> Plan:
        """The nodes of the graph."""
        return self._graph.plan

    def begin(self) -> None:
        """Open the sink."""
        self._sink.begin(self.declaration)
        if self._metrics is not None:
            self._metrics.begin(self.declaration, self.plan)

    def take(self, batch: Batch) -> None:
        """Send a batch through the graph, write what is kept of it, and account for it."""
        self.plan.push(batch)
        kept = kept_events(self.plan, batch, self.ledger)
        record = {path: batch.record[path] for path in self.declaration.outputs}
        if kept.all():
            self._sink.write(batch.timestamps, record)
        elif kept.any():
            chosen = {path: column.select(kept) for path, column in record.items()}
            self._sink.write(batch.timestamps[kept], chosen)
        self.ledger.read += len(batch)
        self.ledger.written += int(np.count_nonzero(kept))
        self.ledger.unknown += self.plan.unknown
        self.plan.unknown.clear()
        if self._metrics is not None:
            self._metrics.batch(batch, self.ledger)

    def write(self, timestamps: NDArray[np.uint64], record: Mapping[str, Column]) -> None:
        """Write events that went through the same graph elsewhere; the ledger is theirs."""
        self._sink.write(timestamps, record)

    def ledger_with(self, faults: Sequence[Fault]) -> Ledger:
        """The ledger with what the source has lost so far and the nodes' failures."""
        ledger = deepcopy(self.ledger)
        lost: Counter[str] = Counter()
        for fault in faults:
            lost[fault.what] += fault.events
        ledger.dropped = +lost  # without the faults that cost no event
        ledger.read += ledger.dropped.total()
        self.plan.report(ledger)
        return ledger

    def end(self, faults: Sequence[Fault]) -> Report:
        """Write totals and ledger and finish the sink."""
        self.ledger = self.ledger_with(faults)
        totals = self.plan.results() | self.plan.look_up(self.run.begin)
        self._sink.end(totals, self.ledger)
        self._close()
        return Report(
            run=self.run,
            sink=self._sink,
            declaration=self.declaration,
            ledger=self.ledger,
            faults=tuple(faults),
            dropped=tuple(self.plan.dropped),
            totals=totals,
            seconds=time.monotonic() - self._started,
        )

    def abort(self) -> None:
        """Stop here; the sink keeps what is safe to keep."""
        self._sink.abort()
        self._close()

    def _close(self) -> None:
        self.plan.close()
        if self._metrics is not None:
            self._metrics.end(self.ledger)


def kept_events(plan: Plan, batch: Batch, ledger: Ledger) -> Mask:
    """The events to write; the others are counted by the first reason that holds."""
    kept = np.ones(len(batch), bool)
    for path, why in plan.keeps:
        left_out = kept & ~truth(batch.record[path])
        ledger.filtered[why] += int(np.count_nonzero(left_out))
        kept &= ~left_out
    return kept


def declare(g: Graph, graph: GraphFile, command: str = "", ranks: str = "") -> Declaration:
    """All that a sink is told before the first event."""
    return Declaration(
        run=g.run,
        outputs=g.plan.outputs(),
        totals=g.plan.totals(),
        plots=g.plan.plots(),
        config=g.plan.config,
        provenance=provenance(g, graph, command, ranks),
    )
