"""Waveforms as sums of basis waveforms: making a basis, and fitting with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.window import good_samples, mean, total

Array = NDArray[Any]


def make_basis(
    waves: Array, components: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The strongest orthonormal components of waveforms, and their singular values.

    ``waves`` is ``(n, samples)``; returns ``(components, samples)`` and ``(components,)``.
    The sample of a component that is largest in magnitude is positive.

    >>> basis, strength = make_basis(np.array([[3.0, 4.0], [6.0, 8.0]]), 1)
    >>> basis.round(6).tolist(), strength.round(6).tolist()
    ([[0.6, 0.8]], [11.18034])
    """
    _, strength, basis = np.linalg.svd(waves.astype(np.float64), full_matrices=False)
    basis, strength = basis[:components], strength[:components]
    largest = np.argmax(np.abs(basis), axis=1)
    signs = np.sign(basis[np.arange(len(basis)), largest])
    return basis * signs[:, None], strength


def delayed(basis: Array, delays: tuple[int, ...]) -> NDArray[np.float64]:
    """A basis ``(components, samples)`` for pulses at several delays, one after another.

    What a delay moves out of the window is lost, and zeros come in.

    >>> delayed(np.array([[1.0, 2.0, 3.0]]), (0, 1, -1)).tolist()
    [[1.0, 2.0, 3.0], [0.0, 1.0, 2.0], [2.0, 3.0, 0.0]]
    """
    samples = basis.shape[1]
    out = np.zeros((len(delays), *basis.shape))
    for pulse, delay in zip(out, delays, strict=True):
        to = slice(max(delay, 0), samples + min(delay, 0))
        pulse[:, to] = basis[:, max(-delay, 0) : samples - max(delay, 0)]
    return out.reshape(-1, samples)


@compiled
def _multiply(
    a: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    for t in range(a.size):
        out[t] = a[t] * b[t]


@compiled
def _add_times(factor: float, a: NDArray[np.float64], to: NDArray[np.float64]) -> None:
    for t in range(a.size):
        to[t] += factor * a[t]


@compiled
def fit(
    waves: Array,
    good: NDArray[np.bool_],
    window: tuple[int, int],
    background: tuple[int, int],
    basis: NDArray[np.float64],
    projector: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    reconstructed: NDArray[np.float64],
    score: NDArray[np.float64],
) -> None:
    """Least-squares coefficients of waveforms in a basis, and how good the fit is.

    Parameters
    ----------
    waves
        ``(n, channels, samples)``; of a waveform with a sample that is bad or not finite
        in ``window``, or without a good one in ``background``, all results are NaN.
    window, background
        First sample, and the one after the last. The mean of the background is taken off
        first; an empty one has mean 0.
    basis, projector
        ``(components, window)``, and the pseudo-inverse of its transpose, alike.
    coefficients
        Out, ``(n, channels, components)``.
    reconstructed
        Out, ``(n, channels, window)``.
    score
        Out, ``(n, channels)``: 1 - (squared residuals) / (squared deviations from the
        mean), 1 for a perfect fit.
    """
    first, last = window
    size = last - first
    wave, samples = np.empty(size), np.empty(waves.shape[2])
    for i in range(waves.shape[0]):
        for c in range(waves.shape[1]):
            base = 0.0
            if background[1] > background[0]:
                n = good_samples(
                    waves[i, c], good[c], background[0], background[1], samples
                )
                base = mean(samples[:n])
            whole = good_samples(waves[i, c], good[c], first, last, wave) == size
            if not whole or math.isnan(base):
                coefficients[i, c] = math.nan
                reconstructed[i, c] = math.nan
                score[i, c] = math.nan
                continue
            for t in range(size):
                wave[t] -= base
                samples[t] = wave[t]
            center = total(samples[:size]) / size
            fitted = reconstructed[i, c]
            fitted[:] = 0.0
            for k in range(basis.shape[0]):
                _multiply(projector[k], wave, samples)
                a = total(samples[:size])
                coefficients[i, c, k] = a
                _add_times(a, basis[k], fitted)
            for t in range(size):
                samples[t] = (wave[t] - fitted[t]) ** 2
            off = total(samples[:size])
            for t in range(size):
                samples[t] = (wave[t] - center) ** 2
            all_of_it = total(samples[:size])
            score[i, c] = 1.0 - off / all_of_it if all_of_it > 0.0 else math.nan
