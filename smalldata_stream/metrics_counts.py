"""The numbers behind the metrics: histograms, bounded labels, totals that only rise."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

OTHER = "other"
"""The label of whatever comes after the labels that are told apart."""

Key = TypeVar("Key", bound=Hashable)
Number = TypeVar("Number", int, float)


class Histogram:
    """How many values were at most each of some bounds, and the sum of all values.

    >>> sizes = Histogram([1, 10])
    >>> sizes.add(np.array([1, 2, 11]))
    >>> sizes.buckets(), sizes.sum
    ([('1', 1), ('10', 2), ('+Inf', 3)], 14.0)
    """

    def __init__(self, bounds: Sequence[float] | NDArray[np.number]):
        """``bounds`` increase; what is above the last one is counted, too."""
        self.bounds = np.asarray(bounds)
        self.counts = np.zeros(len(bounds) + 1, np.int64)
        self.sum = 0.0

    def add(self, values: NDArray[np.number]) -> None:
        """Count some values, ``(n,)``, none below 0: the sum must not go back."""
        places = np.searchsorted(self.bounds, values)
        self.counts += np.bincount(places, minlength=len(self.counts))
        self.sum += float(values.sum())

    def __add__(self, other: Histogram) -> Histogram:
        both = self.copy()
        both.counts += other.counts
        both.sum += other.sum
        return both

    def copy(self) -> Histogram:
        """The same counts, apart from this one."""
        copy = Histogram(self.bounds)
        copy.counts, copy.sum = self.counts.copy(), self.sum
        return copy

    def buckets(self) -> list[tuple[str, int]]:
        """Upper bound and number of values up to it, as Prometheus has them."""
        names = [f"{bound:g}" for bound in self.bounds]
        return list(zip([*names, "+Inf"], np.cumsum(self.counts).tolist(), strict=True))


class Bounded:
    """Labels as they are, up to a number of different ones; then `OTHER`.

    A label that was once told apart stays so, or its counter would go back.

    >>> label = Bounded(2)
    >>> [label(name) for name in ("a", "b", "c", "a")]
    ['a', 'b', 'other', 'a']
    """

    def __init__(self, limit: int):
        self.limit = limit
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """The label to use for ``name``."""
        if name not in self._known:
            if len(self._known) >= self.limit:
                return OTHER
            self._known.add(name)
        return name


class Rising:
    """The total of a counter that somebody else keeps and may begin again.

    >>> total = Rising()
    >>> [total.read(n) for n in (3, 5, 1)]
    [3, 5, 6]
    """

    def __init__(self) -> None:
        self.total, self._last = 0, 0

    def read(self, value: int) -> int:
        """Take a reading; one below the last means that the counter began again at 0."""
        self.total += value - self._last if value >= self._last else value
        self._last = value
        return self.total


@dataclass(slots=True)
class RunCounts:
    """What a run has counted so far; those of several runs add up.

    ``events`` is by (stage, reason), the others by node.
    """

    events: dict[tuple[str, str], int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: RunCounts) -> RunCounts:
        return RunCounts(
            added(self.events, other.events),
            added(self.seconds, other.seconds),
            added(self.passed, other.passed),
            added(self.errors, other.errors),
        )


def added(one: Mapping[Key, Number], other: Mapping[Key, Number]) -> dict[Key, Number]:
    """Both summed, key by key.

    >>> added({"a": 1}, {"a": 2, "b": 3})
    {'a': 3, 'b': 3}
    """
    total = dict(one)
    for key, value in other.items():
        total[key] = total[key] + value if key in total else value
    return total
