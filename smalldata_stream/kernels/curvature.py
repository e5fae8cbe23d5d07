"""Lines of a frame shifted against each other: a curved spectrum made straight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]

ROWS = 64
"""Rows moved together: what a curved line crosses in them stays in the cache."""


@compiled
def _is_good(good: Any, r: Any, c: Any) -> Any:
    if good is None:
        return True
    else:  # noqa: RET505
        return good[r, c]


# Unsigned indices: a signed one may be negative, and would be looked at for that.
@compiled
def _move(
    frame: Array,
    good: Any,
    at: int,
    first: int,
    last: int,
    part: NDArray[np.float64],
    out: NDArray[np.float32],
    r: int,
) -> None:
    row, to, start = np.uint64(at), np.uint64(r), np.uint64(first)
    is_next = at + 1 < frame.shape[0]
    next_row = row + np.uint64(1) if is_next else row
    for k in range(last - first):
        c = start + np.uint64(k)
        w = part[c]
        between = w > 0.0
        v, u = np.float64(frame[row, c]), np.float64(frame[next_row, c])
        x = v + w * (u - v) if between else v
        ok = _is_good(good, row, c) & (_is_good(good, next_row, c) | (not between))
        ok = ok & (is_next | (not between))
        # x - x is 0 where x is finite, else NaN.
        out[to, c] = np.float32(x - (x - x)) if ok else np.float32(0.0)


@compiled
def shift_columns(
    frames: Array,
    good: NDArray[np.bool_] | None,
    whole: NDArray[np.int64],
    part: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Column c of ``out`` at row r is column c of the frame at row ``r + whole + part``.

    Between two rows it is interpolated linearly. What would come from outside of the frame
    or from a bad pixel is 0, what comes from one that is not finite is NaN.

    Parameters
    ----------
    frames, out
        ``(n, rows, columns)``.
    good
        ``(rows, columns)``, True = good pixel; None where all are.
    whole, part
        ``(columns,)``, the shift; ``0 <= part < 1``.

    >>> out = np.empty((1, 3, 2), np.float32)
    >>> frames = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    >>> shift_columns(frames, None, np.array([1, 0]), np.array([0.0, 0.5]), out)
    >>> out.tolist()
    [[[3.0, 3.0], [5.0, 5.0], [0.0, 0.0]]]
    """
    n, rows, columns = frames.shape
    for i in range(n):
        for top in range(0, rows, ROWS):
            # Neighbours that are moved by as many rows come from one row.
            last = 0
            while last < columns:
                first, by = last, whole[last]
                while last < columns and whole[last] == by:
                    last += 1
                for r in range(top, min(top + ROWS, rows)):
                    at = r + by
                    if at < 0 or at >= rows:
                        out[i, r, first:last] = 0.0
                    else:
                        _move(frames[i], good, at, first, last, part, out[i], r)
