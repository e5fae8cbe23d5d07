"""One run going through a graph into a sink: the same steps live and in batch."""

from __future__ import annotations

import logging
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
from smalldata_stream.errors import OutputError, WriteFailed
from smalldata_stream.graph import FindConstants, Graph
from smalldata_stream.ledger import NOT_IN_FILE, Ledger
from smalldata_stream.loading import GraphFile
from smalldata_stream.modes.provenance import provenance
from smalldata_stream.plan import Plan
from smalldata_stream.protocols import Declaration, Fault, Result, Sink
from smalldata_stream.run import RunInfo

if TYPE_CHECKING:
    from smalldata_stream.metrics_session import SessionCounts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of one run; ``sink`` has written it, unless ``lost`` says why not."""

    run: RunInfo
    sink: Sink
    declaration: Declaration
    ledger: Ledger
    faults: Sequence[Fault]
    dropped: Sequence[str]
    totals: Mapping[str, Result]
    seconds: float
    lost: str = ""


class Session:
    """A graph built for a run, its sink, and the ledger of the events so far.

    begin, then take for each batch, then end; or abort at any moment. With ``go_on`` a sink
    that can no longer be written does not end the session: it is left as it is, and the
    ledger has as ``written`` what is in it.

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
        go_on: bool = False,
    ):
        self._started = time.monotonic()
        self._graph: Graph = graph.build(run, constants)
        self._sink, self._metrics, self._go_on = sink, metrics, go_on
        self._given, self._kept = 0, 0  # events
        self._why = ""
        self.lost = ""
        self.run = run
        self.ledger = Ledger()
        self.declaration = declare(self._graph, graph, command, ranks)

    @property
    def plan(self) -> Plan:
        """The nodes of the graph."""
        return self._graph.plan

    def begin(self) -> None:
        """Open the sink; `OutputError` if it is one that cannot be meant."""
        try:
            self._sink.begin(self.declaration)
        except WriteFailed as error:
            self._lose(error)
        if self._metrics is not None:
            self._metrics.begin(self.declaration, self.plan)

    def take(self, batch: Batch) -> None:
        """Send a batch through the graph, write what is kept of it, and account for it."""
        self.plan.push(batch)
        kept = kept_events(self.plan, batch, self.ledger)
        record = {path: batch.record[path] for path in self.declaration.outputs}
        if kept.all():
            self.write(batch.timestamps, record)
        elif kept.any():
            chosen = {path: column.select(kept) for path, column in record.items()}
            self.write(batch.timestamps[kept], chosen)
        self.ledger.read += len(batch)
        self.ledger.written += int(np.count_nonzero(kept))
        self.ledger.unknown += self.plan.unknown
        self.plan.unknown.clear()
        self.count_lost(self.ledger)
        if self._metrics is not None:
            self._metrics.batch(batch, self.ledger)

    def write(self, timestamps: NDArray[np.uint64], record: Mapping[str, Column]) -> None:
        """Hand events to the sink, from here or from the same graph elsewhere."""
        if self.lost:
            return
        try:
            self._sink.write(timestamps, record)
        except OutputError as error:
            self._lose(error)
        else:
            self._given += len(timestamps)

    def count_lost(self, ledger: Ledger) -> None:
        """Have as written what is in the sink, if it can no longer be written."""
        missing = ledger.written - self._kept
        if self.lost and missing > 0:
            ledger.failed[NOT_IN_FILE + self._why] += missing
            ledger.written = self._kept

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
        if not self.lost:
            try:
                self._sink.end(totals, self.ledger)
            except OutputError as error:
                self._lose(error)
                self.count_lost(self.ledger)
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
            lost=self.lost,
        )

    def _lose(self, error: OutputError) -> None:
        """Write no more; what is in the sink stays."""
        if not self._go_on:
            raise error
        try:
            self._sink.abort()
        except WriteFailed as worse:
            error = worse
        if isinstance(error, WriteFailed):
            self._why, self._kept = error.why, error.kept
        else:
            self._why, self._kept = "see the log", self._given
        self.lost = f"{error}; {self._kept:,} events are in it"
        log.error("%s; the plots go on", self.lost)

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
