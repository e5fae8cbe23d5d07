"""Baselines of waveforms, also of those whose digitizer takes turns."""

from __future__ import annotations

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
                start = first + (phase - first) % period
                row, usable = waves[i, c, start:last:period], good[c, start:last:period]
                n = good_samples(row, usable, 0, row.size, samples)
                out[i, c, phase] = level(samples[:n], by_median)


@compiled
def _subtract_one(row: Array, base: float, good: NDArray[np.bool_], out: Array) -> None:
    for t in range(row.size):
        out[t] = np.float64(row[t]) - base if good[t] else 0.0


@compiled
def subtract(
    waves: Array, base: NDArray[np.float64], good: NDArray[np.bool_], out: Array
) -> None:
    """Each sample less the level of its phase; 0 where the sample is bad.

    Shapes as in `baselines`; ``out`` is like ``waves``, floating point.

    >>> out, base = np.empty((1, 1, 3)), np.array([[[4.0, 1.0]]])
    >>> subtract(np.array([[[5, 1, 9]]]), base, np.ones((1, 3), bool), out)
    >>> out.tolist()
    [[[1.0, 0.0, 5.0]]]
    """
    period = base.shape[2]
    for i in range(waves.shape[0]):
        for c in range(waves.shape[1]):
            if period == 1:
                _subtract_one(waves[i, c], base[i, c, 0], good[c], out[i, c])
                continue
            for phase in range(period):
                row, usable = waves[i, c, phase::period], good[c, phase::period]
                _subtract_one(row, base[i, c, phase], usable, out[i, c, phase::period])
