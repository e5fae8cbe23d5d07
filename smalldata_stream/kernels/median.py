"""Medians of many small groups at once, exactly: a sorting network over lanes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Floats = NDArray[np.float32]
Pairs = NDArray[np.int64]

LANES = 32
"""Groups whose medians are found together: a few vectors of any processor."""


@cache
def network(n: int) -> Pairs:
    """The comparisons ``(pairs, 2)`` that sort ``n`` numbers (Batcher's odd-even merge).

    >>> values = [3, 1, 2]
    >>> for a, b in network(3):
    ...     values[a], values[b] = min(values[a], values[b]), max(values[a], values[b])
    >>> values
    [1, 2, 3]
    """
    pairs: list[tuple[int, int]] = []
    run = 1
    while run < n:
        step = run
        while step:
            for start in range(step % run, n - step, 2 * step):
                pairs += [
                    (i, i + step)
                    for i in range(start, start + min(step, n - start - step))
                    if i // (2 * run) == (i + step) // (2 * run)
                ]
            step //= 2
        run *= 2
    found = np.array(pairs, np.int64).reshape(-1, 2)
    found.flags.writeable = False
    return found


def rows_of_buffer(n: int) -> int:
    """Rows of a buffer for groups of ``n`` values: an even number."""
    return n + n % 2


@compiled
def _sort(buffer: Floats, pairs: Pairs) -> None:
    for q in range(pairs.shape[0]):
        a, b = buffer[pairs[q, 0]], buffer[pairs[q, 1]]
        for lane in range(LANES):
            x, y = a[lane], b[lane]
            a[lane] = x if x < y else y
            b[lane] = y if x < y else x


@compiled
def balance(buffer: Floats, missing: NDArray[np.int64]) -> None:
    """Make half of the ``missing`` values of each lane, all +inf, -inf: the middle stays.

    >>> buffer = np.full((4, LANES), np.inf, np.float32)
    >>> balance(buffer, np.full(LANES, 4))
    >>> buffer[:, 0].tolist()
    [-inf, -inf, inf, inf]
    """
    for lane in range(LANES):
        left = missing[lane] // 2
        k = 0
        while left:
            if buffer[k, lane] == np.inf:
                buffer[k, lane] = -np.inf
                left -= 1
            k += 1


@compiled
def medians(
    buffer: Floats, missing: NDArray[np.int64], pairs: Pairs, found: Floats
) -> None:
    """The median of each lane; destroys ``buffer``.

    Parameters
    ----------
    buffer
        ``(n, LANES)``, n even, finite but for the missing values, which are +inf.
    missing
        ``(LANES,)``, how many are.
    pairs
        `network` of n // 2.
    found
        ``(LANES,)``; of an even number of values the mean of the two in the middle, in
        float32. Where all are missing it is not finite.

    >>> buffer = np.full((4, LANES), np.inf, np.float32)
    >>> buffer[:3, 0] = 5, 1, 2
    >>> missing, found = np.full(LANES, 4), np.empty(LANES, np.float32)
    >>> missing[0] = 1
    >>> medians(buffer, missing, network(2), found)
    >>> found[0]
    np.float32(2.0)
    """
    balance(buffer, missing)
    half = buffer.shape[0] // 2
    _sort(buffer[:half], pairs)
    _sort(buffer[half:], pairs)
    low, high = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    low[:] = -np.inf
    high[:] = np.inf
    # Of two sorted halves, the smaller of first and last, second and last but one ... are
    # together the lower half of all.
    for i in range(half):
        a, b = buffer[i], buffer[2 * half - 1 - i]
        for lane in range(LANES):
            x, y = a[lane], b[lane]
            smaller = x if x < y else y
            larger = y if x < y else x
            low[lane] = smaller if smaller > low[lane] else low[lane]
            high[lane] = larger if larger < high[lane] else high[lane]
    for lane in range(LANES):
        even = missing[lane] % 2 == 0
        found[lane] = (low[lane] + high[lane]) / np.float32(2) if even else low[lane]


@compiled
def _ordered(bits: Any) -> Any:
    """Bits of a float32 as an unsigned integer of the same order."""
    sign = np.uint32(0x80000000)
    return np.uint32(bits ^ (np.uint32(0xFFFFFFFF) if bits & sign else sign))


@compiled
def _unordered(key: Any) -> Any:
    sign = np.uint32(0x80000000)
    return np.uint32(key ^ (sign if key & sign else np.uint32(0xFFFFFFFF)))


@compiled
def median_of_many(values: Floats) -> float:
    """The median of ``(n,)`` finite values, n > 0: by counting, in three passes.

    >>> median_of_many(np.array([4, -1, 2, 7], np.float32))
    3.0
    """
    n = values.size
    bits = values.view(np.uint32)
    counts = np.empty(2048, np.int64)
    prefix, mask, rank = np.uint32(0), np.uint32(0), (n - 1) // 2
    for shift, width in ((21, 11), (10, 11), (0, 10)):
        counts[:] = 0
        last = np.uint32((1 << width) - 1)
        for k in range(n):
            key = _ordered(bits[k])
            if key & mask == prefix:
                counts[(key >> np.uint32(shift)) & last] += 1
        digit = 0
        while rank >= counts[digit]:
            rank -= counts[digit]
            digit += 1
        prefix = np.uint32(prefix | np.uint32(digit << shift))
        mask = np.uint32(mask | np.uint32(last << np.uint32(shift)))
    middle = np.empty(2, np.uint32)
    middle[:] = _unordered(prefix)
    if n % 2 == 0 and rank + 1 >= counts[digit]:
        above = np.uint32(0xFFFFFFFF)
        for k in range(n):
            key = _ordered(bits[k])
            if prefix < key < above:
                above = key
        middle[1] = _unordered(above)
    pair = middle.view(np.float32)
    median: float = (pair[0] + pair[1]) / np.float32(2)
    return median
