"""Level and noise of a stretch of a waveform, over its good samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]


@compiled
def good_samples(
    row: Array, good: NDArray[np.bool_], first: int, last: int, out: NDArray[np.float64]
) -> int:
    """Put the good, finite samples of ``row[first:last]`` into ``out``; how many they are.

    >>> out = np.empty(3)
    >>> good_samples(np.array([1.0, np.nan, 3.0]), np.ones(3, bool), 0, 3, out)
    2
    """
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
def median(samples: NDArray[np.float64]) -> float:
    """The median; NaN of none. Changes the order of ``samples``.

    >>> median(np.array([4.0, 1.0, 2.0, 9.0]))
    3.0
    """
    n = samples.size
    if n == 0:
        return math.nan
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
