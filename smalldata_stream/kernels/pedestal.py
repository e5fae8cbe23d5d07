"""Pedestals subtracted, in float32, and which pixels have to do with the common mode.

``part`` says of each pixel what it has to do with it: `COUNTS` where it is one of those it
is found from, `CORRECTED` where it is subtracted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.calibration import BLOCK, FEW, switched
from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Bits = NDArray[np.uint16]

COUNTS, CORRECTED = 1, 2
"""Bits of ``part``."""

GAINS = 3
"""``takes`` has `COUNTS` of gain m in its bit m, `CORRECTED` in bit m + GAINS."""


@compiled
def subtract(raw: Array, offset: Floats, takes: Bytes, values: Floats, part: Bytes) -> None:
    """``raw - offset`` of pixels with one gain, and what of them takes part.

    >>> values, part = np.empty(2, np.float32), np.empty(2, np.uint8)
    >>> subtract(np.array([12, 30]), np.float32([10, 20]), np.uint8([9, 8]), values, part)
    >>> values.tolist(), part.tolist()
    ([2.0, 10.0], [3, 2])
    """
    for k in range(raw.size):
        values[k] = np.float32(raw[k]) - offset[k]
        part[k] = (takes[k] & 1) | ((takes[k] >> 2) & 2)


@compiled
def _subtract_any(
    raw: Bits,
    bits: Bits,
    offset0: Floats,
    offset1: Floats,
    offset2: Floats,
    takes: Bytes,
    values: Floats,
    part: Bytes,
) -> None:
    data, shift, gain, second, none = bits[0], bits[1], bits[2], bits[3], bits[4]
    for k in range(raw.size):
        v = raw[k]
        mode = np.uint16(v & gain)
        o0, o1, o2 = offset0[k], offset1[k], offset2[k]
        o = o0 if mode == 0 else (o1 if mode == second else o2)
        m = np.uint8(0) if mode == 0 else (np.uint8(1) if mode == second else np.uint8(2))
        t = np.uint8(takes[k] >> m)
        values[k] = np.float32(np.uint16(np.uint16(v & data) >> shift)) - o
        p = np.uint8((t & 1) | ((t >> 2) & 2))
        part[k] = np.uint8(0) if mode == none else p


@compiled
def subtract_some(
    raw: Bits,
    bits: Bits,
    offset: Floats,
    start: int,
    takes: Bytes,
    where: NDArray[np.int64],
    n: int,
    values: Floats,
    part: Bytes,
) -> None:
    """`subtract_switching` of some pixels, of which ``n`` have switched.

    Parameters
    ----------
    raw, takes, values, part
        Of these pixels.
    offset
        Of all pixels, of which these begin at ``start``. Slices of two axes would not be
        contiguous, and the loops over them no vectors.
    where, n
        `switched` of these.
    """
    data, shift, gain, second, none = bits[0], bits[1], bits[2], bits[3], bits[4]
    last = offset.shape[0] - 1
    stop = start + raw.size
    of_first = offset[0, start:stop]
    if n < 0:
        of_second, of_last = offset[min(1, last), start:stop], offset[last, start:stop]
        _subtract_any(raw, bits, of_first, of_second, of_last, takes, values, part)
        return
    for k in range(raw.size):
        adu = np.float32(np.uint16(np.uint16(raw[k] & data) >> shift))
        values[k] = adu - of_first[k]
        part[k] = np.uint8((takes[k] & 1) | ((takes[k] >> 2) & 2))
    for i in range(n):
        k = where[i]
        mode = np.uint16(raw[k] & gain)
        m = 1 if mode == second else 2
        adu = np.float32(np.uint16(np.uint16(raw[k] & data) >> shift))
        values[k] = adu - offset[min(m, last), start + k]
        t = np.uint8(takes[k] >> m)
        part[k] = np.uint8(0) if mode == none else np.uint8((t & 1) | ((t >> 2) & 2))


@compiled
def subtract_switching(
    raw: Bits, bits: Bits, offset: Floats, takes: Bytes, values: Floats, part: Bytes
) -> None:
    """``ADU - offset`` by the gain of each pixel; ``bits`` as for the calibration.

    >>> bits = np.array([0x3FFF, 0, 0x4000, 0x4000, 0xFFFF], np.uint16)
    >>> values, part = np.empty(2, np.float32), np.empty(2, np.uint8)
    >>> offset, takes = np.float32([[1, 1], [5, 5]]), np.uint8([0b001001, 0b001001])
    >>> raw = np.array([7, 0x4007], np.uint16)
    >>> subtract_switching(raw, bits, offset, takes, values, part)
    >>> values.tolist(), part.tolist()
    ([6.0, 2.0], [3, 0])
    """
    where = np.empty(FEW, np.int64)
    for start in range(0, raw.size, BLOCK):
        stop = min(start + BLOCK, raw.size)
        r, t = raw[start:stop], takes[start:stop]
        v, p = values[start:stop], part[start:stop]
        n = switched(r, bits[2], where)
        subtract_some(r, bits, offset, start, t, where, n, v, p)
