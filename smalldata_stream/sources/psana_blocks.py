"""A run that psana reads in blocks, and what it met in those that were read here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from smalldata_stream.batch import Batch
from smalldata_stream.protocols import Fault
from smalldata_stream.sources.files_events import EventTable
from smalldata_stream.sources.psana_messages import Request
from smalldata_stream.timestamps import earlier

if TYPE_CHECKING:
    from smalldata_stream.sources.psana_run import PsanaRun


@dataclass(slots=True)
class PsanaDamage:
    """What psana's process found not to be as it should; implements `protocols.Damage`."""

    where: str
    gaps: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def merge(self, other: Self) -> None:
        """Take what ``other`` has met in other events."""
        self.gaps.update(other.gaps)
        self.lost.update(other.lost)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What is met meanwhile is forgotten: it is met elsewhere, too."""
        gaps, lost = self.gaps.copy(), self.lost.copy()
        try:
            yield
        finally:
            self.gaps, self.lost = gaps, lost

    def faults(self) -> list[Fault]:
        """One fault per kind."""
        said = {f"{what} ({n} datagrams)": 0 for what, n in self.gaps.items()}
        said.update(self.lost)
        return [Fault(self.where, what, events) for what, events in said.items()]


@dataclass(slots=True)
class PsanaBlocks:
    """A run that psana reads, in blocks; implements `protocols.Blocks`."""

    run: PsanaRun
    request: Request
    size: int
    table: EventTable

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return -(-len(self.table.timestamps) // self.size)

    @property
    def damage(self) -> PsanaDamage:
        """Damage met in the blocks that were read here."""
        return self.run.damage

    def read(self, number: int) -> Iterator[Batch]:
        """The events of block ``number``."""
        last = number == self.count - 1
        begin = number * self.size
        yield from self.run.part(
            replace(self.request, skip=begin, stop=None if last else begin + self.size)
        )

    def before(self, number: int, ms: float) -> Iterator[Batch]:
        """The lead-in of block ``number``."""
        begin = number * self.size
        if number < self.count:
            since = earlier(int(self.table.timestamps[begin]), ms)
            with self.damage.unchanged():
                yield from self.run.part(
                    replace(self.request, skip=self.table.since(since), stop=begin)
                )
