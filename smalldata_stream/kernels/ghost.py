"""What frames still have of the frame before, in float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Floats = NDArray[np.float32]

PIECE = 2048
"""Pixels of all frames that are done together: constants and two frames of so many stay in
the first cache, so that each frame is read and written once."""


@compiled
def subtract_ghost(frames: Floats, before: Floats, p0: Floats, p1: Floats) -> None:
    """``frame - (p0 + p1 * the frame before)``, of consecutive frames and in place.

    Parameters
    ----------
    frames
        ``(n, pixels)``; the frame before is the one above, as it was.
    before
        ``(pixels,)``, the frame before the first.
    p0, p1
        ``(pixels,)``.

    >>> frames, ones = np.float32([[10, 20], [30, 40]]), np.ones(2, np.float32)
    >>> subtract_ghost(frames, np.float32([4, 8]), ones, np.float32([0.5, 0.25]))
    >>> frames.tolist()
    [[7.0, 17.0], [24.0, 34.0]]
    """
    n, pixels = frames.shape
    for start in range(0, pixels, PIECE):
        stop = min(start + PIECE, pixels)
        a, b = p0[start:stop], p1[start:stop]
        for i in range(n - 1, -1, -1):  # from the last: each needs the one above unchanged
            frame = frames[i, start:stop]
            above = frames[i - 1, start:stop] if i else before[start:stop]
            for k in range(frame.size):
                frame[k] -= a[k] + b[k] * above[k]
