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

CELLS = 2048
"""Bins that are not equal are found from so many equal cells between the outer edges."""


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
def _cell(t: float) -> Any:
    """The cell of a place, in cells; of what is no number, too."""
    t = t if t > 0.0 else 0.0
    return np.int32(t if t < CELLS - 1.0 else CELLS - 1.0)


@compiled
def _cells(edges: Floats) -> tuple[NDArray[np.int32], int]:
    """How many edges are in all cells before each; the power of 2 up to the most in one.

    Empty where the bins are equal. Cells are found with the same arithmetic for edges and
    values, in which a larger number is never in an earlier cell: a value is not below the
    edges in cells before its own, and below those in cells after it.
    """
    first, last = edges[0], edges[edges.size - 1]
    if _equal(edges, first, (edges.size - 1) / (last - first)):
        return np.zeros(0, np.int32), 0
    before = np.zeros(CELLS + 1, np.int32)
    for k in range(edges.size):
        before[_cell((edges[k] - first) * (CELLS / (last - first))) + 1] += 1
    half = 1
    for c in range(CELLS):
        while 2 * half <= before[c + 1]:
            half *= 2
        before[c + 1] += before[c]
    return before, half


@compiled
def _find(
    values: Array,
    good: Any,
    edges: Floats,
    before: NDArray[np.int32],
    half: int,
    place: NDArray[np.int32],
) -> None:
    """The place of each value, exactly, in bins that are not equal."""
    bins = edges.size - 1
    first, last = edges[0], edges[bins]
    per = CELLS / (last - first)
    for p in range(values.size):
        x = np.float64(values[p])
        inside = (x >= first) & (x <= last)
        c = np.uint32(_cell((x - first) * per if inside else 0.0))
        # How many edges it is not below, by halves, each time with the same steps: what
        # the data decide at random is no branch.
        k: Any = np.int64(before[c])
        end: Any = np.int64(before[c + np.uint32(1)])
        step = half
        while step > 0:
            n: Any = min(k + step, end)
            k = n if edges[np.uint64(max(n - 1, 0))] <= x else k
            step >>= 1
        k = min(k, bins) if inside else (bins + 1 if x > last else 0)
        k = k if x - x == 0 else bins + 2
        place[p] = np.int32(k if is_good(good, p) else bins + 3)


@compiled
def _correct(values: Array, edges: Floats, bins: int, place: NDArray[np.int32]) -> None:
    """Look at the edges themselves."""
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
    values: Array,
    good: Any,
    edges: Floats,
    cells: tuple[NDArray[np.int32], int],
    private: NDArray[np.int64],
    counts: Array,
) -> None:
    """Add to ``counts``, ``(bins + 3,)``; ``cells`` are `_cells`."""
    bins = edges.size - 1
    first, last = edges[0], edges[bins]
    per = bins / (last - first)
    before, half = cells
    place = np.empty(BLOCK, np.int32)
    private[:] = 0
    for start in range(0, values.size, BLOCK):
        stop = min(start + BLOCK, values.size)
        some, found = values[start:stop], place[: stop - start]
        of_some = part(good, start, stop)
        if before.size:
            _find(some, of_some, edges, before, half, found)
        elif _guess(some, of_some, first, last, per, bins, found):
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
    private, cells = np.empty((PRIVATE, edges.size + 3), np.int64), _cells(edges)
    for i in range(values.shape[0]):
        _count(values[i], good, edges, cells, private, counts)


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
    private, cells = np.empty((PRIVATE, edges.size + 3), np.int64), _cells(edges)
    counts[:] = 0
    for i in range(values.shape[0]):
        _count(values[i], good, edges, cells, private, counts[i])


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
    private, cells = np.empty((PRIVATE, edges.size + 3), np.int64), _cells(edges)
    counts[:] = 0
    for i in range(offsets.size - 1):
        _count(values[offsets[i] : offsets[i + 1]], None, edges, cells, private, counts[i])
