"""Damage met while reading, added up so that a bad file does not drown its reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from smalldata_stream.protocols import Fault
from smalldata_stream.xtc2.walk import Problem


@dataclass(slots=True)
class _Entry:
    offset: int
    count: int = 0
    events: int = 0


@dataclass(slots=True)
class FaultLog:
    """Faults by file and kind: where the first one is and how many datagrams it hit.

    >>> log = FaultLog()
    >>> log.add("a.xtc2", 96, "the extent of a part is wrong", 1)
    >>> log.add("a.xtc2", 480, "the extent of a part is wrong", 2)
    >>> log.faults()[0].what
    'the extent of a part is wrong (3 datagrams)'
    """

    _entries: dict[tuple[str, str], _Entry] = field(default_factory=dict)

    def add(self, path: str, offset: int, what: str, count: int, events: int = 0) -> None:
        """Note damage; ``events`` are those that are lost, not gaps."""
        entry = self._entries.setdefault((path, what), _Entry(offset))
        entry.offset = min(entry.offset, offset)
        entry.count += count
        entry.events += events

    def add_problems(self, path: str, problems: Iterable[Problem]) -> None:
        """Note what was wrong with some datagrams of ``path``."""
        for problem in problems:
            self.add(path, problem.offset, problem.what, problem.datagrams)

    def merge(self, other: FaultLog) -> None:
        """Add the damage that ``other`` has noted of other datagrams."""
        for (path, what), entry in other._entries.items():
            self.add(path, entry.offset, what, entry.count, entry.events)

    def take(self, other: FaultLog) -> None:
        """As `merge`, and ``other`` is empty then."""
        self.merge(other)
        other._entries.clear()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What is noted meanwhile is forgotten: it is noted elsewhere, too."""
        kept = FaultLog()
        kept.take(self)
        try:
            yield
        finally:
            self._entries.clear()
            self.merge(kept)

    def faults(self) -> list[Fault]:
        """One fault per file and kind."""
        return [
            Fault(
                f"{path}: byte {entry.offset}",
                what + (f" ({entry.count} datagrams)" if entry.count > 1 else ""),
                entry.events,
            )
            for (path, what), entry in self._entries.items()
        ]
