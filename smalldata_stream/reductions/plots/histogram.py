"""Histogram: how often the values of a signal fall into each bin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Frames, Mask, Ragged, Values, read_only
from smalldata_stream.kernels.histogram import ABOVE, BELOW, NOT_FINITE, add_counts
from smalldata_stream.protocols import Accumulated, Result, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.plots.shown import Floats, Shown, check_numbers, label

Bins: TypeAlias = tuple[float, float, int] | Sequence[float] | NDArray[Any]
"""``(low, high, number)`` of equal bins, or the increasing edges of all."""


@dataclass(frozen=True, slots=True)
class Histogram(Shown):
    """How often the values fall into each bin: of a scalar, or of all pixels of a frame.

    Parameters
    ----------
    bins
        ``(low, high, number)`` of equal bins, ``number`` an int, or the edges of all bins,
        increasing. A bin has its lower edge, the last one both.
    name, title, group, window_events, window_seconds
        As in `Shown`. Live it spans the last 60 s where nothing else is said.

    Notes
    -----
    Puts out ``counts`` ``(bins,)``, ``edges`` ``(bins + 1,)``, and the numbers of values
    ``below`` and ``above`` all bins and ``not_finite``. Bad pixels are left out.

    Raises
    ------
    ValueError
        If the bins are neither of the two, or the input holds no numbers.

    Examples
    --------
    >>> state = Histogram((0, 4, 2)).prepare(Spec(dtype=np.dtype(float))).start()
    >>> state.add(np.array([1.0, 2.0, 4.0, 9.0]))
    >>> totals = state.value()
    >>> totals["counts"].value.tolist(), int(totals["above"].value)
    ([1, 2], 1)
    """

    KIND: ClassVar[str] = "histogram"

    bins: Bins

    def __post_init__(self) -> None:
        edges_of(self.bins)
        Shown.__post_init__(self)

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Check that the input has numbers."""
        (spec,) = inputs
        check_numbers(spec, "histogram")
        edges = edges_of(self.bins)
        integer = Spec(dtype=np.dtype(np.int64))
        what = "events" if spec.shape == () and spec.kind == "dense" else "values"
        return Accumulated(
            outputs={
                "counts": Spec(
                    dtype=np.dtype(np.int64),
                    shape=(len(edges) - 1,),
                    long_name=f"number of {what} in each bin",
                ),
                "edges": Spec(
                    dtype=np.dtype(np.float64), shape=edges.shape, unit=spec.unit
                ),
                "below": integer,
                "above": integer,
                "not_finite": integer,
            },
            start=partial(Counts, edges, spec.shape, spec.kind == "ragged", spec.mask),
            plot=self.plot("{0}", label(0, spec), what),
            window=self.window(),
        )


class Counts:
    """Numbers of values in bins, and outside of them."""

    __slots__ = ("count", "counts", "edges", "good", "ragged", "shape")

    def __init__(
        self,
        edges: Floats,
        shape: tuple[int, ...] | None = (),
        ragged: bool = False,
        mask: Mask | None = None,
    ):
        self.edges, self.shape, self.ragged = edges, shape, ragged
        self.good = None if mask is None or ragged else mask.reshape(-1)
        self.counts = np.zeros(len(edges) + 2, np.int64)
        self.count = 0

    def add(self, *values: Values) -> None:
        """Take the values of some events."""
        (given,) = values
        counts = self.counts.copy()
        for part in self._rows(given):
            add_counts(part, self.good, self.edges, counts)
        self.counts = counts
        self.count += len(given)

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("histograms of other bins cannot be merged")
        self.counts = self.counts + other.counts
        self.count += other.count

    def value(self) -> Mapping[str, Result]:
        """Counts, edges, and what is outside."""
        fields = {
            "counts": self.counts[1:-2].copy(),
            "edges": self.edges.copy(),
            "below": np.asarray(self.counts[BELOW]),
            "above": np.asarray(self.counts[ABOVE]),
            "not_finite": np.asarray(self.counts[NOT_FINITE]),
        }
        return {field: Result(value, self.count) for field, value in fields.items()}

    def _rows(self, values: Values) -> Iterator[Array]:
        """The values as arrays ``(n, pixels)``."""
        if isinstance(values, Ragged) != self.ragged:
            raise ValueError("values of variable and of fixed length; one was declared")
        if isinstance(values, Ragged):
            yield pixels.contiguous(values.values.reshape(1, -1))
            return
        got = values.shape if isinstance(values, Frames) else values.shape[1:]
        if self.shape is not None and got != self.shape:
            raise ValueError(f"values of shape {got} where {self.shape} was declared")
        for _, stack in pixels.stacks(values, got):
            yield read_only(stack.reshape(len(stack), -1))


def edges_of(bins: Any) -> Floats:
    """The edges of the bins, ``(bins + 1,)``; ValueError where they are none.

    >>> edges_of((0, 1, 4)).tolist(), edges_of([0, 1, 10]).tolist()
    ([0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 1.0, 10.0])
    """
    if isinstance(bins, tuple) and len(bins) == 3 and _is_count(bins[2]):
        low, high, number = float(bins[0]), float(bins[1]), int(bins[2])
        good = number >= 1
        edges = np.linspace(low, high, number + 1) if good else np.empty(0)
    else:
        given = np.asarray(bins)
        good = given.ndim == 1 and given.dtype.kind in "iuf"
        edges = given.astype(np.float64) if good else np.empty(0)
    if len(edges) < 2 or not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        raise ValueError(
            f"bins={bins!r}: write (low, high, number) with low < high, such as "
            "(0, 100, 50), or a list of increasing edges"
        )
    return edges


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
