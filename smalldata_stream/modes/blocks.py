"""Batch mode in blocks: any number of ranks, one file, and a job that can be resumed.

Each rank asks for a block, sends its events through the graph, and writes their rows to a
file of its own. Every few seconds it makes sure that what it has done is safe: rows on the
disk, and beside them which blocks they are of and all that adds up over the run. At the end
rank 0 puts the rows of all ranks together in time order.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from itertools import count
from typing import Any

from sinks.hdf5_parts import Merged, PartSink, Rows
from smalldata_stream.errors import SmalldataError, SourceError
from smalldata_stream.graph import FindConstants
from smalldata_stream.loading import GraphFile
from smalldata_stream.modes.agreed import agreed
from smalldata_stream.modes.batch import ENOUGH_TO_JUDGE, Options, check_failures
from smalldata_stream.modes.done import SUFFIX, Done, gathered, load
from smalldata_stream.modes.folder import Folder, Output, folder_of
from smalldata_stream.modes.hand_out import Numbers
from smalldata_stream.modes.ranks import Ranks, unfinished
from smalldata_stream.modes.session import Report, Session
from smalldata_stream.protocols import Divisible, Run
from smalldata_stream.rank import IN_HAND

CHECKPOINT_SECONDS = 5.0
CHECKPOINT_SHARE = 0.05
"""Of a rank's time, that it takes at most to make what was done safe."""

REPORT_SECONDS = 5.0
"""How often rank 0 gets to know what the others have counted for the metrics."""


class RankError(Exception):
    """One rank failed while the others work; says which, and in which block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a job."""

    report: Report
    merged: Merged | None
    blocks: int
    resumed: int


def reduce_blocks(
    run: Run,
    graph: GraphFile,
    output: Output,
    constants: FindConstants,
    options: Options,
    ranks: Ranks,
) -> Outcome | None:
    """Reduce one run, which is `Divisible`, with all ranks of the job.

    Returns
    -------
    Outcome
        In rank 0; None in the others.

    Raises
    ------
    WholeAlreadyError
        Where there is nothing left to do.
    RankError
        In a rank of several that fails between the first event and the last: the job has
        to be aborted, as the others go on.
    SmalldataError
        As in `smalldata_stream.modes.batch.reduce_run`; in all ranks.
    """
    job = Job(run, graph, output, constants, options, ranks)
    try:
        job.work()
    except BaseException as error:
        job.stop()
        if ranks.size == 1 or not isinstance(error, Exception):
            raise
        what = str(error)
        if not isinstance(error, SmalldataError):
            what = "".join(traceback.format_exception(error))
        raise RankError(f"{ranks}, {IN_HAND}: {what}") from error
    IN_HAND.nothing()
    return job.finish()


