"""What a dark run adds up to, exactly: numbers, sums and sums of squares of ADU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]


@compiled
def add_dark(
    raw: Array,
    bits: NDArray[np.uint16],
    mode_of: NDArray[np.int8],
    number: NDArray[np.int64],
    total: NDArray[np.int64],
    squares: NDArray[np.int64],
) -> None:
    """Add a frame of integers of at most 16 bits.

    Parameters
    ----------
    raw
        ``(pixels,)``.
    bits
        ``(data, shift, gain, second, none)`` as for the calibration.
    mode_of
        ``(states, pixels)``: the gain mode of each pixel in each state of its gain bits,
        -1 where there is none.
    number, total, squares
        ``(modes, pixels)``; 2^31 frames fit.

    >>> bits = np.array([0x3FFF, 0, 0x4000, 0x4000, 0xFFFF], np.uint16)
    >>> sums = [np.zeros((2, 2), np.int64) for _ in range(3)]
    >>> mode_of = np.array([[0, 0], [1, -1]], np.int8)
    >>> add_dark(np.array([3, 0x4005], np.uint16), bits, mode_of, *sums)
    >>> sums[1].tolist()
    [[3, 0], [0, 0]]
    """
    data, shift = np.int64(bits[0]), np.int64(bits[1])
    gain, second, none = np.int64(bits[2]), np.int64(bits[3]), np.int64(bits[4])
    last = mode_of.shape[0] - 1
    for k in range(raw.size):
        v = np.int64(raw[k])
        chosen = v & gain
        state = 0 if chosen == 0 else (min(1, last) if chosen == second else last)
        mode = mode_of[state, k]
        if mode < 0 or (chosen == none and gain != 0):
            continue
        adu = (v & data) >> shift
        number[mode, k] += 1
        total[mode, k] += adu
        squares[mode, k] += adu * adu
