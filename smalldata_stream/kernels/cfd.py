"""Constant fraction discriminator: when a pulse has risen to a fraction of its height."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.hits import Cut, above, flatten

Array = NDArray[Any]


@compiled
def _crossing(
    flat: NDArray[np.float64], first: int, last: int, delay: int, fraction: float
) -> float:
    # Where flat[t - delay] - fraction * flat[t] comes from below to 0 or above.
    stop = min(last + delay, flat.size)
    for t in range(max(first, delay + 1), stop):
        after = flat[t - delay] - fraction * flat[t]
        before = flat[t - 1 - delay] - fraction * flat[t - 1]
        if before < 0.0 <= after:
            return float(t - 1 - before / (after - before) - delay)
    return math.nan


@compiled
def discriminate(
    waves: Array,
    good: NDArray[np.bool_],
    cut: Cut,
    delay: int,
    fraction: float,
    count: NDArray[np.int32],
    channel: NDArray[np.int16],
    time: NDArray[np.float64],
    height: NDArray[np.float64],
) -> int:
    """The time of each stretch above the threshold; returns how many there are.

    Parameters
    ----------
    waves
        ``(n, channels, samples)``.
    delay, fraction
        The discriminator is w(t - delay) - fraction * w(t). It passes through zero when
        the pulse, delayed, has risen to ``fraction`` of what it is then: of its height,
        if ``delay`` is its rise time.
    count
        Out, ``(n, channels)``: pulses with such a time.
    channel, time, height
        Out, per pulse, time in samples on the pulse's own rise. With length 0 the pulses
        are only counted.
    """
    flat, samples = np.empty(waves.shape[2]), np.empty(waves.shape[2])
    k = 0
    for i in range(waves.shape[0]):
        for c in range(waves.shape[1]):
            threshold = flatten(waves[i, c], good[c], cut, samples, flat)
            count[i, c] = 0
            t = 0
            while t < flat.size:
                if not above(flat[t], threshold, cut.most):
                    t += 1
                    continue
                first, top = t, flat[t]
                while t < flat.size and above(flat[t], threshold, cut.most):
                    top = max(top, flat[t])
                    t += 1
                found = _crossing(flat, first, t, delay, fraction)
                if math.isnan(found):
                    continue
                if time.size:
                    channel[k], time[k], height[k] = c, found, top
                count[i, c] += 1
                k += 1
    return k
