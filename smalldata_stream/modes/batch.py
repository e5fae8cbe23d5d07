"""Batch mode: a graph over every event of a run, into a sink, with a ledger that closes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from smalldata_stream.batch import Batch, BatchLimits, Mask
from smalldata_stream.columns import truth
from smalldata_stream.errors import NodeFailures
from smalldata_stream.graph import FindConstants, Graph
from smalldata_stream.ledger import Ledger
from smalldata_stream.loading import GraphFile
from smalldata_stream.modes.provenance import provenance
from smalldata_stream.protocols import Declaration, Fault, Result, Run, Sink
from smalldata_stream.run import RunInfo

MAX_FAILURES = 0.1
"""Share of the events on which one node may fail before a batch job gives up."""

ENOUGH_TO_JUDGE = 100
"""Events that must have been read before that share is looked at in the middle of a run."""

Progress = Callable[[int, int | None], None]
"""Called with the events read so far and the number in the run, where known."""


def silent(read: int, total: int | None) -> None:
    """Say nothing about progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of one run."""

    run: RunInfo
    declaration: Declaration
    ledger: Ledger
    faults: Sequence[Fault]
    dropped: Sequence[str]
    totals: Mapping[str, Result]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a batch job runs.

    ``max_failures`` is the share of events on which one node may fail; beyond it the job
    ends with `NodeFailures`.
    """

    limits: BatchLimits = field(default_factory=BatchLimits)
    max_failures: float = MAX_FAILURES
    progress: Progress = silent
    command: str = ""


def declare(g: Graph, graph: GraphFile, command: str = "") -> Declaration:
    """All that a sink is told before the first event."""
    return Declaration(
        run=g.run,
        outputs=g.plan.outputs(),
        totals=g.plan.totals(),
        plots=g.plan.plots(),
        config=g.plan.config,
        provenance=provenance(g, graph, command),
    )


def reduce_run(
    run: Run,
    graph: GraphFile,
    sink: Sink,
    constants: FindConstants = lambda detector: None,
    options: Options | None = None,
) -> Report:
    """Reduce one run: build the graph, push every batch through it, write, and account.

    Raises
    ------
    GraphError
        Before the first event, where the graph does not fit the run.
    NodeFailures
        When a node fails on too many events; what was written so far is kept apart.
    SourceError, OutputError
        When nothing can be read, or the result cannot be written.
    """
    options = options or Options()
    started = time.monotonic()
    g = graph.build(run.info, constants)
    declaration = declare(g, graph, options.command)
    ledger = Ledger()
    sink.begin(declaration)
    try:
        for batch in run.batches(tuple(g.plan.signals), options.limits):
            g.plan.push(batch)
            kept = kept_events(g, batch, ledger)
            write(sink, batch, declaration, kept)
            ledger.read += len(batch)
            ledger.written += int(np.count_nonzero(kept))
            if ledger.read >= ENOUGH_TO_JUDGE:
                check_failures(g, ledger.read, options.max_failures)
            options.progress(ledger.read, run.info.events)
        check_failures(g, ledger.read, options.max_failures)
        for fault in run.faults:
            ledger.read += fault.events
            ledger.dropped[fault.what] += fault.events
        ledger.dropped += type(ledger.dropped)()  # forget reasons that cost no event
        g.plan.report(ledger)
        totals = g.plan.results()
        sink.end(totals, ledger)
    except BaseException:
        sink.abort()
        raise
    finally:
        g.plan.close()
    return Report(
        run=run.info,
        declaration=declaration,
        ledger=ledger,
        faults=tuple(run.faults),
        dropped=tuple(g.plan.dropped),
        totals=totals,
        seconds=time.monotonic() - started,
    )


def kept_events(g: Graph, batch: Batch, ledger: Ledger) -> Mask:
    """The events to write; the others are counted by the first reason that holds."""
    kept = np.ones(len(batch), bool)
    for path, why in g.plan.keeps:
        left_out = kept & ~truth(batch.record[path])
        ledger.filtered[why] += int(np.count_nonzero(left_out))
        kept &= ~left_out
    return kept


def write(sink: Sink, batch: Batch, declaration: Declaration, kept: Mask) -> None:
    """Hand the declared columns of the kept events to the sink."""
    record = {path: batch.record[path] for path in declaration.outputs}
    if kept.all():
        sink.write(batch.timestamps, record)
    elif kept.any():
        chosen = {path: column.select(kept) for path, column in record.items()}
        sink.write(batch.timestamps[kept], chosen)


def check_failures(g: Graph, read: int, allowed: float) -> None:
    """Raise `NodeFailures` when a node failed on more than its share of the events."""
    for node, failed in g.plan.failures.items():
        if failed > allowed * read:
            letter = next(letter for letter in g.plan.letters if letter.node == node)
            raise NodeFailures(
                f"{node} failed on {failed} of {read} events (allowed: {allowed:.0%}); "
                f"first at event {letter.timestamp}: {letter.error}\n{letter.traceback}"
            )
