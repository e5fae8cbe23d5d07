"""Runs in blocks of consecutive events, of which each reader takes some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from smalldata_stream.batch import Batch, BatchLimits
from smalldata_stream.sources.fallback import Beside
from smalldata_stream.sources.files_events import EventTable
from smalldata_stream.sources.files_reader import RunReader
from smalldata_stream.xtc2.faults import FaultLog


@dataclass(slots=True)
class FileBlocks:
    """A run on disk in blocks; implements `smalldata_stream.protocols.Blocks`."""

    reader: RunReader
    table: EventTable
    beside: Beside
    limits: BatchLimits
    damage: FaultLog
    _settled: int = 0

    @property
    def size(self) -> int:
        """Events of a block."""
        return self.table.block_size

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return -(-len(self.table.timestamps) // self.size)

    def read(self, number: int) -> Iterator[Batch]:
        """The events of block ``number``."""
        begin = number * self.size
        self.reader.settle(self.table, self._settled, begin)
        self._settled = begin
        yield from self.beside.merged(
            self.reader.batches(self.table, self.limits, begin, begin + self.size)
        )
        if number == self.count - 1:
            self.beside.end()


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
    _settled: int = 0

    def read(self, number: int) -> Iterator[Batch]:
        """The events of block ``number``, as they come."""
        begin = number * self.size
        stop = begin + self.size
        while self._before < stop:
            table = self._table = self._table or next(self.tables, None)
            if table is None:
                return
            first = max(begin - self._before, 0)
            end = min(stop - self._before, len(table.timestamps))
            unseen = max(self._settled - self._before, 0)
            self.reader.settle(table, unseen, min(first, end))
            yield from self.reader.batches(table, self.limits, first, end)
            self._settled = max(self._settled, self._before + end)
            if stop - self._before < len(table.timestamps):
                return
            self._before += len(table.timestamps)
            self._table = None
