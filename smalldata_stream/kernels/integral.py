"""Integrals of waveforms over their background."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.window import good_samples, level, total

Array = NDArray[Any]


@compiled
def integrate(
    waves: Array,
    good: NDArray[np.bool_],
    signal: tuple[int, int],
    background: tuple[int, int],
    by_median: bool,
    sign: float,
    out: NDArray[np.float64],
) -> None:
    """Sum of the samples in ``signal``, each less the level of ``background``.

    Parameters
    ----------
    waves
        ``(n, channels, samples)``.
    good
        ``(channels, samples)``, True = good sample; others and non-finite ones are left
        out of sum and level.
    signal, background
        First sample, and the one after the last. An empty background has level 0.
    sign
        1, or -1 for pulses that go down.
    out
        ``(n, channels)``; NaN where the background has no good sample.

    >>> out = np.empty((1, 1))
    >>> wave = np.array([[[2, 2, 5, 7, 2]]], np.uint16)
    >>> integrate(wave, np.ones((1, 5), bool), (2, 4), (0, 2), True, 1.0, out)
    >>> out.tolist()
    [[8.0]]
    """
    first, last = signal
    before, after = background
    samples = np.empty(max(last - first, after - before))
    for i in range(waves.shape[0]):
        for c in range(waves.shape[1]):
            base = 0.0
            if after > before:
                n = good_samples(waves[i, c], good[c], before, after, samples)
                base = level(samples[:n], by_median)
            n = good_samples(waves[i, c], good[c], first, last, samples)
            for t in range(n):
                samples[t] -= base
            sum_ = total(samples[:n])
            out[i, c] = sign * sum_ if math.isfinite(base) else math.nan
