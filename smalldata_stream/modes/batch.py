"""Batch mode: a graph over every event of a run, into a sink, with a ledger that closes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smalldata_stream.batch import BatchLimits
from smalldata_stream.counted import counted
from smalldata_stream.errors import NodeFailures
from smalldata_stream.graph import FindConstants
from smalldata_stream.loading import GraphFile
from smalldata_stream.modes.limits import MAX_FAILURES
from smalldata_stream.modes.session import Report, Session
from smalldata_stream.plan import Plan
from smalldata_stream.protocols import Run, Sink

if TYPE_CHECKING:
    from smalldata_stream.metrics_session import SessionCounts

ENOUGH_TO_JUDGE = 100
"""Events that must have been read before that share is looked at in the middle of a run."""

Progress = Callable[[int, int | None], None]
"""Called with the events read so far and the number in the run, where known."""


def silent(read: int, total: int | None) -> None:
    """Say nothing about progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a batch job runs.

    ``max_failures`` is the share of events on which one node may fail; beyond it the job
    ends with `NodeFailures`. ``command`` and ``ranks`` are kept in the file.
    """

    limits: BatchLimits = field(default_factory=BatchLimits)
    max_failures: float = MAX_FAILURES
    progress: Progress = silent
    metrics: SessionCounts | None = None
    command: str = ""
    ranks: str = ""


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
    chosen = options or Options()
    session = Session(
        run.info, graph, sink, constants, metrics=chosen.metrics, command=chosen.command
    )
    session.begin()
    try:
        for batch in run.batches(tuple(session.plan.signals), chosen.limits):
            session.take(batch)
            read = session.ledger.read
            if read >= ENOUGH_TO_JUDGE:
                check_failures(session.plan, read, chosen.max_failures)
            chosen.progress(read, run.info.events)
        check_failures(session.plan, session.ledger.read, chosen.max_failures)
        return session.end(run.faults)
    except BaseException:
        session.abort()
        raise


def check_failures(plan: Plan, read: int, allowed: float) -> None:
    """Raise `NodeFailures` when a node failed on more than its share of the events."""
    for node, failed in plan.failures.items():
        if failed > allowed * read:
            letter = next(letter for letter in plan.letters if letter.node == node)
            raise NodeFailures(
                f"{node} failed on {failed} of {counted(read, 'event')} (allowed: "
                f"{allowed:.0%}), first at event {letter.timestamp}: {letter.error}; "
                "--max-failures 1 goes on, with gaps, and keeps the tracebacks in "
                "/ledger/dead_letters"
            )
