"""Sums of a frame along one axis, over good pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]

CHUNK = 1024
"""Pixels of a row that are summed together; part of the result's bits."""


@compiled
def _clean(row: Array, good: NDArray[np.bool_], low: Any, high: Any, out: Array) -> None:
    zero = low - low
    for c in range(row.size):
        v = row[c]
        out[c] = np.float64(v if (v >= low) & (v <= high) & good[c] else zero)


@compiled
def _add_to(to: Array, values: Array) -> None:
    for c in range(values.size):
        to[c] += values[c]


@compiled
def _along_row(
    row: Array, good: NDArray[np.bool_], low: Any, high: Any, clean: NDArray[np.float64]
) -> float:
    # Halves are added to each other until one number is left: vector instructions, and
    # less rounding than one after the other.
    total = 0.0
    for start in range(0, row.size, CHUNK):
        stop = min(start + CHUNK, row.size)
        n = stop - start
        _clean(row[start:stop], good[start:stop], low, high, clean[:n])
        while n > 1:
            half = (n + 1) // 2
            _add_to(clean[:half], clean[half:n])
            n = half
        total += clean[0]
    return total


@compiled
def project(
    frames: Array, mask: NDArray[np.bool_], low: Any, high: Any, out: NDArray[np.float64]
) -> None:
    """Sum of the good pixels along the middle axis, per frame, in float64.

    Parameters
    ----------
    frames
        ``(n, before, axis, after)``, C-contiguous.
    mask
        ``(before, axis, after)``, True = good pixel.
    low, high
        Scalars of the dtype of the frames, finite: a pixel outside ``low <= v <= high``
        counts as 0, a NaN always does.
    out
        ``(n, before, after)``.

    >>> frames = np.arange(6, dtype=np.uint16).reshape(1, 1, 2, 3)
    >>> out = np.empty((1, 1, 3))
    >>> project(frames, np.ones((1, 2, 3), bool), np.uint16(0), np.uint16(9), out)
    >>> out.tolist()
    [[[3.0, 5.0, 7.0]]]
    """
    clean = np.empty(max(CHUNK, frames.shape[3]))
    n, before, axis, after = frames.shape
    for i in range(n):
        for b in range(before):
            if after == 1:
                line = frames[i, b].reshape(axis)
                good = mask[b].reshape(axis)
                out[i, b, 0] = _along_row(line, good, low, high, clean)
                continue
            column = out[i, b]
            column[:] = 0.0
            for a in range(axis):
                _clean(frames[i, b, a], mask[b, a], low, high, clean[:after])
                _add_to(column, clean[:after])


@compiled
def _count_along_row(row: Array, good: NDArray[np.bool_]) -> int:
    count = 0
    for c in range(row.size):
        v = row[c]
        count += (v - v == 0) & good[c]
    return count


@compiled
def count_good(frames: Array, mask: NDArray[np.bool_], counts: NDArray[np.int64]) -> None:
    """Number of good, finite pixels along the middle axis, per frame.

    Shapes as in `project`.

    >>> counts = np.empty((1, 1, 2), np.int64)
    >>> frames = np.array([[[[1.0, np.nan], [2.0, 3.0]]]])
    >>> count_good(frames, np.array([[[True, True], [False, True]]]), counts)
    >>> counts.tolist()
    [[[1, 1]]]
    """
    n, before, axis, after = frames.shape
    for i in range(n):
        for b in range(before):
            if after == 1:
                line = frames[i, b].reshape(axis)
                counts[i, b, 0] = _count_along_row(line, mask[b].reshape(axis))
                continue
            column = counts[i, b]
            column[:] = 0
            for a in range(axis):
                row, good = frames[i, b, a], mask[b, a]
                for c in range(after):
                    v = row[c]
                    column[c] += (v - v == 0) & good[c]
