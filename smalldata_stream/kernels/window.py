"""Level and noise of a stretch of a waveform, over its good samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]

SPAN = 512
"""Whole numbers within so many are counted to find their median, not sorted."""


@compiled
def _copied(row: Array, good: NDArray[np.bool_], out: NDArray[np.float64]) -> int:
    """Copy all samples; how many of them are good."""
    n = np.int32(0)
    for t in range(row.size):
        v = np.float64(row[t])
        out[t] = v
        n = np.int32(n + np.int32((v - v == 0) & good[t]))
    return int(n)


@compiled
def total(samples: NDArray[np.float64]) -> float:
    """The sum, 0 of none; destroys ``samples``.

    Halves are added to each other until one number is left: vector instructions, and less
    rounding than one after the other.

    >>> total(np.array([1.0, 2.0, 4.0]))
    7.0
    """
    n = samples.size
    if n == 0:
        return 0.0
    while n > 1:
        half = (n + 1) // 2
        _add_to(samples[:half], samples[half:n])
        n = half
    return float(samples[0])


@compiled
def _add_to(to: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    for t in range(values.size):
        to[t] += values[t]


@compiled
def good_samples(
    row: Array, good: NDArray[np.bool_], first: int, last: int, out: NDArray[np.float64]
) -> int:
    """Put the good, finite samples of ``row[first:last]`` into ``out``; how many they are.

    >>> out = np.empty(3)
    >>> good_samples(np.array([1.0, np.nan, 3.0]), np.ones(3, bool), 0, 3, out)
    2
    """
    # Mostly all are good: a copy, in vector instructions, is all there is to do.
    if _copied(row[first:last], good[first:last], out) == last - first:
        return last - first
    n = 0
    for t in range(first, last):
        v = np.float64(row[t])
        if good[t] and math.isfinite(v):
            out[n] = v
            n += 1
    return n


@compiled
def select(samples: NDArray[np.float64], k: int) -> float:
    """The sample that sorting would put at ``k``; those before it are not larger.

    Hoare's quickselect, with the middle of three as pivot. No sample is NaN.

    >>> select(np.array([4.0, 1.0, 2.0, 9.0]), 2)
    4.0
    """
    first, last = 0, samples.size - 1
    while first < last:
        a, b, c = samples[first], samples[(first + last) // 2], samples[last]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = first, last
        while i <= j:
            while samples[i] < pivot:
                i += 1
            while samples[j] > pivot:
                j -= 1
            if i <= j:
                samples[i], samples[j] = samples[j], samples[i]
                i += 1
                j -= 1
        if k <= j:
            last = j
        elif k >= i:
            first = i
        else:
            break
    return float(samples[k])


@compiled
def _range(samples: NDArray[np.float64]) -> tuple[float, float, bool]:
    """The lowest and the highest, and whether all are whole numbers."""
    low, high = samples[0], samples[0]
    for v in samples:
        low = v if v < low else low
    for v in samples:
        high = v if v > high else high
    broken = np.int32(0)
    for v in samples:
        broken = np.int32(broken + np.int32(np.floor(v) != v))
    return float(low), float(high), bool(broken == 0)


@compiled
def _counted(samples: NDArray[np.float64], low: float) -> float:
    """The median of whole numbers less than ``SPAN`` above ``low``."""
    counts = np.zeros(SPAN, np.int32)
    for v in samples:
        counts[np.uint32(v - low)] += 1
    # The two in the middle, or twice the one.
    n = samples.size
    below, lower, upper = 0, -1, 0
    while below <= n // 2:
        below += counts[upper]
        if lower < 0 and below > (n - 1) // 2:
            lower = upper
        upper += 1
    return 0.5 * ((low + lower) + (low + upper - 1))


@compiled
def median(samples: NDArray[np.float64]) -> float:
    """The median; NaN of none. Changes the order of ``samples``.

    >>> median(np.array([4.0, 1.0, 2.0, 9.0]))
    3.0
    """
    n = samples.size
    if n == 0:
        return math.nan
    if n >= 16:
        low, high, whole = _range(samples)
        if whole and high - low < SPAN:
            return _counted(samples, low)
    upper = select(samples, n // 2)
    if n % 2:
        return upper
    return 0.5 * (float(samples[: n // 2].max()) + upper)


@compiled
def mean(samples: NDArray[np.float64]) -> float:
    """The mean; NaN of none.

    >>> mean(np.array([1.0, 2.0]))
    1.5
    """
    if samples.size == 0:
        return math.nan
    total = 0.0
    for v in samples:
        total += v
    return total / samples.size


@compiled
def level(samples: NDArray[np.float64], by_median: bool) -> float:
    """The median or the mean; NaN of none. May change the order of ``samples``.

    >>> level(np.array([0.0, 0.0, 3.0]), True), level(np.array([0.0, 0.0, 3.0]), False)
    (0.0, 1.0)
    """
    return median(samples) if by_median else mean(samples)


@compiled
def noise(samples: NDArray[np.float64]) -> float:
    """The standard deviation (over n); NaN of none.

    >>> noise(np.array([1.0, 3.0]))
    1.0
    """
    center = mean(samples)
    total = 0.0
    for v in samples:
        total += (v - center) ** 2
    return math.sqrt(total / samples.size) if samples.size else math.nan
