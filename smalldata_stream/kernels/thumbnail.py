"""Images made smaller, for people to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled


@compiled
def block_means(image: NDArray[Any], step: int, out: NDArray[np.float32]) -> None:
    """Means of squares of ``step`` pixels, NaN left out; the last ones may be smaller.

    Parameters
    ----------
    image
        ``(rows, columns)``.
    step
        Pixels along an edge of a square.
    out
        ``(ceil(rows / step), ceil(columns / step))``; NaN where no pixel is good.

    >>> out = np.empty((1, 2), np.float32)
    >>> block_means(np.array([[1.0, 3.0, 5.0], [1.0, np.nan, 7.0]]), 2, out)
    >>> out.tolist()
    [[1.6666666269302368, 6.0]]
    """
    rows, columns = image.shape
    totals, numbers = np.empty(out.shape[1]), np.empty(out.shape[1], np.int64)
    for k in range(out.shape[0]):
        totals[:] = 0.0
        numbers[:] = 0
        for r in range(k * step, min((k + 1) * step, rows)):
            for c in range(columns):
                x = float(image[r, c])
                if x == x:
                    totals[c // step] += x
                    numbers[c // step] += 1
        for j in range(out.shape[1]):
            out[k, j] = totals[j] / numbers[j] if numbers[j] else np.nan
