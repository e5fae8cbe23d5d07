"""Histograms of the pixels of each event, or of what was found in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]

PRIVATE = 4
"""Histograms filled in turn: neighbours in one bin need not wait for each other."""


@compiled
def _bin(
    x: float, edges: NDArray[np.float64], bins: int, first: float, last: float, per: float
) -> int:
    """The bin of ``x``; ``bins`` where it is in none."""
    if not (x >= first) & (x <= last):
        return bins
    # A guess that is right for equal bins, put right by the edges themselves.
    k = min(int((x - first) * per), bins - 1)
    if (x < edges[k]) | ((x >= edges[k + 1]) & (k < bins - 1)):
        k = min(int(np.searchsorted(edges, x, side="right")) - 1, bins - 1)
    return k


@compiled
def _count(
    pixels: Array,
    good: NDArray[np.bool_] | None,
    edges: NDArray[np.float64],
    private: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    bins = edges.size - 1
    first, last = edges[0], edges[bins]
    per = bins / (last - first)
    private[:] = 0
    for p in range(pixels.size):
        k = _bin(np.float64(pixels[p]), edges, bins, first, last, per)
        if good is not None and not good[p]:
            k = bins
        private[p % PRIVATE, k] += 1
    for k in range(bins):
        counts[k] = private[0, k] + private[1, k] + private[2, k] + private[3, k]


@compiled
def spectrum(
    frames: Array,
    good: NDArray[np.bool_] | None,
    edges: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """How many good pixels of each frame are in each bin, as `numpy.histogram` counts.

    Parameters
    ----------
    frames
        ``(n, pixels)``, numbers; those that are not finite or in no bin are not counted.
    good
        ``(pixels,)``, True = good pixel; None where all are.
    edges
        ``(bins + 1,)``, increasing. A bin has its lower edge, the last one both.
    counts
        Out, ``(n, bins)``.

    >>> counts = np.empty((1, 2), np.int64)
    >>> frames = np.array([[-1.0, 0.0, 1.0, 2.0, 2.5, np.nan]])
    >>> spectrum(frames, None, np.array([0.0, 1.0, 2.0]), counts)
    >>> counts.tolist()
    [[1, 2]]
    """
    private = np.empty((PRIVATE, edges.size), np.int64)
    for i in range(frames.shape[0]):
        _count(frames[i], good, edges, private, counts[i])


@compiled
def spectrum_of_lists(
    values: Array,
    offsets: NDArray[np.int64],
    edges: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """The same for lists: event i has ``values[offsets[i] : offsets[i + 1]]``.

    >>> counts = np.empty((2, 2), np.int64)
    >>> values, edges = np.array([0.5, 1.5, 1.7]), np.array([0.0, 1.0, 2.0])
    >>> spectrum_of_lists(values, np.array([0, 1, 3]), edges, counts)
    >>> counts.tolist()
    [[1, 0], [0, 2]]
    """
    private = np.empty((PRIVATE, edges.size), np.int64)
    for i in range(offsets.size - 1):
        _count(values[offsets[i] : offsets[i + 1]], None, edges, private, counts[i])
