"""Sums of frames that are exact: the same bits for any order and any split of the frames.

Each pixel of a sum is a 128-bit integer in units of 2^-32, kept as ``high`` (int64, units
of 2^32) and ``low`` (uint64, units of 2^-32). Each addend is rounded once to a multiple of
2^-32, half to even, whatever the sum is: an error of at most 2^-33 per addend, and none for
integers and for float32 of magnitude 2^-8 and more. From there on all is integer addition.

An addend that is not finite, or of magnitude 2^62 and more, makes its pixel `NOT_A_NUMBER`
for good. Below that, 2^33 addends fit: nothing can overflow.

A value at or above ``floor`` is taken, one below it counts as 0; then ``operation`` is
applied: `IDENTITY`, `SQUARE` or `HIT` (1 where positive, else 0).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]
High = NDArray[np.int64]
Low = NDArray[np.uint64]

IDENTITY, SQUARE, HIT = 0, 1, 2

NOT_A_NUMBER = -(2**63)
"""``high`` of a pixel whose sum is lost; no sum of 2^33 addends comes near."""

GROUP = 16
"""Frames added in one pass over the sum."""

BLOCK = 4096
"""Pixels whose partial sums stay in the nearest cache."""

LIMIT = 2.0**62
SCALE = 2.0**32
ROUND = 1.5 * 2.0**52  # x + ROUND - ROUND is x rounded half to even, for |x| <= 2^51
PLAIN = 2.0**47  # below, GROUP addends of a float and their rounding are exact in float64


@compiled
def _add_wide(high: Any, low: Any, whole: Any, fraction: Any) -> tuple[Any, Any]:
    """(high, low) plus ``whole * 2^32 + fraction`` units of 2^-32."""
    part = np.uint64(whole) << np.uint64(32)
    once = low + part
    carry = np.int64(once < low)
    twice = once + np.uint64(fraction)
    carry += np.int64(twice < once)
    return high + (whole >> 32) + (fraction >> 63) + carry, twice


@compiled
def _add_float(high: Any, low: Any, x: Any, floor: float, operation: int) -> Any:
    if not abs(x) < LIMIT:
        return np.int64(NOT_A_NUMBER), np.uint64(0)
    v = x if x >= floor else 0.0
    if operation == SQUARE:
        v = v * v
    elif operation == HIT:
        v = 1.0 if v > 0.0 else 0.0
    if high == NOT_A_NUMBER or v >= LIMIT:
        return np.int64(NOT_A_NUMBER), np.uint64(0)
    whole = np.int64(v)
    scaled = (v - whole) * SCALE
    return _add_wide(high, low, whole, np.int64((scaled + ROUND) - ROUND))


@compiled
def _add_integer(high: Any, low: Any, x: Any, floor: int, operation: int) -> Any:
    bound = np.int64(2**31 if operation == SQUARE else 2**62)
    v = x if x >= floor else 0
    if high == NOT_A_NUMBER or v >= bound or v <= -bound or x >= 2**62 or x <= -(2**62):
        return np.int64(NOT_A_NUMBER), np.uint64(0)
    if operation == SQUARE:
        v = v * v
    elif operation == HIT:
        v = 1 if v > 0 else 0
    return _add_wide(high, low, v, 0)


@compiled
def _partial_floats(
    pixels: Array,
    floor: float,
    operation: int,
    whole: NDArray[np.float64],
    fraction: NDArray[np.float64],
    size: NDArray[np.float64],
) -> None:
    # One loop per operation: with the choice inside, none becomes vector instructions.
    if operation == IDENTITY:
        for k in range(pixels.size):
            x = np.float64(pixels[k])
            v = x if x >= floor else 0.0
            r = (v + ROUND) - ROUND
            size[k] += abs(x)
            whole[k] += r
            fraction[k] += ((v - r) * SCALE + ROUND) - ROUND
    elif operation == SQUARE:
        for k in range(pixels.size):
            x = np.float64(pixels[k])
            v = x * x if x >= floor else 0.0
            r = (v + ROUND) - ROUND
            size[k] += abs(x) + v
            whole[k] += r
            fraction[k] += ((v - r) * SCALE + ROUND) - ROUND
    else:
        for k in range(pixels.size):
            x = np.float64(pixels[k])
            size[k] += abs(x)
            whole[k] += 1.0 if (x > 0.0) & (x >= floor) else 0.0


@compiled
def _add_parts(high: High, low: Low, whole: Array, fraction: Array) -> None:
    # Written out, with one load and one store of each: only then vector instructions.
    for k in range(high.size):
        h, w = high[k], low[k]
        a, b = np.int64(whole[k]), np.int64(fraction[k])
        once = w + (np.uint64(a) << np.uint64(32))
        twice = once + np.uint64(b)
        d = (a >> 32) + (b >> 63)
        d += 1 if once < w else 0
        d += 1 if twice < once else 0
        high[k] = h if h == NOT_A_NUMBER else h + d
        low[k] = twice


@compiled
def _number_large(size: NDArray[np.float64]) -> int:
    number = 0
    for k in range(size.size):
        number += 0 if size[k] < PLAIN else 1
    return number


@compiled
def add_floats(
    frames: tuple[Array, ...], n: int, floor: float, operation: int, high: High, low: Low
) -> None:
    """Add the first ``n`` of ``frames``, at most `GROUP` of shape ``(pixels,)``.

    ``high`` and ``low`` are ``(pixels,)``, changed in place.

    >>> high, low = np.zeros(1, np.int64), np.zeros(1, np.uint64)
    >>> frames = tuple(np.array([x]) for x in (1e15, 0.1, -1e15))
    >>> add_floats(frames, 3, -np.inf, IDENTITY, high, low)
    >>> high.tolist(), (low / 2**32).round(9).tolist()
    ([0], [0.1])
    """
    whole, fraction, size = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, high.size, BLOCK):
        stop = min(start + BLOCK, high.size)
        m = stop - start
        whole[:m], fraction[:m], size[:m] = 0.0, 0.0, 0.0
        for i in range(n):
            pixels = frames[i][start:stop]
            _partial_floats(pixels, floor, operation, whole, fraction, size)
        if _number_large(size[:m]) == 0:
            _add_parts(high[start:stop], low[start:stop], whole[:m], fraction[:m])
        else:
            for i in range(n):
                for p in range(start, stop):
                    x = np.float64(frames[i][p])
                    high[p], low[p] = _add_float(high[p], low[p], x, floor, operation)


@compiled
def _partial_integers(
    pixels: Array, floor: int, operation: int, whole: NDArray[np.int64]
) -> None:
    if operation == IDENTITY:
        for k in range(pixels.size):
            v = np.int64(pixels[k])
            whole[k] += v if v >= floor else 0
    elif operation == SQUARE:
        for k in range(pixels.size):
            v = np.int64(pixels[k])
            whole[k] += v * v if v >= floor else 0
    else:
        for k in range(pixels.size):
            v = np.int64(pixels[k])
            whole[k] += (v > 0) & (v >= floor)


@compiled
def add_integers(
    frames: tuple[Array, ...],
    n: int,
    floor: int,
    operation: int,
    narrow: bool,
    high: High,
    low: Low,
) -> None:
    """Add the first ``n`` of ``frames``, signed integers or unsigned ones up to 32 bit.

    As `add_floats`; ``narrow`` says that the pixels have at most 16 bits.

    >>> high, low = np.zeros(2, np.int64), np.zeros(2, np.uint64)
    >>> add_integers((np.array([3, 30000], np.uint16),), 1, 5, SQUARE, True, high, low)
    >>> (high * 2**32 + (low >> np.uint64(32)).astype(int)).tolist()
    [0, 900000000]
    """
    whole, nothing = np.empty(BLOCK, np.int64), np.zeros(BLOCK, np.int64)
    for start in range(0, high.size, BLOCK):
        stop = min(start + BLOCK, high.size)
        m = stop - start
        if narrow:
            whole[:m] = 0
            for i in range(n):
                _partial_integers(frames[i][start:stop], floor, operation, whole)
            _add_parts(high[start:stop], low[start:stop], whole[:m], nothing[:m])
        else:
            for i in range(n):
                for p in range(start, stop):
                    x = np.int64(frames[i][p])
                    high[p], low[p] = _add_integer(high[p], low[p], x, floor, operation)


@compiled
def merge(high: High, low: Low, other_high: High, other_low: Low) -> None:
    """Add the sum ``(other_high, other_low)`` to ``(high, low)``, in place.

    >>> high, low = np.array([1, 2]), np.array([2**64 - 1, 0], np.uint64)
    >>> merge(high, low, np.array([0, NOT_A_NUMBER]), np.array([1, 0], np.uint64))
    >>> high.tolist(), low.tolist()
    ([2, -9223372036854775808], [0, 0])
    """
    lost = np.int64(NOT_A_NUMBER)
    # Without branches, and with one store of each: only then vector instructions.
    for p in range(high.size):
        h, w, more, part = high[p], low[p], other_high[p], other_low[p]
        total = w + part
        bad = (h == lost) | (more == lost)
        whole = h + more + (np.int64(1) if total < w else np.int64(0))
        high[p] = lost if bad else whole
        low[p] = np.uint64(0) if bad else total
