"""Pixels divided by their gain, in place, in float32: what follows the common mode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.calibration import BLOCK, FEW, switched
from smalldata_stream.kernels.compiled import compiled

Floats = NDArray[np.float32]
Bits = NDArray[np.uint16]


@compiled
def scale(factor: Floats, values: Floats) -> None:
    """Multiply in place.

    >>> values = np.float32([2, 3])
    >>> scale(np.float32([2, 0]), values)
    >>> values.tolist()
    [4.0, 0.0]
    """
    for k in range(values.size):
        values[k] *= factor[k]


@compiled
def _scale_any(
    raw: Bits,
    bits: Bits,
    factor0: Floats,
    factor1: Floats,
    factor2: Floats,
    values: Floats,
) -> None:
    gain, second, none = bits[2], bits[3], bits[4]
    for k in range(raw.size):
        mode = np.uint16(raw[k] & gain)
        a, b, c = factor0[k], factor1[k], factor2[k]
        f = a if mode == 0 else (b if mode == second else c)
        scaled = values[k] * f
        values[k] = np.float32(0) if mode == none else scaled


@compiled
def scale_some(
    raw: Bits,
    bits: Bits,
    factor: Floats,
    start: int,
    where: NDArray[np.int64],
    n: int,
    kept: Floats,
    values: Floats,
) -> None:
    """`scale_switching` of some pixels, of which ``n`` have switched, as `subtract_some`.

    ``kept`` is memory for ``n`` of them.
    """
    gain, second, none = bits[2], bits[3], bits[4]
    last = factor.shape[0] - 1
    stop = start + raw.size
    of_first = factor[0, start:stop]
    if n < 0:
        of_second, of_last = factor[min(1, last), start:stop], factor[last, start:stop]
        _scale_any(raw, bits, of_first, of_second, of_last, values)
        return
    for i in range(n):
        kept[i] = values[where[i]]
    scale(of_first, values)
    for i in range(n):
        k = where[i]
        mode = np.uint16(raw[k] & gain)
        of_pixel = factor[min(1, last) if mode == second else last, start + k]
        values[k] = np.float32(0) if mode == none else kept[i] * of_pixel


@compiled
def scale_switching(raw: Bits, bits: Bits, factor: Floats, values: Floats) -> None:
    """Multiply in place by the factor of each pixel's gain; 0 where it has none.

    >>> bits = np.array([0x3FFF, 0, 0x4000, 0x4000, 0xFFFF], np.uint16)
    >>> values = np.float32([2, 3])
    >>> factor = np.float32([[10, 10], [100, 100]])
    >>> scale_switching(np.array([1, 0x4001], np.uint16), bits, factor, values)
    >>> values.tolist()
    [20.0, 300.0]
    """
    where, kept = np.empty(FEW, np.int64), np.empty(FEW, np.float32)
    for start in range(0, raw.size, BLOCK):
        stop = min(start + BLOCK, raw.size)
        r = raw[start:stop]
        n = switched(r, bits[2], where)
        scale_some(r, bits, factor, start, where, n, kept, values[start:stop])
