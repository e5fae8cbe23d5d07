"""One image of the pixels of all segments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled


@compiled
def _of_finite(
    frame: NDArray[Any],
    pixel: NDArray[np.int64],
    place: NDArray[np.int64],
    image: NDArray[np.float32],
) -> None:
    number = np.zeros(image.size, np.int32)
    image[:] = np.float32(0)
    for k in range(pixel.size):
        v = np.float32(frame[pixel[k]])
        if v - v == 0:
            image[place[k]] += v
            number[place[k]] += 1
    for p in range(image.size):
        if number[p] > 1:
            image[p] *= np.float32(1 / number[p])
    for k in range(pixel.size):
        if number[place[k]] == 0:
            image[place[k]] = np.float32(np.nan)


@compiled
def assemble(
    frame: NDArray[Any],
    pixel: NDArray[np.int64],
    place: NDArray[np.int64],
    shared: NDArray[np.int64],
    share: NDArray[np.float32],
    image: NDArray[np.float32],
) -> None:
    """Put pixels into an image; where several are at one place, the mean of finite ones.

    A place of which no pixel is finite is NaN.

    Parameters
    ----------
    frame, image
        ``(pixels,)`` and ``(places,)``, both flat.
    pixel, place
        ``(good pixels,)``: which pixel goes where.
    shared, share
        ``(places of several pixels,)``: which they are, and 1 / the number of pixels.

    >>> image = np.empty(3, np.float32)
    >>> at = np.array([0, 2, 2])
    >>> assemble(np.array([5, 1, 2]), np.arange(3), at, at[2:], np.float32([0.5]), image)
    >>> image.tolist()
    [5.0, 0.0, 1.5]
    """
    image[:] = np.float32(0)
    lost = False
    for k in range(pixel.size):
        v = np.float32(frame[pixel[k]])
        lost |= v - v != 0
        image[place[k]] += v
    for k in range(shared.size):
        image[shared[k]] *= share[k]
    if lost:
        _of_finite(frame, pixel, place, image)
