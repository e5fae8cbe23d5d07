"""From raw to calibrated with the common mode of rows between, in one pass, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.calibration import switched
from smalldata_stream.kernels.common_mode import limited, sixteen_rows
from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.gain import scale_some
from smalldata_stream.kernels.lanes import LANES, Pairs
from smalldata_stream.kernels.median import buffer_rows, medians
from smalldata_stream.kernels.pedestal import subtract_some

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Bits = NDArray[np.uint16]
Counts = NDArray[np.int64]


@compiled
def rows_in_one_pass(
    raw: Bits,
    bits: Bits,
    offset: Floats,
    takes: Bytes,
    usual: Counts,
    factor: Floats,
    out: Floats,
    width: int,
    pairs: Pairs,
    most: float,
    least: int,
) -> None:
    """`subtract_switching`, `rows` and `scale_switching`: the same bits, in one pass.

    Sixteen rows at a time, which stay in the first cache; pixels that have switched their
    gain, as long as they are few, are put right one by one.

    Parameters
    ----------
    usual
        ``(rows,)``: how many pixels of each row count where none has switched.

    >>> from smalldata_stream.kernels.median import merges
    >>> bits = np.array([0x3FFF, 0, 0x4000, 0x4000, 0xFFFF], np.uint16)
    >>> offset, factor = np.float32([[1] * 48, [5] * 48]), np.float32([[2] * 48, [10] * 48])
    >>> raw, takes = np.full(48, 9, np.uint16), np.full(48, 0b001001, np.uint8)
    >>> raw[:2] = 11, 0x4007
    >>> out, usual = np.empty(48, np.float32), np.array([48])
    >>> pairs = merges(48)
    >>> rows_in_one_pass(raw, bits, offset, takes, usual, factor, out, 48, pairs, 100.0, 1)
    >>> out[:3].tolist()
    [4.0, 20.0, 0.0]
    """
    size = LANES * width
    chosen = np.full((LANES, buffer_rows(width)), np.inf, np.float32)
    flat, buffer = chosen.reshape(chosen.size), np.empty(chosen.size, np.float32)
    there, found = np.zeros(LANES, np.int64), np.empty(LANES, np.float32)
    part, by = np.empty(size, np.uint8), np.empty(size, np.float32)
    few = max(1, size // 8)
    where, kept = np.empty(few, np.int64), np.empty(few, np.float32)
    for start in range(0, raw.size, size):
        stop = min(start + size, raw.size)
        r, t, v = raw[start:stop], takes[start:stop], out[start:stop]
        n = switched(r, bits[2], where)
        if n < 0 or flat.size > size:
            subtract_some(r, bits, offset, start, t, where, n, v, part)
            sixteen_rows(v, part, width, pairs, most, least, chosen, buffer, there, found)
            scale_some(r, bits, factor, start, where, n, kept, v)
            continue
        lanes = r.size // width
        there[:lanes] = usual[start // width : stop // width]
        _choose(r, bits, offset[0, start:stop], t, flat)
        _choose_switched(r, bits, offset, start, t, where[:n], width, flat, there)
        medians(chosen, there, pairs, buffer, found)
        limited(there, most, least, found)
        for lane in range(lanes):
            by[lane * width : (lane + 1) * width] = found[lane]
        _finish(r, bits, offset[0, start:stop], factor[0, start:stop], t, by, v)
        _finish_switched(r, bits, offset, factor, start, t, where[:n], by, v)


@compiled
def _choose(raw: Bits, bits: Bits, offset: Floats, takes: Bytes, chosen: Floats) -> None:
    """The values that count, were no pixel switched; the others +inf."""
    data, shift = bits[0], bits[1]
    for k in range(raw.size):
        value = np.float32(np.uint16(np.uint16(raw[k] & data) >> shift)) - offset[k]
        chosen[k] = value if takes[k] & 1 else np.float32(np.inf)


@compiled
def _of_switched(
    raw: Bits, bits: Bits, offset: Floats, start: int, k: int
) -> tuple[Any, int, Any]:
    """What a switched pixel says of its gain, the number of that, and its value."""
    mode = np.uint16(raw[k] & bits[2])
    m = 1 if mode == bits[3] else 2
    adu = np.float32(np.uint16(np.uint16(raw[k] & bits[0]) >> bits[1]))
    return mode, m, adu - offset[min(m, offset.shape[0] - 1), start + k]


@compiled
def _choose_switched(
    raw: Bits,
    bits: Bits,
    offset: Floats,
    start: int,
    takes: Bytes,
    where: Counts,
    width: int,
    chosen: Floats,
    there: Counts,
) -> None:
    for k in where:
        mode, m, value = _of_switched(raw, bits, offset, start, k)
        counts = (takes[k] >> m) & 1 if mode != bits[4] else 0
        there[k // width] += counts - (takes[k] & 1)
        chosen[k] = value if counts else np.float32(np.inf)


@compiled
def _finish(
    raw: Bits,
    bits: Bits,
    offset: Floats,
    factor: Floats,
    takes: Bytes,
    by: Floats,
    out: Floats,
) -> None:
    """All pixels calibrated, had none of them switched."""
    data, shift = bits[0], bits[1]
    for k in range(raw.size):
        value = np.float32(np.uint16(np.uint16(raw[k] & data) >> shift)) - offset[k]
        common = by[k] if takes[k] & 8 else np.float32(0)
        out[k] = (value - common) * factor[k]


@compiled
def _finish_switched(
    raw: Bits,
    bits: Bits,
    offset: Floats,
    factor: Floats,
    start: int,
    takes: Bytes,
    where: Counts,
    by: Floats,
    out: Floats,
) -> None:
    last = offset.shape[0] - 1
    for k in where:
        mode, m, value = _of_switched(raw, bits, offset, start, k)
        common = by[k] if (takes[k] >> m) & 8 else np.float32(0)
        scaled = (value - common) * factor[min(m, last), start + k]
        out[k] = np.float32(0) if mode == bits[4] else scaled
