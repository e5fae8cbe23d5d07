"""The common mode of whole banks, and which pixels are quiet, in float32.

``values`` and ``part`` as for rows and columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.median import median_of_many

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@compiled
def _gather(v: Floats, p: Bytes, chosen: Floats, n: int) -> int:
    """Values of a row that count, to ``chosen`` from ``n`` on; one more is written."""
    for k in range(v.size):
        chosen[n] = v[k]
        n += p[k] & 1
    return n


@compiled
def _correct(v: Floats, p: Bytes, by: np.float32) -> None:
    for k in range(v.size):
        v[k] -= by if p[k] & 2 else np.float32(0)


MEDIAN, MEAN, ZERO_PEAK = 0, 1, 2
"""What of the pixels of a bank is its common mode."""


@compiled
def banks(
    values: Floats,
    part: Bytes,
    height: int,
    columns_: int,
    width: int,
    what: int,
    most: float,
    least: int,
) -> None:
    """Subtract the common mode of each bank ``(height, width)``, ``columns_`` a row.

    ``what`` is `MEDIAN`, `MEAN` (of float64) or `ZERO_PEAK` (see `zero_peak`). One of
    fewer than ``least`` pixels is not subtracted.

    >>> values = np.float32([1, 2, 9, 30, 40, 50])
    >>> banks(values, np.full(6, 3, np.uint8), 1, 6, 3, MEDIAN, 35.0, 1)
    >>> values.tolist()
    [-1.0, 0.0, 7.0, 30.0, 40.0, 50.0]
    """
    v2, p2 = values.reshape((-1, columns_)), part.reshape((-1, columns_))
    chosen = np.empty(height * width + 1, np.float32)
    for top in range(0, v2.shape[0], height):
        for left in range(0, columns_, width):
            right = left + width
            n = 0
            for row in range(top, top + height):
                n = _gather(v2[row, left:right], p2[row, left:right], chosen, n)
            if n < least or n == 0:
                continue
            by = 0.0
            if what == MEDIAN:
                by = median_of_many(chosen[:n])
            elif what == MEAN:
                total = 0.0
                for k in range(n):
                    total += chosen[k]
                by = total / n
            else:
                by = zero_peak(chosen[:n], most)
            if abs(by) < most:
                for row in range(top, top + height):
                    v, p = v2[row, left:right], p2[row, left:right]
                    _correct(v, p, np.float32(by))


@compiled
def zero_peak(values: Floats, most: float) -> float:
    """Where pixels without a photon lie: the peak of their histogram, in bins of 1 ADU.

    The peak is the highest bin between ``-most`` and ``most``, the one nearest to ``-most``
    of several; the result is the mean of the values in it and as far to either side as the
    bins hold more than half of it. The bins are centred on whole numbers.

    >>> zero_peak(np.float32([3, 3.25, 3, 2.5, 50, 51, 49]), 20.0)
    2.9375
    """
    reach = int(most)
    counts = np.zeros(2 * reach + 1, np.int64)
    for k in range(values.size):
        at = int(np.floor(values[k] + 0.5)) + reach
        if 0 <= at < counts.size:
            counts[at] += 1
    peak = int(np.argmax(counts))
    if counts[peak] == 0:
        return 0.0
    low = high = peak
    while low > 0 and 2 * counts[low - 1] > counts[peak]:
        low -= 1
    while high < counts.size - 1 and 2 * counts[high + 1] > counts[peak]:
        high += 1
    total, n = 0.0, 0
    for k in range(values.size):
        at = int(np.floor(values[k] + 0.5)) + reach
        if low <= at <= high:
            total += values[k]
            n += 1
    return total / n


@compiled
def only_quiet(
    values: Floats,
    part: Bytes,
    noise: Floats,
    sigmas: float,
    most: float,
    height: int,
    width: int,
) -> None:
    """Take pixels with signal, and their four neighbours, out of those that count.

    A pixel has signal at ``sigmas`` times its ``noise`` and more, ADU; one beyond ``most``
    counts no more either, but its neighbours do. Neighbours are in the same segment
    ``(height, width)``.

    >>> part = np.full(4, 3, np.uint8)
    >>> values, noise = np.float32([0, 50, 0, 0]), np.full(4, 2, np.float32)
    >>> only_quiet(values, part, noise, 10.0, 30.0, 1, 4)
    >>> part.tolist()
    [2, 2, 2, 3]
    """
    n = values.size
    for k in range(n):
        if noise[k] > 0 and values[k] >= sigmas * noise[k]:
            column, row = k % width, k // width % height
            part[k] &= 2
            if column > 0:
                part[k - 1] &= 2
            if column < width - 1:
                part[k + 1] &= 2
            if row > 0:
                part[k - width] &= 2
            if row < height - 1:
                part[k + width] &= 2
        if abs(values[k]) > most:
            part[k] &= 2
