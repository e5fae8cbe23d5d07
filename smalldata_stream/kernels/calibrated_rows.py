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
from smalldata_stream.kernels.median import balance, buffer_rows, medians_balanced
from smalldata_stream.kernels.pedestal import subtract_some
from smalldata_stream.kernels.sixteen import scaled_from, values_of

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Bits = NDArray[np.uint16]
Counts = NDArray[np.int64]

MOST = 1e30
"""Values may not be larger, ADU: the largest number less a common mode is to be finite."""


@compiled
def origins(
    offset: Floats, factor: Floats, takes: Bytes, width: int
) -> tuple[Floats, Counts]:
    """The ``origin`` and the ``usual`` that `rows_in_one_pass` takes.

    Parameters
    ----------
    offset, factor
        ``(pixels,)``, of the first gain.

    >>> offset, factor = np.float32([5, 0, 0, 5]), np.float32([2, 0, 0, 2])
    >>> origin, usual = origins(offset, factor, np.uint8([9, 0, 0, 9]), 4)
    >>> origin.tolist(), usual.tolist()
    ([5.0, inf, -inf, 5.0], [2])
    """
    origin, usual = offset.copy(), np.zeros(offset.size // width, np.int64)
    for row in range(usual.size):
        begin, end = row * width, (row + 1) * width
        there, plain = 0, True
        for k in range(begin, end):
            counts = takes[k] & 1 == 1
            there += 1 if counts else 0
            plain &= (takes[k] & 8 == 8) == counts and abs(offset[k]) < MOST
            plain &= counts or (offset[k] == 0 and factor[k] == 0)
        left = (width - there) // 2
        for k in range(begin, end):
            if takes[k] & 1 == 0:
                origin[k] = np.inf if left > 0 else -np.inf
                left -= 1
        usual[row] = there if plain else -1
    return origin, usual


@compiled
def rows_in_one_pass(
    raw: Bits,
    bits: Bits,
    offset: Floats,
    takes: Bytes,
    origin: Floats,
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
    origin
        ``(pixels,)``: ``offset[0]`` of pixels that count where none has switched. Of the
        others an infinity, which makes their values infinite: half of a row's -inf, half
        +inf, so that the middle stays.
    usual
        ``(rows,)``: how many pixels of each row count where none has switched; -1 of a row
        that cannot be done so, because others than those that count are corrected, or not
        all others become 0.

    >>> from smalldata_stream.kernels.median import merges
    >>> bits = np.array([0x3FFF, 0, 0x4000, 0x4000, 0xFFFF], np.uint16)
    >>> offset, factor = np.float32([[1] * 48, [5] * 48]), np.float32([[2] * 48, [10] * 48])
    >>> raw, takes = np.full(48, 9, np.uint16), np.full(48, 0b001001, np.uint8)
    >>> raw[:2] = 11, 0x4007
    >>> origin, usual = origins(offset[0], factor[0], takes, 48)
    >>> out, pairs = np.empty(48, np.float32), merges(48)
    >>> rows_in_one_pass(
    ...     raw, bits, offset, takes, origin, usual, factor, out, 48, pairs, 100.0, 1
    ... )
    >>> out[:3].tolist()
    [4.0, 20.0, 0.0]
    """
    size = LANES * width
    chosen = np.full((LANES, buffer_rows(width)), np.inf, np.float32)
    flat, buffer = chosen.reshape(chosen.size), np.empty(chosen.size, np.float32)
    there, found = np.zeros(LANES, np.int64), np.empty(LANES, np.float32)
    part = np.empty(size, np.uint8)
    few = max(1, size // 8)
    where, kept = np.empty(few, np.int64), np.empty(few, np.float32)
    data, shift = bits[0], bits[1]
    for start in range(0, raw.size, size):
        stop = min(start + size, raw.size)
        r, t, v = raw[start:stop], takes[start:stop], out[start:stop]
        n = switched(r, bits[2], where)
        lanes = r.size // width
        plain = flat.size == size
        for lane in range(lanes):
            there[lane] = usual[start // width + lane]
            plain &= there[lane] >= 0
        if n < 0 or not plain:
            chosen[:] = np.inf
            subtract_some(r, bits, offset, start, t, where, n, v, part)
            sixteen_rows(v, part, width, pairs, most, least, chosen, buffer, there, found)
            scale_some(r, bits, factor, start, where, n, kept, v)
            continue
        from_, by = origin[start:stop], factor[0, start:stop]
        for k in range(0, r.size, LANES):
            values_of(r, k, data, shift, from_, flat)
        _choose_switched(r, bits, offset, start, t, where[:n], chosen, there)
        medians_balanced(flat, there, pairs, buffer, found)
        limited(there, most, least, found)
        for lane in range(lanes):
            for k in range(lane * width, (lane + 1) * width, LANES):
                scaled_from(flat, k, found[lane], by, v)
        _finish_switched(r, bits, offset, factor, start, t, where[:n], width, found, v)


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
    chosen: Floats,
    there: Counts,
) -> None:
    row, width = 0, chosen.shape[1]
    for k in where:
        mode, m, value = _of_switched(raw, bits, offset, start, k)
        counts, did = (takes[k] >> m) & 1 if mode != bits[4] else 0, takes[k] & 1
        while k >= (row + 1) * width:  # quicker than a division
            row += 1
        group = chosen[row]
        if counts:
            group[k - row * width] = value
        elif did:
            # Where an odd number is missing, one more of them is +inf.
            odd = (width - there[row]) & 1
            group[k - row * width] = np.float32(-np.inf if odd else np.inf)
        there[row] += counts - did
        if counts and not did:
            balance(group, there[row])


@compiled
def _finish_switched(
    raw: Bits,
    bits: Bits,
    offset: Floats,
    factor: Floats,
    start: int,
    takes: Bytes,
    where: Counts,
    width: int,
    found: Floats,
    out: Floats,
) -> None:
    row, last = 0, offset.shape[0] - 1
    for k in where:
        mode, m, value = _of_switched(raw, bits, offset, start, k)
        while k >= (row + 1) * width:
            row += 1
        common = found[row] if (takes[k] >> m) & 8 else np.float32(0)
        scaled = (value - common) * factor[min(m, last), start + k]
        out[k] = np.float32(0) if mode == bits[4] else scaled
