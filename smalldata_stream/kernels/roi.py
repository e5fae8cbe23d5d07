"""Statistics and pixels of a box of a frame, in one pass over its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.good import is_good

Array = NDArray[Any]
Box = tuple[int, int, int, int, int, int]
"""(first tile, last, first row, last, first column, last), each half-open."""


# A mask or threshold of None is compiled as none at all: the choice is not made for each
# pixel. `else` stands where it need not, because numba then leaves out the other branch.
@compiled
def _row_of(mask: Any, t: int, r: int) -> Any:
    if mask is None:
        return None
    else:  # noqa: RET505
        return mask[t, r]


@compiled
def _is_inside(v: Any, low: Any, high: Any) -> Any:
    if low is None:
        return v - v == 0
    else:  # noqa: RET505
        return (v >= low) & (v <= high)


@compiled
def _add_row(
    row: Array,
    good: Any,
    low: Any,
    high: Any,
    lowest: Any,
    k: float,
    column: NDArray[np.float64],
    weighted: NDArray[np.float64],
    top: Array,
) -> None:
    zero = row.dtype.type(0)
    for c in range(row.size):
        v, g = row[c], is_good(good, c)
        a = v if _is_inside(v, low, high) & g else zero
        x = np.float64(a)
        column[c] += x
        weighted[c] += k * x
        p = a if (v - v == 0) & g else lowest
        top[c] = p if p > top[c] else top[c]


# Four rows at once, each an argument of its own: the column accumulators are then loaded
# and stored once for four pixels, and the loop is still one that LLVM turns into vector
# instructions (with a 2-d argument of four rows it does not).
@compiled
def _add_four_rows(
    row0: Array,
    row1: Array,
    row2: Array,
    row3: Array,
    good0: Any,
    good1: Any,
    good2: Any,
    good3: Any,
    low: Any,
    high: Any,
    lowest: Any,
    k: float,
    column: NDArray[np.float64],
    weighted: NDArray[np.float64],
    top: Array,
) -> None:
    zero = row0.dtype.type(0)
    for c in range(row0.size):
        v0, v1, v2, v3 = row0[c], row1[c], row2[c], row3[c]
        g0, g1 = is_good(good0, c), is_good(good1, c)
        g2, g3 = is_good(good2, c), is_good(good3, c)
        a0 = v0 if _is_inside(v0, low, high) & g0 else zero
        a1 = v1 if _is_inside(v1, low, high) & g1 else zero
        a2 = v2 if _is_inside(v2, low, high) & g2 else zero
        a3 = v3 if _is_inside(v3, low, high) & g3 else zero
        x0, x1, x2, x3 = np.float64(a0), np.float64(a1), np.float64(a2), np.float64(a3)
        s = (x0 + x1) + (x2 + x3)
        column[c] += s
        weighted[c] += k * s + ((x1 + x3) + 2.0 * (x2 + x3))
        p0 = a0 if (v0 - v0 == 0) & g0 else lowest
        p1 = a1 if (v1 - v1 == 0) & g1 else lowest
        p2 = a2 if (v2 - v2 == 0) & g2 else lowest
        p3 = a3 if (v3 - v3 == 0) & g3 else lowest
        p0 = p0 if p0 > p1 else p1
        p2 = p2 if p2 > p3 else p3
        p0 = p0 if p0 > p2 else p2
        top[c] = p0 if p0 > top[c] else top[c]


@compiled
def _count_row(row: Array, good: Any, limit: Any, most: Any) -> int:
    # 32 bits, so that more pixels fit into a vector than with numba's own 64.
    count = np.int32(0)
    for c in range(row.size):
        v = row[c]
        count = np.int32(count + np.int32((v >= limit) & (v <= most) & is_good(good, c)))
    return int(count)


@compiled
def statistics(
    frames: Array,
    box: Box,
    mask: NDArray[np.bool_] | None,
    low: Any,
    high: Any,
    lowest: Any,
    saturation: Any,
    most: Any,
    moments: NDArray[np.float64],
    maxima: Array,
    saturated: NDArray[np.int64],
) -> None:
    """Sum, first moments and maximum of a box of each frame.

    Parameters
    ----------
    frames
        ``(n, tiles, rows, columns)``, C-contiguous, integer or float.
    box
        Half-open bounds within the frame.
    mask
        True = good pixel, of the shape of the box; None where all are good.
    low, high
        Scalars of the dtype of the frames, both finite: a good pixel outside ``low <= v <=
        high`` counts as 0. Both None: there is no threshold.
    lowest
        What a maximum over no good pixel is: -inf, or the smallest integer.
    saturation, most
        Scalars of the dtype: a good pixel in ``saturation <= v <= most`` is saturated,
        whatever ``low`` and ``high``. ``saturation > most``: they are not counted.
    moments
        Out, ``(n, 4)``: the sum of the pixels, and the sums weighted with tile, row and
        column, each counted from the first of the box. Bad and non-finite pixels add 0.
    maxima
        Out, ``(n,)``, dtype of the frames.
    saturated
        Out, ``(n,)``, number of saturated pixels.

    Notes
    -----
    Sums are in float64, over rows first and then over columns: the order depends on the
    box alone, so the bits of an event do not depend on the events around it. Integers are
    exact while every sum stays below 2^53.

    >>> frames = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    >>> moments, maxima, saturated = np.empty((1, 4)), np.empty(1, "f4"), np.empty(1, int)
    >>> big = np.finfo(np.float32).max
    >>> statistics(frames, (0, 1, 1, 3, 0, 2), None, None, None,
    ...            np.float32(-np.inf), np.float32(5), big, moments, maxima, saturated)
    >>> moments.tolist(), maxima.tolist(), saturated.tolist()
    ([[26.0, 0.0, 17.0, 14.0]], [9.0], [3])
    """
    t0, t1, r0, r1, c0, c1 = box
    n = c1 - c0
    column, weighted, top = np.empty(n), np.empty(n), np.empty(n, frames.dtype)
    for i in range(frames.shape[0]):
        top[:] = lowest
        total, by_tile, by_row, by_column = 0.0, 0.0, 0.0, 0.0
        count = 0
        for t in range(t0, t1):
            column[:] = 0.0
            weighted[:] = 0.0
            g = t - t0
            r = r0
            while r < r1:
                k = r - r0
                step = 4 if r + 4 <= r1 else 1
                if step == 4:
                    _add_four_rows(
                        frames[i, t, r, c0:c1],
                        frames[i, t, r + 1, c0:c1],
                        frames[i, t, r + 2, c0:c1],
                        frames[i, t, r + 3, c0:c1],
                        _row_of(mask, g, k),
                        _row_of(mask, g, k + 1),
                        _row_of(mask, g, k + 2),
                        _row_of(mask, g, k + 3),
                        low,
                        high,
                        lowest,
                        float(k),
                        column,
                        weighted,
                        top,
                    )
                else:
                    good = _row_of(mask, g, k)
                    row = frames[i, t, r, c0:c1]
                    _add_row(row, good, low, high, lowest, float(k), column, weighted, top)
                if saturation <= most:
                    # Now, while the rows are in the nearest cache.
                    for j in range(step):
                        row = frames[i, t, r + j, c0:c1]
                        good = _row_of(mask, g, k + j)
                        count += _count_row(row, good, saturation, most)
                r += step
            of_tile = 0.0
            for c in range(n):
                of_tile += column[c]
                by_row += weighted[c]
                by_column += c * column[c]
            total += of_tile
            by_tile += g * of_tile
        moments[i, 0] = total
        moments[i, 1] = by_tile
        moments[i, 2] = by_row
        moments[i, 3] = by_column
        highest = top[0]
        for c in range(n):
            highest = top[c] if top[c] > highest else highest
        maxima[i] = highest
        saturated[i] = count


@compiled
def cut(
    frames: Array,
    box: Box,
    mask: NDArray[np.bool_] | None,
    low: Any,
    high: Any,
    out: Array,
) -> None:
    """The pixels of a box of each frame; bad, non-finite and outside ``low..high`` are 0.

    ``frames``, ``box``, ``mask``, ``low`` and ``high`` as in `statistics`; ``out`` is
    ``(n, tiles, rows, columns)`` of the box, dtype of the frames.

    >>> frames = np.array([[[[1, 5, 9, 7]]]], np.uint16)
    >>> out = np.empty((1, 1, 1, 3), np.uint16)
    >>> cut(frames, (0, 1, 0, 1, 1, 4), None, np.uint16(6), np.uint16(65535), out)
    >>> out.ravel().tolist()
    [0, 9, 7]
    """
    t0, t1, r0, r1, c0, c1 = box
    zero = frames.dtype.type(0)
    for i in range(frames.shape[0]):
        for t in range(t0, t1):
            for r in range(r0, r1):
                row = frames[i, t, r, c0:c1]
                good = _row_of(mask, t - t0, r - r0)
                clean = out[i, t - t0, r - r0]
                for c in range(row.size):
                    v = row[c]
                    inside = _is_inside(v, low, high) & is_good(good, c)
                    clean[c] = v if inside else zero
