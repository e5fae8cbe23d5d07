"""The common mode of whole banks, and which pixels are quiet, in float32.

``values`` and ``part`` as for rows and columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.common_mode import choose, subtract
from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.selection import median_of_many

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@compiled
def _gather(v: Floats, p: Bytes, chosen: Floats, n: int) -> int:
    """Values of a row that count, to ``chosen`` from ``n`` on; one more is written."""
    for k in range(v.size):
        chosen[n] = v[k]
        n += p[k] & 1
    return n


MEDIAN, MEAN, ZERO_PEAK = 0, 1, 2
"""What of the pixels of a bank is its common mode."""


@compiled
def _found(chosen: Floats, n: int, what: int, most: float) -> float:
    """The common mode of n pixels: for the median, with +inf among them."""
    if what == MEDIAN:
        return median_of_many(chosen, n)
    if what == ZERO_PEAK:
        return zero_peak(chosen[:n], most)
    total = 0.0
    for k in range(n):
        total += chosen[k]
    return total / n


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
    across = columns_ // width
    chosen = np.empty((across, height * width + 1), np.float32)
    there, by = np.empty(across, np.int64), np.empty(across, np.float32)
    # Row by row through all the banks that are side by side: so it is read in order.
    for top in range(0, v2.shape[0], height):
        there[:] = 0
        for i in range(height):
            for bank in range(across):
                left, right = bank * width, (bank + 1) * width
                v, p = v2[top + i, left:right], p2[top + i, left:right]
                if what == MEDIAN:
                    there[bank] += choose(v, p, chosen[bank, i * width : (i + 1) * width])
                else:
                    there[bank] = _gather(v, p, chosen[bank], there[bank])
        for bank in range(across):
            n, by[bank] = there[bank], 0
            if n >= max(least, 1):
                found = _found(chosen[bank, :-1], n, what, most)
                by[bank] = found if abs(found) < most else 0.0
        for row in range(top, top + height):
            for bank in range(across):
                left, right = bank * width, (bank + 1) * width
                subtract(v2[row, left:right], p2[row, left:right], by[bank])


LOWEST, BINS = -1000, 3000
"""The histogram in which `zero_peak` looks: from -1000 ADU on, in bins of 1 ADU."""

PEAK_PIXELS, PEAK_ADU = 100, 40.0
"""A peak has more pixels than this in its highest bin, and no larger rms."""


@compiled
def zero_peak(values: Floats, most: float) -> float:
    """Where pixels without a photon lie, as psana of LCLS-I finds it; NaN without a peak.

    The histogram has bins of 1 ADU, centred on whole numbers. The peak is the first bin
    from below that has more pixels than all before it and than `PEAK_PIXELS`, and that none
    exceeds before their number has dropped to half. The common mode is the mean of the
    values, rounded to their bins, within two sigma of it: sigma is first 1/2.36 of the
    width at half of the height, then the rms about the mean.

    >>> zero_peak(np.repeat(np.float32([3, 4, 5, 50]), [300, 900, 300, 500]), 20.0)
    4.0
    """
    counts = np.zeros(BINS, np.int64)
    for k in range(values.size):
        v = values[k]
        at = int(v - 0.5 if v < 0 else v + 0.5) - LOWEST
        if 0 <= at < BINS:
            counts[at] += 1
    peak, height, right = -1, 0, BINS
    for i in range(BINS):
        if counts[i] > height and counts[i] > PEAK_PIXELS:
            peak, height = i, counts[i]
        elif peak >= 0 and counts[i] <= height // 2:
            right = i
            break
    if peak < 0:
        return float(np.nan)
    left = peak
    while left >= 0 and counts[left] > height // 2:
        left -= 1
    sigma, mean = (right - left) / 2.36, float(peak)
    for _ in range(2):
        reach = int(2 * sigma + 0.5)
        total, first, second = 0, 0.0, 0.0
        for i in range(max(0, peak - reach), min(BINS, peak + reach + 1)):
            total += counts[i]
            first += (i - mean) * counts[i]
            second += (i - mean) ** 2 * counts[i]
        sigma = np.sqrt(second / total - (first / total) ** 2)
        mean += first / total
    mean += LOWEST
    return mean if abs(mean) <= most and sigma <= PEAK_ADU else float(np.nan)


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
