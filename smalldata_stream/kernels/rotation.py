"""Images turned about a point, by bilinear interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]


@compiled
def rotate(
    frames: Array,
    good: NDArray[np.bool_],
    at: NDArray[np.int64],
    down: NDArray[np.float32],
    right: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Each pixel of ``out`` is the mean of the four pixels about a place in the frame.

    Bad pixels and those that are not finite are left out of the mean, and the weights of
    the others made 1; where the good ones weigh less than a half, the pixel is 0.

    Parameters
    ----------
    frames
        ``(n, rows, columns)``.
    good
        ``(rows, columns)``, True = good pixel.
    at
        Flat index of the upper left of the four; -1 where the place is not in the frame.
    down, right
        How far the place is from it, in rows and columns, 0 to 1.
    out
        ``(n, pixels)``, as ``at``, ``down`` and ``right``.

    >>> out = np.empty((1, 2), np.float32)
    >>> frames = np.array([[[1.0, 3.0], [5.0, np.nan]]])
    >>> half = np.array([0.5, 0], np.float32)
    >>> rotate(frames, np.ones((2, 2), bool), np.array([0, -1]), half, half, out)
    >>> out.tolist()
    [[3.0, 0.0]]
    """
    n, rows, columns = frames.shape
    flat_good = good.reshape(rows * columns)
    for i in range(n):
        flat = frames[i].reshape(rows * columns)
        for k in range(at.size):
            p = at[k]
            if p < 0:
                out[i, k] = 0.0
                continue
            d, r = np.float64(down[k]), np.float64(right[k])
            # On the last row or column the neighbour has no weight: any pixel will do.
            below = p + columns if p + columns < flat.size else p
            total, weight = 0.0, 0.0
            for step in range(4):
                q = below if step >= 2 else p
                q += step % 2 if q + step % 2 < flat.size else 0
                w = (d if step >= 2 else 1.0 - d) * (r if step % 2 else 1.0 - r)
                v = np.float64(flat[q])
                if (v - v == 0) & flat_good[q]:
                    total += w * v
                    weight += w
            out[i, k] = total / weight if weight >= 0.5 else 0.0