class Job:
    """What one rank does of a run."""

    def __init__(
        self,
        run: Run,
        graph: GraphFile,
        output: Output,
        constants: FindConstants,
        options: Options,
        ranks: Ranks,
    ):
        self._run, self._options, self._ranks = run, options, ranks
        self._sink = PartSink(folder_of(output.path), "", output.compression)
        self.session = agreed(
            ranks,
            lambda: Session(
                run.info,
                graph,
                self._sink,
                constants,
                metrics=options.metrics,
                command=options.command,
                ranks=options.ranks,
            ),
        )
        self._folder: Folder | None = None
        try:
            agreed(ranks, lambda: self._begin(output))
            self._earlier = agreed(ranks, self._load)
        except BaseException:
            self.stop(begun=False)
            raise
        self._done = Done()
        self._next = 0
        """The block that goes on where the last one here has ended."""
        self._read: dict[int, int] = {}
        self._before = ranks.reduced(set(self._earlier.rows), set.update) or set()
        self._events_before = ranks.reduced([self._earlier.ledger.read], list.extend) or []
        self._due = time.monotonic() + CHECKPOINT_SECONDS
        self._report_due = 0.0
        self._safe = True

    def stop(self, *, begun: bool = True) -> None:
        """End here; what was made safe stays."""
        self.session.abort()
        # Once blocks are handed out, the other ranks may be writing there.
        if self._folder is not None and not (begun and self._ranks.size > 1):
            self._folder.leave()

    def _begin(self, output: Output) -> None:
        assert isinstance(self._run, Divisible)
        signals = tuple(self.session.plan.signals)
        self._blocks = self._run.blocks(signals, self._options.limits)
        self.session.begin()
        if self._ranks.first:
            self._folder = Folder(output, self._key(output))

    def _key(self, output: Output) -> dict[str, str]:
        """What the file is made from: a job that resumes another must agree in it."""
        about = dict(self.session.declaration.provenance)
        for name in ("command", "ranks"):
            about.pop(name, None)
        about["events"] = str(self._run.info.events)
        about["block"] = f"{self._blocks.size} events"
        about["compression"] = output.compression
        return about

    def _load(self) -> Done:
        """Share out what was done before; all ranks must see one run."""
        attempt, names = self._ranks.share(
            (self._folder.attempt, self._folder.done) if self._folder else (0, [])
        )
        ranks, info = self._ranks, self._run.info
        seen = ranks.gathered(
            f"run {info.number} with {info.events} events in blocks of {self._blocks.size}"
        )
        first_of = {what: seen.index(what) for what in seen}
        if len(first_of) > 1:
            which = "; ".join(f"rank {rank} {what}" for what, rank in first_of.items())
            raise SourceError(f"the ranks see different data: {which}")
        outputs = {p: str(spec) for p, spec in self.session.declaration.outputs.items()}
        of_first = ranks.share(outputs)
        differ = sorted(set(outputs.items()) ^ set(of_first.items()))
        if differ:
            raise SourceError(
                f"{differ[0][0]} is not the same here and in rank 0: they began to read at "
                "different times; begin again"
            )
        self._sink.name = f"a{attempt:03d}-r{ranks.rank:04d}.h5"
        mine = names[ranks.rank :: ranks.size]
        return gathered(load(self._sink.folder / name) for name in mine)

    # ------------------------------------------------------------------------ working

    def work(self) -> None:
        """Take blocks until there are no more."""
        known = self._blocks.count
        every = count() if known is None else range(known)
        numbers = unfinished(every, self._before)
        with self._ranks.handing_out(numbers, self._told, self._reported) as handed:
            number = handed.next()
            while number is not None:
                found = self._block(number, handed)
                number = handed.next(ended=not found)

    def _block(self, number: int, handed: Numbers) -> bool:
        """Do one block; False where it is behind the end."""
        first = number * self._blocks.size
        IN_HAND.block(number, first, first + self._blocks.size - 1)
        session, plan = self.session, self.session.plan
        plan.letters = []
        if plan.before_ms and number != self._next:
            for batch in self._blocks.before(number, plan.before_ms):
                plan.remember(batch)
        self._next = number + 1
        before, read = self._sink.rows, session.ledger.read
        for batch in self._blocks.read(number):
            handed.left(read + self._blocks.size - session.ledger.read - len(batch))
            session.take(batch)
            handed.tell(session.ledger.read)
            self._report(handed)
        if self._blocks.count is None and session.ledger.read == read:
            return False
        self._done.rows[number] = Rows(self._sink.name, before, self._sink.rows)
        if plan.letters:
            self._done.letters[number] = plan.letters
        self._safe = False
        of = self._run.info.events or session.ledger.read
        if of >= ENOUGH_TO_JUDGE:
            check_failures(plan, of, self._options.max_failures)
        if time.monotonic() >= self._due:
            self._checkpoint()
        return True

    def _told(self, rank: int, events: int) -> None:
        self._read[rank] = events
        read = sum(self._events_before) + sum(self._read.values())
        self._options.progress(read, self._run.info.events)

    def _report(self, handed: Numbers) -> None:
        """Have rank 0 know, now and then, what was counted here."""
        metrics, now = self._options.metrics, time.monotonic()
        if metrics is not None and not self._ranks.first and now >= self._report_due:
            self._report_due = now + REPORT_SECONDS
            handed.report(metrics.snapshot())

    def _reported(self, rank: int, counts: Any) -> None:
        if self._options.metrics is not None:
            self._options.metrics.rank(rank, counts)

    def _checkpoint(self) -> None:
        """Make what was done safe."""
        started = time.monotonic()
        self._sink.checkpoint()
        self._note()
        self._done.save((self._sink.folder / self._sink.name).with_suffix(SUFFIX))
        self._safe = True
        now = time.monotonic()
        self._due = now + max(CHECKPOINT_SECONDS, (now - started) / CHECKPOINT_SHARE)

    def _note(self) -> None:
        plan = self.session.plan
        self._done.ledger, self._done.failures = self.session.ledger, plan.failures
        self._done.states, self._done.damage = plan.states(), self._blocks.damage
        self._done.newest = plan.newest

    # ---------------------------------------------------------------------- finishing

    def finish(self) -> Outcome | None:
        """Put together what all ranks have done."""
        agreed(self._ranks, self._close)
        self._earlier.merge(self._done)
        self._hand_over()
        whole = self._ranks.reduced(self._earlier, Done.merge)
        if not self._ranks.first:
            self.session.plan.close()
        return agreed(self._ranks, lambda: self._put_together(whole) if whole else None)

    def _hand_over(self) -> None:
        """Give rank 0 what was counted here; the ledger it gets with what was done."""
        metrics, ranks = self._options.metrics, self._ranks
        if metrics is None:
            return
        mine = None if ranks.first else metrics.handed_over()
        for rank, counts in (ranks.reduced({ranks.rank: mine}, dict.update) or {}).items():
            if counts is not None:
                metrics.rank(rank, counts)

    def _close(self) -> None:
        alone = self._ranks.size == 1 and not self._earlier.rows
        self._note()
        if not (self._safe or alone):
            self._checkpoint()
        if not self._ranks.first:
            self._sink.close()

    def _put_together(self, whole: Done) -> Outcome:
        assert self._folder is not None
        session, plan = self.session, self.session.plan
        session.ledger = whole.ledger
        plan.failures, plan.letters = whole.failures, whole.first_letters()
        plan.newest = whole.newest
        if whole.states:
            plan.put_states(whole.states)
        try:
            check_failures(plan, session.ledger.read, self._options.max_failures)
            self._sink.order = whole.ordered()
            lost = whole.damage.faults() if whole.damage is not None else ()
            report = session.end([*self._run.faults, *lost])
        except BaseException:
            session.abort()
            self._folder.leave()
            raise
        assert self._sink.whole is not None
        self._folder.publish(self._sink.whole)
        return Outcome(
            report=report,
            merged=self._sink.merged,
            blocks=len(whole.rows),
            resumed=len(self._before),
        )
