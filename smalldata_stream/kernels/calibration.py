"""From raw pixels to calibrated ones, in one pass, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]
Floats = NDArray[np.float32]

BLOCK = 512
"""Pixels that are looked at together for a switched gain."""

DATA_BITS = 0x3FFF
GAIN_SHIFT = 14


@compiled
def calibrate(raw: Array, offset: Floats, factor: Floats, out: Floats) -> None:
    """``(raw - offset) * factor``, pixel by pixel; all ``(pixels,)``.

    >>> out = np.empty(2, np.float32)
    >>> table = np.array([10, 20], np.float32)
    >>> calibrate(np.array([12, 30], np.uint16), table, np.float32([0.5, 0]), out)
    >>> out.tolist()
    [1.0, 0.0]
    """
    for k in range(raw.size):
        out[k] = (np.float32(raw[k]) - offset[k]) * factor[k]


@compiled
def _highest_gain(
    raw: NDArray[np.uint16], offset: Floats, factor: Floats, out: Floats
) -> None:
    for k in range(raw.size):
        out[k] = (np.float32(raw[k]) - offset[k]) * factor[k]


@compiled
def _any_gain(
    raw: NDArray[np.uint16],
    offset0: Floats,
    offset1: Floats,
    offset2: Floats,
    factor0: Floats,
    factor1: Floats,
    factor2: Floats,
    out: Floats,
) -> None:
    # All tables are read for each pixel, each an argument of its own: a choice of what to
    # read would keep LLVM from vector instructions, and this costs less.
    for k in range(raw.size):
        v = raw[k]
        mode = v >> GAIN_SHIFT
        o0, o1, o2 = offset0[k], offset1[k], offset2[k]
        f0, f1, f2 = factor0[k], factor1[k], factor2[k]
        o = o0 if mode == 0 else (o1 if mode == 1 else o2)
        f = f0 if mode == 0 else (f1 if mode == 1 else f2)
        value = (np.float32(v & DATA_BITS) - o) * f
        out[k] = np.float32(0) if mode == 2 else value


@compiled
def _bits(raw: NDArray[np.uint16]) -> int:
    bits = np.uint16(0)
    for k in range(raw.size):
        bits |= raw[k]
    return int(bits)


@compiled
def calibrate_switching(
    raw: NDArray[np.uint16], offset: Floats, factor: Floats, out: Floats
) -> None:
    """``((raw & 0x3fff) - offset) * factor`` with the tables of each pixel's gain.

    Parameters
    ----------
    raw
        ``(pixels,)``; the two highest bits are the gain: 00, 01 and 11 select the tables 0,
        1 and 2; 10 is no gain, the pixel becomes 0.
    offset, factor
        ``(3, pixels)`` float32. Where ``factor`` is 0, ``offset`` must be finite.
    out
        ``(pixels,)`` float32.

    >>> raw = np.array([7, 0x4007, 0xC007, 0x8007], np.uint16)
    >>> tables = np.repeat(np.float32([[1], [2], [3]]), 4, axis=1)
    >>> out = np.empty(4, np.float32)
    >>> calibrate_switching(raw, tables, tables, out)
    >>> out.tolist()
    [6.0, 10.0, 12.0, 0.0]
    """
    for start in range(0, raw.size, BLOCK):
        stop = min(start + BLOCK, raw.size)
        part, to = raw[start:stop], out[start:stop]
        if _bits(part) <= DATA_BITS:
            _highest_gain(part, offset[0, start:stop], factor[0, start:stop], to)
        else:
            _any_gain(
                part,
                offset[0, start:stop],
                offset[1, start:stop],
                offset[2, start:stop],
                factor[0, start:stop],
                factor[1, start:stop],
                factor[2, start:stop],
                to,
            )
