"""Exact statistics of numbers by key: by time bin, by scan position, by bin."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.reductions.plots.sums import Floats, Sums, mean_and_error

Keys = NDArray[Any]


class Groups:
    """Number, sum, sum of squares, lowest and highest of the values of each key.

    ``keys`` are distinct and increasing; only those that have a value are there. Merging
    is exact and commutes.

    >>> groups = Groups.of(np.array([7, 3, 7]), np.array([1.0, 5.0, 3.0]))
    >>> groups.keys.tolist(), groups.counts.tolist(), groups.mean_and_error()[0].tolist()
    ([3, 7], [1, 2], [5.0, 2.0])
    """

    __slots__ = ("counts", "highest", "keys", "lowest", "squares", "sums")

    def __init__(self, keys: Keys):
        """No value yet, for ``keys``."""
        n = len(keys)
        self.keys = keys
        self.counts = np.zeros(n, np.int64)
        self.lowest, self.highest = np.full(n, np.inf), np.full(n, -np.inf)
        self.sums, self.squares = Sums(n), Sums(n)

    @classmethod
    @np.errstate(over="ignore")
    def of(cls, keys: Keys, values: Floats) -> Self:
        """The statistics of ``values``, ``(n,)`` and finite, by ``keys``, ``(n,)``."""
        distinct, at = np.unique(keys, return_inverse=True)
        groups = cls(distinct)
        np.add.at(groups.counts, at, 1)
        np.minimum.at(groups.lowest, at, values + 0.0)  # one zero, whichever came first
        np.maximum.at(groups.highest, at, values + 0.0)
        groups.sums.add_at(values, at)
        groups.squares.add_at(values * values, at)
        return groups

    def plus(self, other: Groups) -> Groups:
        """All values of both; neither is changed."""
        both = Groups(np.union1d(self.keys, other.keys))
        for part in (self, other):
            both._take(part, np.searchsorted(both.keys, part.keys))
        return both

    def rekeyed(self, keys: Keys) -> Groups:
        """The same values under other keys, ``(n,)``, equal ones becoming one."""
        distinct, at = np.unique(keys, return_inverse=True)
        groups = Groups(distinct)
        groups._take(self, at)
        return groups

    def only(self, keys: Keys) -> Groups:
        """Those of ``keys`` that are there."""
        kept = np.isin(self.keys, keys)
        groups = Groups(self.keys[kept])
        for mine, theirs in ((groups.sums, self.sums), (groups.squares, self.squares)):
            mine.high, mine.low = theirs.high[:, kept].copy(), theirs.low[:, kept].copy()
        groups.counts = self.counts[kept]
        groups.lowest, groups.highest = self.lowest[kept], self.highest[kept]
        return groups

    def at(self, keys: Keys) -> Groups:
        """The same for ``keys``, increasing, which have all of ours; more may be empty."""
        return Groups(keys).plus(self)

    def mean_and_error(self) -> tuple[Floats, Floats]:
        """Mean and standard error by key; NaN where there is none."""
        count = self.counts.astype(np.float64)
        return mean_and_error(count, self.sums.value(), self.squares.value())

    def _take(self, other: Groups, at: NDArray[np.int64]) -> None:
        np.add.at(self.counts, at, other.counts)
        np.minimum.at(self.lowest, at, other.lowest)
        np.maximum.at(self.highest, at, other.highest)
        self.sums.merge_at(other.sums, at)
        self.squares.merge_at(other.squares, at)
