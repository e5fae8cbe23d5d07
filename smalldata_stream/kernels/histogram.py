"""Counts of values in bins: of each event, of lists, and of all events together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.good import is_good, part

Array = NDArray[Any]
Floats = NDArray[np.float64]

BELOW, ABOVE, NOT_FINITE = 0, -2, -1
"""Where in ``counts`` the values outside of all bins go; the bins are between."""

PRIVATE = 4
"""Histograms filled in turn: neighbours in one bin need not wait for each other."""

BLOCK = 512
"""Values of which the bins are found together, in vector instructions."""

NEAR = 1e-6
"""So near to an edge, in bins, the edge itself says on which side of it a value is."""


@compiled
def _equal(edges: Floats, first: float, per: float) -> bool:
    """Whether all edges are much nearer to those of equal bins than `NEAR`."""
    others = 0
    for k in range(edges.size):
        # What is not finite is not equal either.
        others += not abs((edges[k] - first) * per - k) < 0.01 * NEAR
    return others == 0


@compiled
def _guess(
    values: Array,
    good: Any,
    first: float,
    last: float,
    per: float,
    bins: int,
    place: NDArray[np.int32],
) -> int:
    """The place in ``counts`` of each value; how many are near to an edge.

    That of a bad one is one behind them.
    """
    most = np.int32(bins)
    above, nowhere, bad = np.int32(bins + 1), np.int32(bins + 2), np.int32(bins + 3)
    near = np.int32(0)
    for p in range(values.size):
        x = np.float64(values[p])
        inside = (x >= first) & (x <= last)
        t = (x - first) * per if inside else 0.5
        k = np.int32(t)
        rest = t - k
        near = np.int32(near + np.int32((rest < NEAR) | (rest > 1.0 - NEAR)))
        k = np.int32(k + 1)
        k = k if k < most else most
        # Of bins narrower than any float says, too.
        k = k if k > 0 else np.int32(1)
        out = above if x > last else np.int32(0)
        out = out if x - x == 0 else nowhere
        k = k if inside else out
        place[p] = k if is_good(good, p) else bad
    return int(near)


@compiled
def _correct(values: Array, edges: Floats, bins: int, place: NDArray[np.int32]) -> None:
    for p in range(values.size):
        k = place[p] - 1
        if k < 0 or k >= bins:
            continue
        x = np.float64(values[p])
        if (x < edges[k]) | ((x >= edges[k + 1]) & (k < bins - 1)):
            k = min(int(np.searchsorted(edges, x, side="right")) - 1, bins - 1)
            place[p] = k + 1


@compiled
def _add_places(place: NDArray[np.int32], private: NDArray[np.int64]) -> None:
    a, b, c, d = private[0], private[1], private[2], private[3]
    for q in range(place.size // 4):
        p = np.uint64(4) * np.uint64(q)
        a[np.uint32(place[p])] += 1
        b[np.uint32(place[p + np.uint64(1)])] += 1
        c[np.uint32(place[p + np.uint64(2)])] += 1
        d[np.uint32(place[p + np.uint64(3)])] += 1
    for r in range(place.size // 4 * 4, place.size):
        a[place[r]] += 1


@compiled
def _count(
    values: Array, good: Any, edges: Floats, private: NDArray[np.int64], counts: Array
) -> None:
    """Add to ``counts``, ``(bins + 3,)``."""
    bins = edges.size - 1
    first, last = edges[0], edges[bins]
    per = bins / (last - first)
    equal = _equal(edges, first, per)
    place = np.empty(BLOCK, np.int32)
    private[:] = 0
    for start in range(0, values.size, BLOCK):
        stop = min(start + BLOCK, values.size)
        some, found = values[start:stop], place[: stop - start]
        near = _guess(some, part(good, start, stop), first, last, per, bins, found)
        if near > 0 or not equal:
            _correct(some, edges, bins, found)
        _add_places(found, private)
    for k in range(bins + 3):
        counts[k] += private[0, k] + private[1, k] + private[2, k] + private[3, k]


@compiled
def add_counts(
    values: Array, good: NDArray[np.bool_] | None, edges: Floats, counts: Array
) -> None:
    """Count the good ``values`` of all rows in bins, as `numpy.histogram` does.

    Parameters
    ----------
    values
        ``(n, pixels)``, numbers.
    good
        ``(pixels,)``, True = good pixel; None where all are.
    edges
        ``(bins + 1,)``, increasing. A bin has its lower edge, the last one both.
    counts
        ``(bins + 3,)`` int64, added to: below, the bins, above, not finite.

    >>> counts = np.zeros(5, np.int64)
    >>> data = np.array([[-1.0, 0.0, 1.0, 2.0, 2.5, np.nan]])
    >>> add_counts(data, None, np.array([0.0, 1.0, 2.0]), counts)
    >>> counts.tolist()
    [1, 1, 2, 1, 1]
    """
    private = np.empty((PRIVATE, edges.size + 3), np.int64)
    for i in range(values.shape[0]):
        _count(values[i], good, edges, private, counts)


@compiled
def count_each(
    values: Array, good: NDArray[np.bool_] | None, edges: Floats, counts: Array
) -> None:
    """The same for each row by itself; ``counts``, out, ``(n, bins + 3)``.

    >>> counts = np.empty((2, 4), np.int64)
    >>> count_each(np.array([[1, 9], [0, 1]]), None, np.array([0.0, 5.0]), counts)
    >>> counts.tolist()
    [[0, 1, 1, 0], [0, 2, 0, 0]]
    """
    private = np.empty((PRIVATE, edges.size + 3), np.int64)
    counts[:] = 0
    for i in range(values.shape[0]):
        _count(values[i], good, edges, private, counts[i])


@compiled
def count_lists(
    values: Array, offsets: NDArray[np.int64], edges: Floats, counts: Array
) -> None:
    """The same for lists: event i has ``values[offsets[i] : offsets[i + 1]]``.

    >>> counts = np.empty((2, 5), np.int64)
    >>> values, edges = np.array([0.5, 1.5, 1.7]), np.array([0.0, 1.0, 2.0])
    >>> count_lists(values, np.array([0, 1, 3]), edges, counts)
    >>> counts[:, 1:-2].tolist()
    [[1, 0], [0, 2]]
    """
    private = np.empty((PRIVATE, edges.size + 3), np.int64)
    counts[:] = 0
    for i in range(offsets.size - 1):
        _count(values[offsets[i] : offsets[i + 1]], None, edges, private, counts[i])
