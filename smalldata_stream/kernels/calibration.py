"""From raw pixels to calibrated ones, in one pass, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.lanes import MARKS, lowest, marked

Array = NDArray[Any]
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

BLOCK = 512
"""Pixels that are looked at together for a switched gain."""

FEW = 64
"""So many of them that have switched are done one by one: the tables of the first gain are
then all that is read for the others."""


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
def switched(raw: NDArray[np.uint16], gain: int, where: NDArray[np.int64]) -> int:
    """How many pixels have a bit of ``gain``, and ``where``; -1 if they do not fit there.

    >>> where = np.empty(2, np.int64)
    >>> raw = np.array([1, 4, 1, 5], np.uint16)
    >>> switched(raw, 4, where), where.tolist()
    (2, [1, 3])
    >>> switched(raw, 1, where)
    -1
    """
    n = 0
    whole = raw.size - raw.size % MARKS
    for start in range(0, whole, MARKS):
        marks: Any = marked(raw, start, gain)
        while marks:
            if n == where.size:
                return -1
            where[n] = start + lowest(marks)
            n += 1
            marks &= marks - np.uint64(1)
    for k in range(whole, raw.size):
        if raw[k] & gain:
            if n == where.size:
                return -1
            where[n] = k
            n += 1
    return n


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
    where = np.empty(FEW, np.int64)
    for start in range(0, raw.size, BLOCK):
        stop = min(start + BLOCK, raw.size)
        part, to = raw[start:stop], out[start:stop]
        n = switched(part, gain, where)
        if n < 0:
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
            continue
        _one_gain(part, data, shift, offset[0, start:stop], factor[0, start:stop], to)
        for i in range(n):
            k = where[i]
            mode = np.uint16(part[k] & gain)
            m = 1 if mode == second else last
            adu = np.float32(np.uint16(np.uint16(part[k] & data) >> shift))
            value = (adu - offset[m, start + k]) * factor[m, start + k]
            to[k] = np.float32(0) if mode == none else value
