"""Lines of a frame shifted against each other: a curved spectrum made straight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]

STRIP = 256
"""Columns moved together: what a curved line crosses in them stays in the cache."""


@compiled
def shift_columns(
    frames: Array,
    good: NDArray[np.bool_] | None,
    whole: NDArray[np.int64],
    part: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Column c of ``out`` at row r is column c of the frame at row ``r + whole + part``.

    Between two rows it is interpolated linearly. What would come from outside of the frame,
    from a bad pixel or from one that is not finite, is 0.

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
        for first in range(0, columns, STRIP):
            last = min(first + STRIP, columns)
            for r in range(rows):
                for c in range(first, last):
                    at, w = r + whole[c], part[c]
                    v = 0.0
                    if (at >= 0) & (at < rows - (1 if w > 0.0 else 0)):
                        v = np.float64(frames[i, at, c])
                        ok = good is None or good[at, c]
                        if w > 0.0:
                            v += w * (np.float64(frames[i, at + 1, c]) - v)
                            ok = ok and (good is None or good[at + 1, c])
                        v = v if ok and v - v == 0 else 0.0
                    out[i, r, c] = v
