"""From raw pixels to calibrated ones, in one pass, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

BLOCK = 512
"""Pixels that are looked at together for a switched gain."""


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
def _one_gain(
    raw: NDArray[np.uint16],
    data: int,
    shift: int,
    offset: Floats,
    factor: Floats,
    out: Floats,
) -> None:
    for k in range(raw.size):
        out[k] = (
            np.float32(np.uint16(np.uint16(raw[k] & data) >> shift)) - offset[k]
        ) * factor[k]


@compiled
def _any_gain(
    raw: NDArray[np.uint16],
    data: int,
    shift: int,
    gain: int,
    second: int,
    none: int,
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
        mode = np.uint16(v & gain)
        o0, o1, o2 = offset0[k], offset1[k], offset2[k]
        f0, f1, f2 = factor0[k], factor1[k], factor2[k]
        o = o0 if mode == 0 else (o1 if mode == second else o2)
        f = f0 if mode == 0 else (f1 if mode == second else f2)
        value = (np.float32(np.uint16(np.uint16(v & data) >> shift)) - o) * f
        out[k] = np.float32(0) if mode == none else value


@compiled
def any_bits(raw: NDArray[np.uint16]) -> int:
    """The bits that are set in any pixel.

    >>> any_bits(np.array([1, 4, 5], np.uint16))
    5
    """
    bits = np.uint16(0)
    for k in range(raw.size):
        bits |= raw[k]
    return int(bits)


@compiled
def calibrate_switching(
    raw: NDArray[np.uint16],
    bits: NDArray[np.uint16],
    offset: Floats,
    factor: Floats,
    out: Floats,
) -> None:
    """``(ADU - offset) * factor`` with the tables of the gain that each pixel says.

    Parameters
    ----------
    raw
        ``(pixels,)``.
    bits
        ``(data, shift, gain, second, none)``: ``(raw & data) >> shift`` are the ADU.
        ``raw & gain`` selects the tables: 0 the first, ``second`` the second, ``none`` is
        no gain and the pixel becomes 0, anything else selects the last.
    offset, factor
        ``(2 or 3, pixels)`` float32. Where ``factor`` is 0, ``offset`` must be finite.
    out
        ``(pixels,)`` float32.

    >>> raw = np.array([7, 0x4007, 0xC007, 0x8007], np.uint16)
    >>> bits = np.array([0x3FFF, 0, 0xC000, 0x4000, 0x8000], np.uint16)
    >>> tables = np.repeat(np.float32([[1], [2], [3]]), 4, axis=1)
    >>> out = np.empty(4, np.float32)
    >>> calibrate_switching(raw, bits, tables, tables, out)
    >>> out.tolist()
    [6.0, 10.0, 12.0, 0.0]
    """
    data, shift, gain, second, none = bits[0], bits[1], bits[2], bits[3], bits[4]
    last = offset.shape[0] - 1
    for start in range(0, raw.size, BLOCK):
        stop = min(start + BLOCK, raw.size)
        part, to = raw[start:stop], out[start:stop]
        if any_bits(part) & gain == 0:
            _one_gain(part, data, shift, offset[0, start:stop], factor[0, start:stop], to)
        else:
            _any_gain(
                part,
                data,
                shift,
                gain,
                second,
                none,
                offset[0, start:stop],
                offset[1, start:stop],
                offset[last, start:stop],
                factor[0, start:stop],
                factor[1, start:stop],
                factor[last, start:stop],
                to,
            )
