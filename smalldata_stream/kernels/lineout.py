"""The brightest pixel of each frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]


@compiled
def brightest(frames: Array, good: NDArray[np.bool_], found: NDArray[np.int64]) -> None:
    """Flat index of the highest good, finite pixel; the first of equal ones, or -1.

    ``frames`` is ``(n, pixels)``, ``good`` ``(pixels,)``, ``found``, out, ``(n,)``.

    >>> found = np.empty(1, np.int64)
    >>> frames = np.array([[1.0, 9.0, np.inf, 9.0, 7.0]])
    >>> brightest(frames, np.array([True, False, True, True, True]), found)
    >>> found.tolist()
    [3]
    """
    for i in range(frames.shape[0]):
        at = -1
        highest = frames[i, 0]
        for p in range(frames.shape[1]):
            v = frames[i, p]
            if (v - v == 0) & good[p] & ((at < 0) | (v > highest)):
                at, highest = p, v
        found[i] = at
