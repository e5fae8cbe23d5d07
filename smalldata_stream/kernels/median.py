"""Medians, exactly: of sixteen small groups at once, or of one large one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.lanes import (
    LANES,
    MARKS,
    Floats,
    Pairs,
    exchange,
    lowest,
    merging,
    middle,
    sort_run,
    transpose,
)
from smalldata_stream.kernels.sixteen import below, between, lower_from

RUN = 32
"""Rows that are sorted in registers; more of them are merged in memory."""

LEFT = 96
"""Of a large group so many are looked at one by one."""

SAMPLE = 64
"""So many of a large group say where to look first."""

STEPS = 8
"""After so many of them, the limits of a large group are halved."""


@compiled
def buffer_rows(n: int) -> int:
    """Rows of a buffer for groups of ``n`` numbers, as `medians` takes it.

    >>> [buffer_rows(n) for n in (36, 64, 65)]
    [48, 64, 128]
    """
    if n <= 48:
        return 48
    return (n + 2 * RUN - 1) // (2 * RUN) * 2 * RUN


def merges(n: int) -> Pairs:
    """The ``pairs`` that `medians` takes for groups of ``n`` numbers."""
    return merging(buffer_rows(n) // 2, RUN) if n > 2 * RUN else merging(1, 1)


@compiled
def balance(group: Floats, there: int) -> None:
    """Make half of the missing numbers of a group, infinite, -inf: the middle stays.

    >>> group = np.full(4, np.inf, np.float32)
    >>> balance(group, 1)
    >>> group.tolist()
    [inf, inf, inf, -inf]
    """
    left = (group.size - there) // 2
    for k in range(group.size - 1, -1, -1):
        if abs(group[k]) == np.inf:
            group[k] = np.float32(-np.inf if left > 0 else np.inf)
            left -= 1


@compiled
def medians(
    groups: Floats,
    there: NDArray[np.int64],
    pairs: Pairs,
    buffer: Floats,
    found: Floats,
) -> None:
    """The medians of 16 groups; destroys ``groups``.

    Parameters
    ----------
    groups
        ``(LANES, buffer_rows(n))``, finite but for missing numbers, which are +inf.
    there
        ``(LANES,)``, how many are not missing.
    pairs
        `merges` of n.
    buffer
        Memory, ``(groups.size,)``.
    found
        ``(LANES,)``; of an even number of values the mean of the two in the middle, in
        float32. Where all are missing it is not finite.

    >>> groups = np.full((LANES, 48), np.inf, np.float32)
    >>> groups[0, :3] = 5, 1, 2
    >>> there, found = np.zeros(LANES, np.int64), np.empty(LANES, np.float32)
    >>> there[0] = 3
    >>> medians(groups, there, merges(3), np.empty(groups.size, np.float32), found)
    >>> found[0]
    np.float32(2.0)
    """
    for lane in range(LANES):
        if there[lane] < groups.shape[1] - 1:
            balance(groups[lane], there[lane])
    medians_balanced(groups.reshape(groups.size), there, pairs, buffer, found)


@compiled
def medians_balanced(
    flat: Floats,
    there: NDArray[np.int64],
    pairs: Pairs,
    buffer: Floats,
    found: Floats,
) -> None:
    """`medians` of groups, one after another, of whose missing numbers half are -inf."""
    width = flat.size // LANES
    for at in range(0, width, LANES):
        transpose(flat, at, width, buffer, at)
    medians_of_lanes(buffer, there, pairs, found)


@compiled
def medians_of_lanes(
    buffer: Floats, there: NDArray[np.int64], pairs: Pairs, found: Floats
) -> None:
    """`medians` of balanced groups that stand side by side; destroys ``buffer``."""
    rows = buffer.size // LANES
    high = 1
    if rows == 48:
        middle(buffer, 48)
    elif rows == 64:
        middle(buffer, 64)
    else:
        high = rows // 2
        _middle_of_many(buffer, high, pairs)
    for lane in range(LANES):
        x, y = buffer[lane], buffer[high * LANES + lane]
        even = there[lane] % 2 == 0
        found[lane] = (x + y) / np.float32(2) if even else x


@compiled
def _middle_of_many(buffer: Floats, half: int, pairs: Pairs) -> None:
    """The lower of the two in the middle to row 0, the upper to row ``half``."""
    for at in range(0, buffer.size, RUN * LANES):
        sort_run(buffer, at, RUN)
    for begin in (0, half):
        for q in range(pairs.shape[0]):
            exchange(buffer, begin + pairs[q, 0], begin + pairs[q, 1])
    for i in range(half):
        exchange(buffer, i, 2 * half - 1 - i)
    for i in range(1, half):
        exchange(buffer, i, 0)
        exchange(buffer, half, half + i)


# ---------------------------------------------------------------------- of one large group


@compiled
def _key(number: Any) -> int:
    """An integer of the same order as float32."""
    bits = np.empty(1, np.float32)
    bits[0] = number
    key = int(bits.view(np.int32)[0])
    return key if key >= 0 else -0x80000000 - key


@compiled
def _number(key: int) -> Any:
    """The float32 of which ``key`` was made."""
    bits = np.empty(1, np.int32)
    bits[0] = key if key >= 0 else -0x80000000 - key
    return bits.view(np.float32)[0]


@compiled
def _below(values: Floats, limit: Any) -> int:
    n, whole = 0, values.size - values.size % LANES
    for k in range(0, whole, LANES):
        n += below(values, k, limit)
    for k in range(whole, values.size):
        n += 1 if values[k] < limit else 0
    return n


@compiled
def _least_from(values: Floats, limit: Any) -> Any:
    least = np.full(LANES, np.inf, np.float32)
    whole = values.size - values.size % LANES
    for k in range(0, whole, LANES):
        lower_from(values, k, limit, least)
    found = least.min()
    for k in range(whole, values.size):
        found = values[k] if limit <= values[k] < found else found
    return found


@compiled
def _between(values: Floats, low: Any, high: Any, found: Floats) -> None:
    """Values from ``low`` on that are below ``high``, to ``found``."""
    n = 0
    whole = values.size - values.size % MARKS
    for start in range(0, whole, MARKS):
        marks: Any = between(values, start, low, high)
        while marks:
            found[n] = values[start + lowest(marks)]
            n += 1
            marks &= marks - np.uint64(1)
    for k in range(whole, values.size):
        if low <= values[k] < high:
            found[n] = values[k]
            n += 1


@compiled
def _of_rank(few: Floats, rank: int) -> Any:
    """The number of which ``rank`` others are smaller, or equal; quicker than sorting."""
    found = np.float32(-np.inf)
    for k in range(few.size):
        found = few[k] if few[k] > found and _below(few, few[k]) <= rank else found
    return found


@compiled
def _guess(values: Floats) -> tuple[Any, Any]:
    """The median of a sample, and how far apart values are there."""
    step = max(1, (values.size // SAMPLE - 1) | 1)  # odd: it is not to follow columns
    sample = values[: step * SAMPLE : step].copy()
    n = _below(sample, np.float32(np.inf))
    if n == 0:
        return np.float32(0), np.float32(0)
    apart = _of_rank(sample, 3 * n // 4) - _of_rank(sample, n // 4)
    return _of_rank(sample, n // 2), apart * np.float32(2 / values.size)


@compiled
def median_of_many(values: Floats, there: int = -1) -> float:
    """The median of ``(n,)`` values, finite but for missing numbers, which are +inf.

    ``there`` is how many are not missing, at least one; by default none is. Two limits
    between which the middle is are narrowed until few values are left: at first as if
    values were spread evenly, then by bisection.

    >>> median_of_many(np.array([4, -1, 2, 7], np.float32))
    3.0
    """
    n = there if there >= 0 else values.size
    rank = (n - 1) // 2
    low, high = np.float32(-np.inf), np.float32(np.inf)
    less, upto, steps = 0, n, 0
    limit, apart = _guess(values)
    halves = True
    while upto - less > LEFT and _key(high) - _key(low) > 1:
        if not (steps < STEPS and low < limit < high):
            steps += STEPS
            halves = not halves
            if halves:
                limit = _number((_key(low) + _key(high)) // 2)
            else:
                # Many may be equal: the least of those between the limits may be it.
                low = _least_from(values, low)
                limit = _number(_key(low) + 1)
        count = _below(values, limit)
        steps += STEPS if count in (less, upto) else 1
        if count <= rank:
            low, less = limit, count
        else:
            high, upto = limit, count
        # The next limit is aimed a little beyond the middle, to be on its other side.
        up, down = upto - rank, rank - less
        if high == np.inf:
            limit = low + apart * np.float32(down * 1.25 + LEFT // 3)
        elif low == -np.inf:
            limit = high - apart * np.float32(up * 1.25 + LEFT // 3)
        else:
            far = max(up, down) // 2
            by = min(far, LEFT // 3) * (1 if up > down else -1)
            limit = low + (high - low) * np.float32((down + by) / (upto - less))
    first = second = low
    if _key(high) - _key(low) > 1:
        left = np.empty(upto - less, np.float32)
        _between(values, low, high, left)
        first, second = _of_rank(left, rank - less), _of_rank(left, rank + 1 - less)
    if n % 2:
        return float(first)
    if rank + 1 == upto:
        second = _least_from(values, high)
    return float((first + second) / np.float32(2))
