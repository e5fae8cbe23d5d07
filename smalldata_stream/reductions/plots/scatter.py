"""Scatter plot: one signal against another, and how they go together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Values
from smalldata_stream.protocols import Accumulated, Result, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.plots.shown import (
    TIMESTAMP,
    Floats,
    Input,
    Shown,
    Stamps,
    check_input,
    check_same_number,
    check_scalar,
    label,
    numbers,
    stamps,
)
from smalldata_stream.reductions.plots.sums import Sums


@dataclass(frozen=True, slots=True)
class Scatter(Shown):
    """One signal (upwards) against another (to the right), and their correlation.

    Parameters
    ----------
    other
        The signal to the right: a path of the record, or a node.
    points
        Most events that are drawn. Where there are more, those whose timestamps have the
        smallest hash: the same ones for any order and any number of ranks, and chosen
        without regard to the values.
    name, title, group, window_events, window_seconds
        As in `Shown`. Live it spans the last 60 s where nothing else is said.

    Notes
    -----
    Puts out the drawn ``x`` and ``y`` ``(m,)``; over all events, not only the drawn ones,
    the means and standard deviations ``mean`` and ``deviation`` ``(2,)`` of x and y and
    Pearson's ``r``; and ``not_finite``, the events left out for their values.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype(float))
    >>> state = Scatter("gmd/energy").prepare(spec, spec, spec).start()
    >>> state.add(np.array([2.0, 4.0]), np.array([1.0, 2.0]), np.array([5, 6], np.uint64))
    >>> float(state.value()["r"].value)
    1.0
    """

    KIND: ClassVar[str] = "scatter"

    other: Input
    points: int = 2000

    def __post_init__(self) -> None:
        check_input("other", self.other)
        if not pixels.is_count(self.points):
            raise ValueError(f"points={self.points!r}: write a number such as 2000")
        Shown.__post_init__(self)

    @property
    def others(self) -> tuple[Input, ...]:
        """The other signal, and the timestamps."""
        return (self.other, TIMESTAMP)

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Check that both signals have one number for each event."""
        y, x = inputs[:2]
        for spec in (y, x):
            check_scalar(spec, "scatter")
        float64 = np.dtype(np.float64)
        return Accumulated(
            outputs={
                "x": Spec(dtype=float64, shape=None, unit=x.unit),
                "y": Spec(dtype=float64, shape=None, unit=y.unit),
                "mean": Spec(dtype=float64, shape=(2,), long_name="of x and of y"),
                "deviation": Spec(dtype=float64, shape=(2,), long_name="of x and of y"),
                "r": Spec(dtype=float64, long_name="Pearson's correlation coefficient"),
                "not_finite": Spec(dtype=np.dtype(np.int64)),
            },
            start=partial(Sample, self.points),
            plot=self.plot("{0} against {1}", label(1, x), label(0, y)),
            window=self.window(),
        )


class Sample:
    """Exact sums over all events, and of a bounded number of events the values."""

    __slots__ = ("count", "hashes", "not_finite", "points", "sums", "x", "y")

    def __init__(self, points: int):
        self.points = points
        self.hashes = np.empty(0, np.uint64)
        self.x, self.y = np.empty(0), np.empty(0)
        self.sums = Sums(5)
        self.count = self.not_finite = 0

    @np.errstate(over="ignore")
    def add(self, *values: Values) -> None:
        """Take y, x and timestamps of some events."""
        y, x = numbers(values[0]), numbers(values[1])
        hashes = hashed(stamps(values[2]))
        check_same_number(y, x, hashes)
        finite = np.isfinite(x) & np.isfinite(y)
        self.count += len(y)
        self.not_finite += len(y) - int(np.count_nonzero(finite))
        x, y = x[finite], y[finite]
        products = np.concatenate([x, y, x * x, y * y, x * y])
        self.sums.add_at(products, np.repeat(np.arange(5), len(x)))
        self._sample(hashes[finite], x, y)

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        if self.points != other.points:
            raise ValueError(f"{other.points} points cannot be merged into {self.points}")
        self.count += other.count
        self.not_finite += other.not_finite
        self.sums.merge(other.sums)
        self._sample(other.hashes, other.x, other.y)

    def value(self) -> Mapping[str, Result]:
        """The sample, and means, standard deviations and correlation of all."""
        mean, deviation, r = correlation(self.count - self.not_finite, self.sums.value())
        fields = {
            "x": self.x,
            "y": self.y,
            "mean": mean,
            "deviation": deviation,
            "r": np.asarray(r),
            "not_finite": np.asarray(self.not_finite, np.int64),
        }
        return {field: Result(value, self.count) for field, value in fields.items()}

    def _sample(self, hashes: Stamps, x: Floats, y: Floats) -> None:
        """Keep those of the smallest hash, of ours and of these."""
        all_hashes = np.concatenate([self.hashes, hashes])
        all_x, all_y = np.concatenate([self.x, x]), np.concatenate([self.y, y])
        kept = np.lexsort((all_y, all_x, all_hashes))[: self.points]
        self.hashes, self.x, self.y = all_hashes[kept], all_x[kept], all_y[kept]


def correlation(n: int, sums: Floats) -> tuple[Floats, Floats, float]:
    """Means, standard deviations (n - 1) and Pearson's r; NaN where there is none.

    ``sums`` are those of x, y, x^2, y^2, x y.

    >>> correlation(2, np.array([3.0, 6.0, 5.0, 20.0, 10.0]))[2]
    1.0
    """
    if n < 1:
        return np.full(2, np.nan), np.full(2, np.nan), math.nan
    x, y, xx, yy, xy = (float(total) for total in sums)
    spread = [max(xx - x * x / n, 0.0), max(yy - y * y / n, 0.0)]
    mean = np.array([x, y]) / n
    if n < 2:
        return mean, np.full(2, np.nan), math.nan
    scale = math.sqrt(spread[0] * spread[1])
    r = min(1.0, max(-1.0, (xy - x * y / n) / scale)) if scale > 0 else math.nan
    return mean, np.sqrt(np.array(spread) / (n - 1)), r


def hashed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A number that looks random for each number, another for every other one.

    The finisher of the generator splitmix64 (Steele, Lea, Flood, OOPSLA 2014).

    >>> hashed(np.array([1, 2], np.uint64)).tolist()
    [6238072747940578789, 15839785061582574730]
    """
    z = numbers.astype(np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
