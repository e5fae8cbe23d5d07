"""Images made smaller, for people to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Floats = NDArray[np.float64]


@compiled
def _add(pixels: NDArray[Any], totals: Floats, numbers: Floats) -> None:
    for c in range(pixels.size):
        x = float(pixels[c])
        good = x == x
        totals[c] += x if good else 0.0
        numbers[c] += 1.0 if good else 0.0


@compiled
def block_means(image: NDArray[Any], step: int, out: NDArray[np.float32]) -> None:
    """Means of squares of ``step`` pixels, NaN left out; the last ones may be smaller.

    Parameters
    ----------
    image
        ``(rows, columns)``, contiguous.
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
    totals, numbers = np.empty(columns), np.empty(columns)
    for k in range(out.shape[0]):
        totals[:] = 0.0
        numbers[:] = 0.0
        # Along the columns first: only that becomes vector instructions.
        for r in range(k * step, min((k + 1) * step, rows)):
            _add(image[r], totals, numbers)
        for j in range(out.shape[1]):
            total, number = 0.0, 0.0
            for c in range(j * step, min((j + 1) * step, columns)):
                total += totals[c]
                number += numbers[c]
            out[k, j] = total / number if number else np.nan
