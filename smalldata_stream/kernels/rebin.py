"""Fewer, larger pixels: means over the part of each pixel that lies in the larger one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]


@compiled
def _add_row(
    row: Array, good: NDArray[np.bool_], weight: float, total: Array, area: Array
) -> None:
    for c in range(row.size):
        v = row[c]
        inside = (v - v == 0) & good[c]
        total[c] += weight * np.float64(v) if inside else 0.0
        area[c] += weight if inside else 0.0


@compiled
def rebin(frames: Array, mask: NDArray[np.bool_], out: NDArray[np.float64]) -> None:
    """Mean of the good pixels under each larger pixel, weighted with the overlap of areas.

    Parameters
    ----------
    frames
        ``(n, tiles, rows, columns)``.
    mask
        ``(tiles, rows, columns)``, True = good pixel; a pixel that is not finite is bad.
    out
        ``(n, tiles, larger rows, larger columns)``; NaN where no good pixel is below.

    >>> out = np.empty((1, 1, 1, 2))
    >>> frames = np.array([[[[1.0, 2.0, 3.0], [1.0, 2.0, np.nan]]]])
    >>> rebin(frames, np.ones((1, 2, 3), bool), out)
    >>> out.ravel().tolist()
    [1.3333333333333333, 2.5]
    """
    n, tiles, rows, columns = frames.shape
    into_rows, into_columns = out.shape[2], out.shape[3]
    total, area = np.empty(columns), np.empty(columns)
    for i in range(n):
        for t in range(tiles):
            for r in range(into_rows):
                # Bounds in units of 1 / into_rows of a row: integers, so exact.
                begin, end = r * rows, (r + 1) * rows
                total[:] = 0.0
                area[:] = 0.0
                for k in range(begin // into_rows, (end - 1) // into_rows + 1):
                    part = min(end, (k + 1) * into_rows) - max(begin, k * into_rows)
                    _add_row(frames[i, t, k], mask[t, k], float(part), total, area)
                for c in range(into_columns):
                    left, right = c * columns, (c + 1) * columns
                    s, a = 0.0, 0.0
                    for k in range(left // into_columns, (right - 1) // into_columns + 1):
                        part = min(right, (k + 1) * into_columns)
                        part -= max(left, k * into_columns)
                        s += part * total[k]
                        a += part * area[k]
                    out[i, t, r, c] = s / a if a > 0.0 else np.nan
