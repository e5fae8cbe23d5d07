"""Stretches of waveforms above a threshold."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.window import good_samples, mean, noise

Array = NDArray[Any]


class Cut(NamedTuple):
    """What is above: ``sign * (sample - level) >= threshold``, and not above ``most``.

    ``level`` is the mean of the samples from ``first`` to before ``last``, 0 where these
    are none. With ``in_sigma`` the threshold is in standard deviations of those samples.
    """

    first: int
    last: int
    threshold: float
    in_sigma: bool
    most: float
    sign: float


@compiled
def flatten(
    row: Array,
    good: NDArray[np.bool_],
    cut: Cut,
    samples: NDArray[np.float64],
    out: NDArray[np.float64],
) -> float:
    """Put ``sign * (sample - level)`` into ``out``, NaN where not good; the threshold.

    >>> out = np.empty(4)
    >>> cut = Cut(0, 2, 3.0, False, np.inf, -1.0)
    >>> flatten(np.array([5, 5, 1, 5]), np.ones(4, bool), cut, np.empty(4), out)
    3.0
    >>> out.tolist()
    [-0.0, -0.0, 4.0, -0.0]
    """
    base, threshold = 0.0, cut.threshold
    if cut.last > cut.first:
        n = good_samples(row, good, cut.first, cut.last, samples)
        base = mean(samples[:n])
        if cut.in_sigma:
            threshold *= noise(samples[:n])
    for t in range(row.size):
        v = np.float64(row[t])
        out[t] = cut.sign * (v - base) if good[t] and math.isfinite(v) else math.nan
    return threshold


@compiled
def above(v: float, threshold: float, most: float) -> bool:
    """Whether a sample belongs to a hit; NaN does not.

    >>> above(3.0, 3.0, 9.0), above(10.0, 3.0, 9.0)
    (True, False)
    """
    return threshold <= v <= most


@compiled
def mark(waves: Array, good: NDArray[np.bool_], cut: Cut, out: NDArray[np.uint8]) -> None:
    """1 where a sample of ``(n, channels, samples)`` is above, else 0; ``out`` alike.

    >>> out = np.empty((1, 1, 4), np.uint8)
    >>> cut = Cut(0, 0, 3.0, False, np.inf, 1.0)
    >>> mark(np.array([[[0.0, 3.0, 8.0, 1.0]]]), np.ones((1, 4), bool), cut, out)
    >>> out.tolist()
    [[[0, 1, 1, 0]]]
    """
    flat, samples = np.empty(waves.shape[2]), np.empty(waves.shape[2])
    for i in range(waves.shape[0]):
        for c in range(waves.shape[1]):
            threshold = flatten(waves[i, c], good[c], cut, samples, flat)
            for t in range(flat.size):
                out[i, c, t] = above(flat[t], threshold, cut.most)


@compiled
def count_hits(
    waves: Array, good: NDArray[np.bool_], cut: Cut, out: NDArray[np.int32]
) -> None:
    """Number of stretches above, ``(n, channels)``.

    >>> out = np.empty((1, 1), np.int32)
    >>> cut = Cut(0, 0, 3.0, False, np.inf, 1.0)
    >>> count_hits(np.array([[[3, 3, 0, 5, 1]]]), np.ones((1, 5), bool), cut, out)
    >>> out.tolist()
    [[2]]
    """
    flat, samples = np.empty(waves.shape[2]), np.empty(waves.shape[2])
    for i in range(waves.shape[0]):
        for c in range(waves.shape[1]):
            threshold = flatten(waves[i, c], good[c], cut, samples, flat)
            count, inside = 0, False
            for t in range(flat.size):
                now = above(flat[t], threshold, cut.most)
                count += now and not inside
                inside = now
            out[i, c] = count


@compiled
def measure_hits(
    waves: Array,
    good: NDArray[np.bool_],
    cut: Cut,
    channel: NDArray[np.int16],
    time: NDArray[np.float64],
    height: NDArray[np.float64],
    width: NDArray[np.int32],
    area: NDArray[np.float64],
) -> None:
    """Each stretch above, in the order of events, channels and time.

    ``time`` is where the straight line between the last sample before the hit and its
    first meets the threshold, in samples; the first sample itself at the start of the
    waveform, and behind a sample that is bad or above ``most``. ``height`` is the largest
    sample, ``width`` the number of samples, ``area`` their sum, all over the level. The
    arrays have the lengths that `count_hits` says.
    """
    flat, samples = np.empty(waves.shape[2]), np.empty(waves.shape[2])
    k = -1
    for i in range(waves.shape[0]):
        for c in range(waves.shape[1]):
            threshold = flatten(waves[i, c], good[c], cut, samples, flat)
            inside = False
            for t in range(flat.size):
                v = flat[t]
                if not above(v, threshold, cut.most):
                    inside = False
                    continue
                if not inside:
                    k += 1
                    channel[k], height[k], width[k], area[k] = c, v, 0, 0.0
                    time[k] = t
                    if t > 0 and flat[t - 1] < threshold:
                        u = flat[t - 1]
                        time[k] = t - 1 + (threshold - u) / (v - u)
                inside = True
                height[k] = max(height[k], v)
                width[k] += 1
                area[k] += v
