"""Exact sums of numbers of any usual size, many at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels import exact_at, exact_rounding, exact_sum

Floats = NDArray[np.float64]

SCALES = (-64, 0, 64, 128)
"""Powers of two that addends are multiplied by; what one cannot hold goes to the next."""

UNIT = SCALES[-1] + exact_rounding.UNIT
"""A sum of all scales is an integer in units of two to the minus this."""


class Sums:
    """``size`` sums with the same bits for any order, split and merge of the addends.

    `ExactSum` rounds each addend to a multiple of 2^-32, which is right for pixels and
    nothing for an energy in joules. Here there are four such sums, in units of 2^32,
    2^-32, 2^-96 and 2^-160, and each takes what the one before leaves over: all 53 bits of
    every number from 1e-32 to 8e37 count, and the value is the sum rounded once. A sum
    that ever got something that is not finite, or of magnitude 2^126 and more, is NaN.

    >>> total = Sums(2)
    >>> total.add_at(np.array([1e-12, 5.0, 2e-12]), np.array([0, 1, 0]))
    >>> total.value()
    array([3.e-12, 5.e+00])
    """

    __slots__ = ("high", "low", "size")

    def __init__(self, size: int):
        self.size = size
        self.high = np.zeros((len(SCALES), size), np.int64)
        self.low = np.zeros((len(SCALES), size), np.uint64)

    def add_at(self, values: Floats, at: NDArray[np.int64]) -> None:
        """Add ``values[i]`` to sum number ``at[i]``."""
        for k, part in _parts(values):
            exact_at.add_at(part, at, self.high[k], self.low[k])

    def add_rows(self, values: Floats) -> None:
        """Add each row of ``values``, ``(n, size)``, to all the sums."""
        group = exact_sum.GROUP
        for k, part in _parts(values):
            for start in range(0, len(part), group):
                rows = list(part[start : start + group])
                n = len(rows)
                rows += rows[:1] * (group - n)  # groups of one length: one kernel
                exact_sum.add_floats(
                    tuple(rows), n, -np.inf, exact_sum.IDENTITY, self.high[k], self.low[k]
                )

    def merge(self, other: Self) -> None:
        """Add the sums of ``other``, of the same size."""
        for k in range(len(SCALES)):
            exact_sum.merge(self.high[k], self.low[k], other.high[k], other.low[k])

    def merge_at(self, other: Self, at: NDArray[np.int64]) -> None:
        """Add sum i of ``other`` to sum number ``at[i]``."""
        for k in range(len(SCALES)):
            exact_at.merge_at(self.high[k], self.low[k], at, other.high[k], other.low[k])

    def value(self) -> Floats:
        """The sums in float64, each rounded once."""
        totals = np.empty(self.size)
        exact_rounding.values(self.high, self.low, UNIT, totals)
        return totals


def _parts(values: Floats) -> Iterator[tuple[int, Floats]]:
    """``values`` cut into a multiple of a unit for each of `SCALES`, in that unit.

    All cuts are exact but the last, and each number is cut alone. Parts that are all zero
    are left out.
    """
    rest = np.ldexp(values, SCALES[0])
    wrong = ~(np.abs(rest) < exact_sum.LIMIT)
    if wrong.any():
        rest[wrong] = np.nan
    for k in range(len(SCALES)):
        part = np.ldexp(np.rint(np.ldexp(rest, 32)), -32)
        if part.any():  # NaN is true, as it must be
            yield k, part
        rest = np.ldexp(rest - part, 64)


def mean_and_error(count: Floats, total: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Mean, and its standard error, from number, sum and sum of squares; NaN where none.

    The error is that of the sample, ``sqrt(var / n)`` with ``n - 1`` in ``var``: it needs
    two events.

    >>> mean_and_error(np.array([2.0, 1.0]), np.array([4.0, 5.0]), np.array([10.0, 25.0]))
    (array([2., 5.]), array([ 1., nan]))
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        spread = np.maximum(squares - total * total / count, 0.0)
        error = np.sqrt(spread / (count - 1.0) / count)
    mean = np.where(count > 0, mean, np.nan)
    return mean, np.where((count > 1) & np.isfinite(mean), error, np.nan)
