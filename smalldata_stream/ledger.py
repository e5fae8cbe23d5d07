"""Where every event went: read = written + filtered + failed + dropped, by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

NOT_IN_FILE = "not in the file: "
"""How the reason of events begins that were reduced, when the file could no longer be
written; plots have them."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event on which a node failed: what to look at when the numbers have a gap."""

    timestamp: int
    node: str
    error: str
    traceback: str


@dataclass(slots=True)
class Ledger:
    """Counts of events; a run closes it or says that it does not close.

    ``read`` counts the events the source met, including those it could not deliver
    (``dropped``, by reason). ``filtered`` are left out by the graph on purpose, ``failed``
    could not be reduced at all. ``gaps`` counts (not part of the balance) the events in
    which a node failed and left a gap, by node; ``dead_letters`` tells the first of them
    apart, so many for each node. ``unknown`` counts likewise the gaps that are no failure:
    the data do not have what the result depends on.

    >>> ledger = Ledger(read=10, written=7)
    >>> ledger.filtered["laser off"] += 2
    >>> ledger.closes, ledger.missing
    (False, 1)
    """

    read: int = 0
    written: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    dead_letters: list[DeadLetter] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Events read that are nowhere else in the ledger."""
        gone = (self.filtered.total(), self.failed.total(), self.dropped.total())
        return self.read - self.written - sum(gone)

    @property
    def closes(self) -> bool:
        """True when every event is accounted for."""
        return self.missing == 0

    def rows(self) -> list[tuple[str, str, int]]:
        """(what, reason, events) for people and for the file, in one fixed order.

        >>> Ledger(read=2, written=2).rows()
        [('read', '', 2), ('written', '', 2)]
        """
        rows = [("read", "", self.read), ("written", "", self.written)]
        for what in ("filtered", "failed", "dropped", "gaps", "unknown"):
            counts: Counter[str] = getattr(self, what)
            rows += [(what, reason, n) for reason, n in sorted(counts.items())]
        return rows
