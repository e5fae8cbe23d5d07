"""The common mode of columns, found and subtracted in place, in float32.

``values`` and ``part`` as for rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.lanes import LANES, MARKS, transpose
from smalldata_stream.kernels.selection import count_below, guess, median_near
from smalldata_stream.kernels.sixteen import chosen_from

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

PANEL = 128
"""Columns that are put together at once: in the second cache, and long pieces of rows."""

FEW = 16
"""So many values of a column are looked at one by one."""


@compiled
def _upright(v2: Floats, p2: Bytes, left: int, tile: Floats, standing: Floats) -> None:
    """Columns from ``left`` on as rows of ``standing``, +inf where one does not count."""
    height, width = v2.shape
    v, p = v2.reshape(v2.size), p2.reshape(p2.size)
    rows = standing.shape[1]
    to = standing.reshape(standing.size)
    standing[:, height:] = np.inf
    for top in range(0, height, LANES):
        for column in range(0, min(PANEL, width - left), LANES):
            at = top * width + left + column
            if top + LANES <= height and left + column + LANES <= width:
                for i in range(LANES):
                    k = at + i * width
                    chosen_from(v[k : k + LANES], 0, p[k : k + LANES], tile[i])
                transpose(tile.reshape(tile.size), 0, LANES, to, column * rows + top, rows)
                continue
            for i in range(min(LANES, height - top)):
                for j in range(min(LANES, width - left - column)):
                    k = at + i * width + j
                    value = v[k] if p[k] & 1 else np.float32(np.inf)
                    standing[column + j, top + i] = value


@compiled
def columns(
    values: Floats,
    part: Bytes,
    height: int,
    width: int,
    most: float,
    least: int,
) -> None:
    """Subtract the median of each column of blocks ``(height, width)``, one after another.

    Of each column the median is looked for near that of the one before.

    >>> values = np.float32([1, 5, 2, 6, 30, 7])
    >>> columns(values, np.full(6, 3, np.uint8), 3, 2, 100.0, 2)
    >>> values.tolist()
    [-1.0, -1.0, 0.0, 0.0, 28.0, 1.0]
    """
    v3 = values.reshape((-1, height, width))
    p3 = part.reshape((-1, height, width))
    standing = np.empty((PANEL, (height + MARKS - 1) // MARKS * MARKS), np.float32)
    tile, few = np.empty((LANES, LANES), np.float32), np.empty(FEW, np.float32)
    found = np.empty(width, np.float32)
    for block in range(v3.shape[0]):
        near, apart = 0.0, -1.0
        for left in range(0, width, PANEL):
            _upright(v3[block], p3[block], left, tile, standing)
            for k in range(left, min(left + PANEL, width)):
                column = standing[k - left]
                there = count_below(column, np.float32(np.inf))
                found[k] = 0
                if there <= least or there == 0:
                    continue
                if apart < 0:
                    near, apart = guess(column)
                near, apart = median_near(
                    column, there, np.float32(near), np.float32(apart), few
                )
                found[k] = near if abs(near) < most else 0.0
        for row in range(height):
            v, p = v3[block, row], p3[block, row]
            for k in range(width):
                v[k] -= found[k] if p[k] & 2 else np.float32(0)
