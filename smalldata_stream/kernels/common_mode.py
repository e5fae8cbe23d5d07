"""The common mode of groups of pixels, found and subtracted in place, in float32.

``values`` are pedestal-subtracted pixels in ADU. ``part`` says of each pixel what it has to
do with the common mode: `COUNTS` where it is one of those it is found from, `CORRECTED`
where it is subtracted. Both ``(pixels,)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.calibration import BLOCK, any_bits
from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.median import LANES, Pairs, median_of_many, medians

Array = NDArray[Any]
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Bits = NDArray[np.uint16]

COUNTS, CORRECTED = 1, 2
"""Bits of ``part``."""

GAINS = 3
"""``takes`` has `COUNTS` of gain m in its bit m, `CORRECTED` in bit m + GAINS."""


# ------------------------------------------------------------- values and who takes part


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
def _subtract_part(
    raw: Bits,
    bits: Bits,
    offset: Floats,
    takes: Bytes,
    values: Floats,
    part: Bytes,
    begin: int,
    end: int,
) -> None:
    """Pixels ``begin`` to ``end``; ``part`` is of these alone.

    Slices of two axes would not be contiguous, and the loops over them no vectors.
    """
    last = offset.shape[0] - 1
    second = min(1, last)
    for start in range(begin, end, BLOCK):
        stop = min(start + BLOCK, end)
        r, t, v = raw[start:stop], takes[start:stop], values[start:stop]
        p, o = part[start - begin : stop - begin], offset[0, start:stop]
        if any_bits(r) & bits[2] == 0:
            data, shift = bits[0], bits[1]
            for k in range(r.size):
                v[k] = np.float32(np.uint16(np.uint16(r[k] & data) >> shift)) - o[k]
                p[k] = np.uint8((t[k] & 1) | ((t[k] >> 2) & 2))
        else:
            o1, o2 = offset[second, start:stop], offset[last, start:stop]
            _subtract_any(r, bits, o, o1, o2, t, v, p)


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
    _subtract_part(raw, bits, offset, takes, values, part, 0, raw.size)


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
def _scale_part(
    raw: Bits, bits: Bits, factor: Floats, values: Floats, begin: int, end: int
) -> None:
    gain, second, none = bits[2], bits[3], bits[4]
    last = factor.shape[0] - 1
    after = min(1, last)
    for start in range(begin, end, BLOCK):
        stop = min(start + BLOCK, end)
        r, v, f0 = raw[start:stop], values[start:stop], factor[0, start:stop]
        if any_bits(r) & gain == 0:
            for k in range(r.size):
                v[k] *= f0[k]
        else:
            f1, f2 = factor[after, start:stop], factor[last, start:stop]
            for k in range(r.size):
                mode = np.uint16(r[k] & gain)
                a, b, c = f0[k], f1[k], f2[k]
                f = a if mode == 0 else (b if mode == second else c)
                scaled = v[k] * f
                v[k] = np.float32(0) if mode == none else scaled


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
    _scale_part(raw, bits, factor, values, 0, raw.size)


# ---------------------------------------------------------------------- medians of groups


@compiled
def _corrections(
    buffer: Floats,
    missing: NDArray[np.int64],
    pairs: Pairs,
    most: float,
    least: int,
    found: Floats,
) -> None:
    medians(buffer, missing, pairs, found)
    for lane in range(LANES):
        enough = buffer.shape[0] - missing[lane] > least
        # The comparison is false for a NaN, too.
        if not (enough and abs(found[lane]) < most):
            found[lane] = np.float32(0)


@compiled
def rows(
    values: Floats, part: Bytes, width: int, pairs: Pairs, most: float, least: int
) -> None:
    """Subtract the median of each row of each bank: of ``width`` consecutive pixels.

    Parameters
    ----------
    pairs
        `network` of half of ``width``, rounded up.
    most
        A median of this magnitude or more is not subtracted, ADU.
    least
        Nor is one of so many pixels or fewer.

    >>> from smalldata_stream.kernels.median import network
    >>> values = np.float32([1, 2, 30, 4, 5, 6])
    >>> rows(values, np.full(6, 3, np.uint8), 3, network(2), 100.0, 2)
    >>> values.tolist()
    [-1.0, 0.0, 28.0, -1.0, 0.0, 1.0]
    """
    groups = values.size // width
    buffer = np.empty((width + width % 2, LANES), np.float32)
    missing, found = np.empty(LANES, np.int64), np.empty(LANES, np.float32)
    for start in range(0, groups, LANES):
        stop = min(start + LANES, groups)
        if width % 2 or stop < start + LANES:
            buffer[:] = np.inf
        missing[:] = buffer.shape[0]
        for lane in range(stop - start):
            v = values[(start + lane) * width : (start + lane + 1) * width]
            p = part[(start + lane) * width : (start + lane + 1) * width]
            there = 0
            for k in range(width):
                counts = p[k] & 1
                there += counts
                buffer[k, lane] = v[k] if counts else np.float32(np.inf)
            missing[lane] -= there
        _corrections(buffer, missing, pairs, most, least, found)
        for lane in range(stop - start):
            v = values[(start + lane) * width : (start + lane + 1) * width]
            p = part[(start + lane) * width : (start + lane + 1) * width]
            by = found[lane]
            for k in range(width):
                v[k] -= by if p[k] & 2 else np.float32(0)


@compiled
def rows_in_one_pass(
    raw: Bits,
    bits: Bits,
    offset: Floats,
    takes: Bytes,
    factor: Floats,
    out: Floats,
    width: int,
    pairs: Pairs,
    most: float,
    least: int,
) -> None:
    """From raw to calibrated with `rows` between, a few banks at a time."""
    size = LANES * width
    part = np.empty(size, np.uint8)
    for start in range(0, raw.size, size):
        stop = min(start + size, raw.size)
        _subtract_part(raw, bits, offset, takes, out, part, start, stop)
        rows(out[start:stop], part[: stop - start], width, pairs, most, least)
        _scale_part(raw, bits, factor, out, start, stop)


@compiled
def columns(
    values: Floats,
    part: Bytes,
    height: int,
    width: int,
    pairs: Pairs,
    most: float,
    least: int,
) -> None:
    """Subtract the median of each column of blocks ``(height, width)``, one after another.

    >>> from smalldata_stream.kernels.median import network
    >>> values = np.float32([1, 5, 2, 6, 30, 7])
    >>> columns(values, np.full(6, 3, np.uint8), 3, 2, network(2), 100.0, 2)
    >>> values.tolist()
    [-1.0, -1.0, 0.0, 0.0, 28.0, 1.0]
    """
    blocks = values.size // (height * width)
    v3 = values.reshape((blocks, height, width))
    p3 = part.reshape((blocks, height, width))
    buffer = np.empty((height + height % 2, LANES), np.float32)
    missing, found = np.empty(LANES, np.int64), np.empty(LANES, np.float32)
    for block in range(blocks):
        for start in range(0, width, LANES):
            stop = min(start + LANES, width)
            buffer[:] = np.inf
            missing[:] = buffer.shape[0]
            for k in range(height):
                v, p, to = v3[block, k, start:stop], p3[block, k, start:stop], buffer[k]
                for lane in range(stop - start):
                    counts = p[lane] & 1
                    missing[lane] -= counts
                    to[lane] = v[lane] if counts else np.float32(np.inf)
            _corrections(buffer, missing, pairs, most, least, found)
            for k in range(height):
                v, p = v3[block, k, start:stop], p3[block, k, start:stop]
                for lane in range(stop - start):
                    v[lane] -= found[lane] if p[lane] & 2 else np.float32(0)


# ------------------------------------------------------------------------- whole banks


@compiled
def _gather(v: Floats, p: Bytes, chosen: Floats) -> int:
    n = 0
    for i in range(v.shape[0]):
        for k in range(v.shape[1]):
            if p[i, k] & 1:
                chosen[n] = v[i, k]
                n += 1
    return n


@compiled
def _correct(v: Floats, p: Bytes, by: float) -> None:
    for i in range(v.shape[0]):
        for k in range(v.shape[1]):
            v[i, k] -= np.float32(by) if p[i, k] & 2 else np.float32(0)


MEDIAN, MEAN, ZERO_PEAK = 0, 1, 2
"""What of the pixels of a bank is its common mode."""


@compiled
def banks(
    values: Floats,
    part: Bytes,
    height: int,
    columns_: int,
    width: int,
    what: int,
    most: float,
    least: int,
) -> None:
    """Subtract the common mode of each bank ``(height, width)``, ``columns_`` a row.

    ``what`` is `MEDIAN`, `MEAN` (of float64) or `ZERO_PEAK` (see `zero_peak`). One of
    fewer than ``least`` pixels is not subtracted.

    >>> values = np.float32([1, 2, 9, 30, 40, 50])
    >>> banks(values, np.full(6, 3, np.uint8), 1, 6, 3, MEDIAN, 35.0, 1)
    >>> values.tolist()
    [-1.0, 0.0, 7.0, 30.0, 40.0, 50.0]
    """
    v2, p2 = values.reshape((-1, columns_)), part.reshape((-1, columns_))
    chosen = np.empty(height * width, np.float32)
    for top in range(0, v2.shape[0], height):
        for left in range(0, columns_, width):
            v = v2[top : top + height, left : left + width]
            p = p2[top : top + height, left : left + width]
            n = _gather(v, p, chosen)
            if n < least or n == 0:
                continue
            by = 0.0
            if what == MEDIAN:
                by = median_of_many(chosen[:n])
            elif what == MEAN:
                total = 0.0
                for k in range(n):
                    total += chosen[k]
                by = total / n
            else:
                by = zero_peak(chosen[:n], most)
            if abs(by) < most:
                _correct(v, p, by)


@compiled
def zero_peak(values: Floats, most: float) -> float:
    """Where pixels without a photon lie: the peak of their histogram, in bins of 1 ADU.

    The peak is the highest bin between ``-most`` and ``most``, the one nearest to ``-most``
    of several; the result is the mean of the values in it and as far to either side as the
    bins hold more than half of it. The bins are centred on whole numbers.

    >>> zero_peak(np.float32([3, 3.25, 3, 2.5, 50, 51, 49]), 20.0)
    2.9375
    """
    reach = int(most)
    counts = np.zeros(2 * reach + 1, np.int64)
    for k in range(values.size):
        at = int(np.floor(values[k] + 0.5)) + reach
        if 0 <= at < counts.size:
            counts[at] += 1
    peak = int(np.argmax(counts))
    if counts[peak] == 0:
        return 0.0
    low = high = peak
    while low > 0 and 2 * counts[low - 1] > counts[peak]:
        low -= 1
    while high < counts.size - 1 and 2 * counts[high + 1] > counts[peak]:
        high += 1
    total, n = 0.0, 0
    for k in range(values.size):
        at = int(np.floor(values[k] + 0.5)) + reach
        if low <= at <= high:
            total += values[k]
            n += 1
    return total / n


@compiled
def only_quiet(
    values: Floats,
    part: Bytes,
    noise: Floats,
    sigmas: float,
    most: float,
    height: int,
    width: int,
) -> None:
    """Take pixels with signal, and their four neighbours, out of those that count.

    A pixel has signal at ``sigmas`` times its ``noise`` and more, ADU; one beyond ``most``
    counts no more either, but its neighbours do. Neighbours are in the same segment
    ``(height, width)``.

    >>> part = np.full(4, 3, np.uint8)
    >>> values, noise = np.float32([0, 50, 0, 0]), np.full(4, 2, np.float32)
    >>> only_quiet(values, part, noise, 10.0, 30.0, 1, 4)
    >>> part.tolist()
    [2, 2, 2, 3]
    """
    n = values.size
    for k in range(n):
        if noise[k] > 0 and values[k] >= sigmas * noise[k]:
            column, row = k % width, k // width % height
            part[k] &= 2
            if column > 0:
                part[k - 1] &= 2
            if column < width - 1:
                part[k + 1] &= 2
            if row > 0:
                part[k - width] &= 2
            if row < height - 1:
                part[k + width] &= 2
        if abs(values[k]) > most:
            part[k] &= 2
