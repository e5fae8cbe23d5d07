"""Speckle contrast from numbers of photons: the negative binomial distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Floats = NDArray[np.float64]


@compiled
def count_numbers(
    image: NDArray[Any], good: NDArray[np.bool_], counts: NDArray[np.int64]
) -> int:
    """How many good pixels have 0, 1, 2 ... photons; returns the photons in them.

    ``image`` and ``good`` are ``(pixels,)``; ``counts[k]`` is added to for k photons, its
    last for as many and more.

    >>> counts = np.zeros(3, np.int64)
    >>> image, good = np.array([0, 1, 1, 7], np.uint16), np.array([1, 1, 0, 1], bool)
    >>> count_numbers(image, good, counts)
    8
    >>> counts.tolist()
    [1, 1, 1]
    """
    most = counts.size - 1
    photons, some, pixels = 0, 0, 0
    for p in range(image.size):
        pixels += good[p]
        k: Any = np.int64(image[p])  # of uint64, a float would be made
        if k > 0 and good[p]:
            photons += k
            some += 1
            counts[min(k, most)] += 1
    counts[0] += pixels - some
    return photons


def score(counts: Floats, mean: float, beta: float) -> float:
    """Derivative of the log-likelihood by the contrast ``beta``.

    ``counts[k]`` pixels have k photons. With M = 1 / beta modes,
    P(k) = Gamma(k + M) / (Gamma(M) k!) (1 + M / mean)^-k (1 + mean / M)^-M, so that
    log P(k) = sum over j < k of log(1 + j beta) - (k + 1 / beta) log(1 + beta mean) + terms
    without beta. Goodman, Statistical Optics; Phys. Rev. Lett. 109, 185502 (2012).

    >>> score(np.array([4.0, 4.0, 1.0]), 6 / 9, 0.0)
    -1.0
    """
    j = np.arange(len(counts) - 1)
    inner = np.concatenate([[0.0], np.cumsum(j / (1 + j * beta))])
    n, x = float(counts.sum()), beta * mean
    # (x - log(1 + x)) / beta^2, of which the series is exact where the difference is not.
    if x < 1e-3:
        of_mean = mean**2 * (1 / 2 - x / 3 + x**2 / 4 - x**3 / 5 + x**4 / 6)
    else:
        of_mean = (x - math.log1p(x)) / beta**2
    return float(counts @ inner) - n * of_mean


def contrast(counts: NDArray[np.int64], mean: float) -> tuple[float, float]:
    """The contrast of largest likelihood, 0 or more, and its standard error.

    ``counts[k]`` pixels have k photons, of ``mean`` on average. NaN where there is
    no pixel or no photon.

    >>> beta, error = contrast(np.array([3800, 950, 250]), 1450 / 5000)
    >>> round(beta, 3), round(error, 3)
    (0.245, 0.09)
    """
    numbers = counts.astype(np.float64)
    if numbers.sum() == 0 or not mean > 0:
        return math.nan, math.nan
    beta = 0.0
    if score(numbers, mean, 0.0) > 0:
        low, high = 0.0, 1.0
        while score(numbers, mean, high) > 0 and high < 1e6:
            low, high = high, 2 * high
        while high - low > 1e-13 * high:
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            if score(numbers, mean, middle) > 0:
                low = middle
            else:
                high = middle
        beta = 0.5 * (low + high)
    step = 1e-4 * max(beta, 0.1)
    below = max(beta - step, 0.0)
    slope = (score(numbers, mean, beta + step) - score(numbers, mean, below)) / (
        beta + step - below
    )
    return beta, math.sqrt(-1 / slope) if slope < 0 else math.nan
