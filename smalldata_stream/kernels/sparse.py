"""From frames to lists of their pixels that are not 0, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.good import is_good, part

Array = NDArray[Any]
Ints = NDArray[np.int32]


PART = 1 << 16
"""Pixels counted in 32 bits, of which more fit into a vector than of 64."""


@compiled
def _count(frame: Array, good: Any, low: Any, high: Any) -> int:
    number = np.int32(0)
    for p in range(frame.size):
        v = frame[p]
        inside = (v >= low) & (v <= high) & (v != 0) & is_good(good, p)
        number = np.int32(number + np.int32(inside))
    return int(number)


@compiled
def count_pixels(frame: Array, good: NDArray[np.bool_] | None, low: Any, high: Any) -> int:
    """Number of good pixels of ``frame``, flat, within ``low..high`` and not 0.

    >>> frame = np.array([0.0, 3.0, 9.0, np.nan, 4.0])
    >>> count_pixels(frame, np.array([True] * 4 + [False]), 1.0, 8.0)
    1
    """
    total = 0
    for start in range(0, frame.size, PART):
        stop = min(start + PART, frame.size)
        total += _count(frame[start:stop], part(good, start, stop), low, high)
    return total


@compiled
def list_pixels(
    frame: Array,
    good: NDArray[np.bool_] | None,
    low: Any,
    high: Any,
    data: Array,
    tile: Ints,
    row: Ints,
    col: Ints,
) -> None:
    """Fill the lists with those pixels of ``frame``, ``(tiles, rows, columns)``, in order.

    The lists have the length that `count_pixels` says, or less: the first ones are taken.

    >>> data, place = np.empty(2), np.empty((3, 2), np.int32)
    >>> frame = np.array([[[0.0, 3.0], [5.0, 0.0]]])
    >>> list_pixels(frame, None, -9.0, 9.0, data, place[0], place[1], place[2])
    >>> data.tolist(), place.tolist()
    ([3.0, 5.0], [[0, 0], [0, 1], [1, 0]])
    """
    k = 0
    for t in range(frame.shape[0]):
        for r in range(frame.shape[1]):
            for c in range(frame.shape[2]):
                v = frame[t, r, c]
                if (v >= low) & (v <= high) & (v != 0):
                    if good is not None and not good[t, r, c]:
                        continue
                    if k == data.size:
                        return
                    data[k] = v
                    tile[k], row[k], col[k] = t, r, c
                    k += 1


@compiled
def put_pixels(data: Array, tile: Array, row: Array, col: Array, frame: Array) -> int:
    """Add each of ``data`` to the pixel of ``frame`` that its position is in.

    Positions may lie between pixels: the nearest one is taken. Returns how many were
    outside of the frame, or nowhere; those that are 0 may be anywhere.

    >>> frame = np.zeros((1, 2, 2))
    >>> nought = np.zeros(3)
    >>> put_pixels(np.ones(3), nought, np.array([0.4, 0.6, 7.0]), nought, frame)
    1
    >>> frame.tolist()
    [[[1.0, 0.0], [1.0, 0.0]]]
    """
    outside = 0
    for k in range(data.size):
        if data[k] == 0:
            continue
        t, r, c = np.float64(tile[k]), np.floor(row[k] + 0.5), np.floor(col[k] + 0.5)
        inside = (t >= 0) & (t < frame.shape[0]) & (r >= 0) & (r < frame.shape[1])
        if inside & (c >= 0) & (c < frame.shape[2]):
            frame[int(t), int(r), int(c)] += data[k]
        else:
            outside += 1
    return outside
