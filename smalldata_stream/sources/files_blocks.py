"""Runs in blocks of consecutive events, of which each reader takes some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from smalldata_stream.batch import Batch, BatchLimits
from smalldata_stream.protocols import LONGEST_LEAD_IN_MS
from smalldata_stream.sources.fallback import Beside
from smalldata_stream.sources.files_events import EventTable
from smalldata_stream.sources.files_reader import RunReader
from smalldata_stream.timestamps import earlier
from smalldata_stream.xtc2.faults import FaultLog


@dataclass(slots=True)
class FileBlocks:
    """A run on disk in blocks; implements `smalldata_stream.protocols.Blocks`."""

    reader: RunReader
    table: EventTable
    beside: Beside
    limits: BatchLimits
    damage: FaultLog
    size: int = field(init=False)
    """Events of a block."""
    _settled: int = 0

    def __post_init__(self) -> None:
        self.size = self.table.block_size  # which looks at every event: once

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return -(-len(self.table.timestamps) // self.size)

    def read(self, number: int) -> Iterator[Batch]:
        """The events of block ``number``."""
        begin = number * self.size
        self.reader.settle(self.table, self._settled, begin)
        yield from self.beside.merged(
            self.reader.batches(self.table, self.limits, begin, begin + self.size)
        )
        self._settled = begin + self.size
        if number == self.count - 1:
            self.beside.end()

    def before(self, number: int, ms: float) -> Iterator[Batch]:
        """The lead-in of block ``number``."""
        begin = number * self.size
        if begin >= len(self.table.timestamps):
            return
        first = self.table.since(earlier(int(self.table.timestamps[begin]), ms))
        self.reader.settle(self.table, self._settled, first)
        with self.damage.unchanged():
            yield from self.beside.merged(
                self.reader.batches(self.table, self.limits, first, begin)
            )


@dataclass(slots=True)
class GrowingBlocks:
    """A run in growing files in blocks; implements `smalldata_stream.protocols.Blocks`.

    Blocks are short, because those under way when the run ends are what is waited for.
    """

    reader: RunReader
    tables: Iterator[EventTable]
    limits: BatchLimits
    damage: FaultLog
    size: int
    count: None = None
    _table: EventTable | None = None
    _before: int = 0
    """Events before those of the table."""
    _passed: list[EventTable] = field(default_factory=list)
    """The tables before it, as far as a lead-in may reach."""
    _settled: int = 0

    def read(self, number: int) -> Iterator[Batch]:
        """The events of block ``number``, as they come."""
        begin = number * self.size
        stop = begin + self.size
        while self._before < stop and (table := self._following()) is not None:
            first = max(begin - self._before, 0)
            end = min(stop - self._before, len(table.timestamps))
            self._settle(table, min(first, end))
            yield from self.reader.batches(table, self.limits, first, end)
            self._settled = max(self._settled, self._before + end)
            if stop - self._before < len(table.timestamps):
                return
            self._pass(table)

    def before(self, number: int, ms: float) -> Iterator[Batch]:
        """The lead-in of block ``number``, once its first event has come."""
        begin = number * self.size
        while (table := self._following()) is not None:
            at = begin - self._before
            if at < len(table.timestamps):
                break
            self._settle(table, len(table.timestamps))
            self._pass(table)
        if table is None:
            return
        since = earlier(int(table.timestamps[at]), ms)
        with self.damage.unchanged():
            for one in self._passed:
                yield from self.reader.batches(one, self.limits, one.since(since))
            self._settle(table, table.since(since))
            yield from self.reader.batches(table, self.limits, table.since(since), at)

    def _following(self) -> EventTable | None:
        """The table at hand, or the next one; None at the end of the run."""
        self._table = self._table or next(self.tables, None)
        return self._table

    def _settle(self, table: EventTable, stop: int) -> None:
        """Settle shapes by the events of ``table`` up to ``stop`` that were not seen."""
        self.reader.settle(table, max(self._settled - self._before, 0), stop)

    def _pass(self, table: EventTable) -> None:
        """Go on to the next table, and keep what a lead-in may need."""
        self._before += len(table.timestamps)
        self._table = None
        if not len(table.timestamps):
            return
        oldest = earlier(int(table.timestamps[-1]), LONGEST_LEAD_IN_MS)
        near = [one for one in self._passed if int(one.timestamps[-1]) >= oldest]
        self._passed = [*near, table]
