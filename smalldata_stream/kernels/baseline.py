"""Baselines of waveforms, also of those whose digitizer takes turns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.window import good_samples, level

Array = NDArray[Any]


@compiled
def baselines(
    waves: Array,
    good: NDArray[np.bool_],
    window: tuple[int, int],
    by_median: bool,
    out: NDArray[np.float64],
) -> None:
    """The level of each phase: of every ``period``-th sample in ``window``.

    Parameters
    ----------
    waves
        ``(n, channels, samples)``.
    good
        ``(channels, samples)``, True = good sample.
    window
        First sample, and the one after the last.
    out
        ``(n, channels, period)``: the level of the samples t with t mod period = phase;
        NaN where there is no good one.

    >>> out = np.empty((1, 1, 2))
    >>> wave = np.array([[[5.0, 1.0, 7.0, 3.0, 90.0]]])
    >>> baselines(wave, np.ones((1, 5), bool), (0, 4), False, out)
    >>> out.tolist()
    [[[6.0, 2.0]]]
    """
    first, last = window
    period = out.shape[2]
    samples = np.empty(last - first)
    for i in range(waves.shape[0]):
        for c in range(waves.shape[1]):
            for phase in range(period):
                n = 0
                start = first + (phase - first) % period
                for t in range(start, last, period):
                    n += good_samples(waves[i, c], good[c], t, t + 1, samples[n:])
                out[i, c, phase] = level(samples[:n], by_median)


@compiled
def subtract(
    waves: Array, base: NDArray[np.float64], good: NDArray[np.bool_], out: Array
) -> None:
    """Each sample less the level of its phase; 0 where the sample is bad or not finite.

    Shapes as in `baselines`; ``out`` is like ``waves``, floating point.

    >>> out, base = np.empty((1, 1, 3)), np.array([[[4.0, 1.0]]])
    >>> subtract(np.array([[[5, 1, 9]]]), base, np.ones((1, 3), bool), out)
    >>> out.tolist()
    [[[1.0, 0.0, 5.0]]]
    """
    period = base.shape[2]
    for i in range(waves.shape[0]):
        for c in range(waves.shape[1]):
            phase = 0
            for t in range(waves.shape[2]):
                v = np.float64(waves[i, c, t])
                usable = good[c, t] and math.isfinite(v)
                out[i, c, t] = v - base[i, c, phase] if usable else 0.0
                phase = phase + 1 if phase + 1 < period else 0
