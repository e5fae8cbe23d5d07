"""Images turned about a point, by bilinear interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.good import is_good

Array = NDArray[Any]
Floats = NDArray[np.float64]
Turn = tuple[float, float, float, float]
"""Cosine and sine of the angle, and the row and column that stay where they are."""

TILE = (64, 128)
"""Rows and columns that are made together: what they come from stays in the cache."""


@compiled
def _places(
    turn: Turn,
    near: float,
    r: float,
    first: float,
    rows: int,
    columns: int,
    at: NDArray[np.int64],
    down: NDArray[np.float32],
    right: NDArray[np.float32],
) -> None:
    """Where pixels of row ``r`` come from: upper left neighbour, and how far from it.

    The pixels are those from column ``first`` on, as many as ``at`` has room for, which
    gets the neighbour's row times ``columns`` plus its column, -1 outside of the frame.
    """
    cosine, sine, r0, c0 = turn
    last_row, last_column = rows - 1.0, columns - 1.0
    for c in range(at.size):
        column = np.float64(c) + first
        y: Any = cosine * (r - r0) + sine * (column - c0) + r0
        x: Any = -sine * (r - r0) + cosine * (column - c0) + c0
        inside = (
            (y > -near) & (y < last_row + near) & (x > -near) & (x < last_column + near)
        )
        y = y if y > 0.0 else 0.0
        y = y if y < last_row else last_row
        x = x if x > 0.0 else 0.0
        x = x if x < last_column else last_column
        up, left = np.floor(y), np.floor(x)
        at[c] = np.int64(up * columns + left) if inside else np.int64(-1)
        down[c], right[c] = np.float32(y - up), np.float32(x - left)


@compiled
def _value(flat: Array, good: Any, p: Any) -> float:
    v = np.float64(flat[p])
    return v if is_good(good, p) else np.nan


# Only what goes to any place of the frame is done pixel by pixel; this and `_places` are
# loops of vector instructions.
@compiled
def _means(
    four: Floats, down: NDArray[np.float32], right: NDArray[np.float32], out: Array
) -> None:
    v0, v1, v2, v3 = four[0], four[1], four[2], four[3]
    for c in range(out.size):
        d, r = np.float64(down[c]), np.float64(right[c])
        w0 = (1.0 - d) * (1.0 - r) if v0[c] - v0[c] == 0 else 0.0
        w1 = (1.0 - d) * r if v1[c] - v1[c] == 0 else 0.0
        w2 = d * (1.0 - r) if v2[c] - v2[c] == 0 else 0.0
        w3 = d * r if v3[c] - v3[c] == 0 else 0.0
        total = 0.0 + (w0 * v0[c] if v0[c] - v0[c] == 0 else 0.0)
        total += w1 * v1[c] if v1[c] - v1[c] == 0 else 0.0
        total += w2 * v2[c] if v2[c] - v2[c] == 0 else 0.0
        total += w3 * v3[c] if v3[c] - v3[c] == 0 else 0.0
        weight = w0 + w1 + w2 + w3
        out[c] = np.float32(total / (weight if weight >= 0.5 else np.nan))


@compiled
def rotate(
    frames: Array,
    good: NDArray[np.bool_] | None,
    turn: Turn,
    near: float,
    out: NDArray[np.float32],
) -> None:
    """Each pixel of ``out`` is the mean of the four pixels about a place in the frame.

    Bad pixels and those that are not finite are left out of the mean, and the weights of
    the others made 1; where the good ones weigh less than a half, the pixel is NaN.

    Parameters
    ----------
    frames, out
        ``(n, rows, columns)``.
    good
        ``(rows * columns,)``, True = good pixel; None where all are.
    turn
        The pixel at (row, column) comes from (r0 + cos (row - r0) + sin (column - c0),
        c0 - sin (row - r0) + cos (column - c0)).
    near
        So far outside of the frame a place counts as on its edge.

    >>> frames = np.array([[[1.0, 3.0], [5.0, np.nan]]])
    >>> out = np.empty(frames.shape, np.float32)
    >>> rotate(frames, None, (0.0, 1.0, 0.5, 0.5), 1e-9, out)
    >>> out.tolist()
    [[[3.0, nan], [1.0, 5.0]]]
    """
    n, rows, columns = frames.shape
    tile_rows, tile_columns = TILE
    at, four = np.empty(tile_columns, np.int64), np.empty((4, tile_columns))
    # Each by itself: rows of one array would not be known as contiguous.
    down, right = np.empty(tile_columns, np.float32), np.empty(tile_columns, np.float32)
    for i in range(n):
        flat = frames[i].reshape(rows * columns)
        for top in range(0, rows, tile_rows):
            for first in range(0, columns, tile_columns):
                m = min(tile_columns, columns - first)
                for row in range(top, min(top + tile_rows, rows)):
                    r = float(row)
                    _places(turn, near, r, float(first), rows, columns, at[:m], down, right)
                    _gather(flat, good, columns, at[:m], four)
                    _means(four, down, right, out[i, row, first : first + m])


@compiled
def _gather(
    flat: Array, good: Any, columns: int, at: NDArray[np.int64], four: Floats
) -> None:
    """The four neighbours of each place, NaN where it is not in the frame."""
    size = flat.size
    for c in range(at.size):
        p = int(at[c])
        if p < 0:
            four[:, c] = np.nan
            continue
        # On the last row or column the neighbour has no weight: any will do.
        below = p + columns if p + columns < size else p
        beside = p + 1 if p + 1 < size else 0
        across = below + 1 if below + 1 < size else 0
        four[0, c] = _value(flat, good, np.uint64(p))
        four[1, c] = _value(flat, good, np.uint64(beside))
        four[2, c] = _value(flat, good, np.uint64(below))
        four[3, c] = _value(flat, good, np.uint64(across))
