"""What did not come through: counted where it is known, estimated where it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.protocols import Fault

NOT_SENT = "not handed out by the server (by the period of the timestamps)"
DROPPED = "given up for newer ones: the reader was too slow"
BROKEN = "a datagram of impossible size"
EARLY = "older than the run that it came in"
LATE = "the timestamp goes back"
TWICE = "handed out twice"
STRAY = "came in no run"
GONE = "the server went away before EndRun"
NO_END = "the run ended without EndRun"

_LOST = (DROPPED, BROKEN, EARLY, LATE, STRAY)
"""Reasons that cost the event; those that came twice are there once."""


@dataclass(slots=True)
class Gaps:
    """Events that are missing between those that came, if events are periodic.

    The period is the shortest time between two that came one after the other; a time of
    k periods is taken for k - 1 missing events. What was lost before the first event of a
    step or after its last cannot be known; nor can that every second event went elsewhere,
    if it did from the beginning.

    >>> gaps = Gaps()
    >>> gaps.add(np.array([20, 20]))
    >>> gaps.missing
    0
    >>> gaps.add(np.array([10, 30]))
    >>> gaps.missing, gaps.period
    (4, 10)
    """

    period: int = 0
    missing: int = 0
    _total: int = 0
    _count: int = 0

    def add(self, intervals: NDArray[np.int64]) -> None:
        """Take times between neighbours within one step, in ns."""
        intervals = intervals[intervals > 0]
        if not len(intervals):
            return
        least = int(intervals.min())
        if not self.period or least < 0.75 * self.period:
            # What was taken for one period was several.
            self.missing = max(0, round(self._total / least) - self._count)
        self.period = min(self.period or least, least)
        self._total += int(intervals.sum())
        self._count += len(intervals)
        self.missing += int(np.rint(intervals / self.period).sum()) - len(intervals)


@dataclass(slots=True)
class Losses:
    """Events of one run that were not delivered, by reason."""

    where: str
    counts: Counter[str] = field(default_factory=Counter)
    gaps: Gaps = field(default_factory=Gaps)

    def faults(self) -> Iterator[Fault]:
        """One fault per reason."""
        lost = self.counts[DROPPED] + self.counts[BROKEN]
        not_sent = max(0, self.gaps.missing - lost)  # those are gaps, too
        if not_sent:
            yield Fault(self.where, NOT_SENT, not_sent)
        for why, count in self.counts.items():
            if count:
                yield Fault(self.where, why, count if why in _LOST else 0)
