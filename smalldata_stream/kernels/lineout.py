"""The brightest pixel of each frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]

BLOCK = 1024
"""Pixels compared at once, each with its own highest so far: vector instructions."""


@compiled
def _raise(pixels: Array, good: NDArray[np.bool_], lowest: Any, top: Array) -> None:
    for k in range(pixels.size):
        v = pixels[k]
        p = v if (v - v == 0) & good[k] else lowest
        top[k] = p if p > top[k] else top[k]


@compiled
def _is_there(pixels: Array, good: NDArray[np.bool_], value: Any) -> bool:
    number = np.int32(0)
    for k in range(pixels.size):
        number = np.int32(number + np.int32((pixels[k] == value) & good[k]))
    return bool(number > 0)


@compiled
def _first(pixels: Array, good: NDArray[np.bool_], value: Any) -> int:
    for start in range(0, good.size, BLOCK):
        stop = min(start + BLOCK, good.size)
        if _is_there(pixels[start:stop], good[start:stop], value):
            for p in range(start, stop):
                if (pixels[p] == value) & good[p]:
                    return p
    return -1


@compiled
def brightest(
    frames: Array, good: NDArray[np.bool_], lowest: Any, found: NDArray[np.int64]
) -> None:
    """Flat index of the highest good, finite pixel; the first of equal ones, or -1.

    ``frames`` is ``(n, pixels)``, ``good`` ``(pixels,)``, ``found``, out, ``(n,)``;
    ``lowest`` is -inf, or the smallest integer, of the dtype of the frames.

    >>> found = np.empty(1, np.int64)
    >>> frames = np.array([[1.0, 9.0, np.inf, 9.0, 7.0]])
    >>> brightest(frames, np.array([True, False, True, True, True]), -np.inf, found)
    >>> found.tolist()
    [3]
    """
    top = np.empty(BLOCK, frames.dtype)
    for i in range(frames.shape[0]):
        top[:] = lowest
        for start in range(0, good.size, BLOCK):
            stop = min(start + BLOCK, good.size)
            _raise(frames[i, start:stop], good[start:stop], lowest, top)
        highest = top[0]
        for k in range(BLOCK):
            highest = top[k] if top[k] > highest else highest
        # -inf is never a good pixel's; the smallest integer may be.
        none = highest - highest != 0
        found[i] = -1 if none else _first(frames[i], good, highest)
