"""The median of one group, exactly, not sorted: counted is what is below a limit."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.lanes import LANES, MARKS, Floats, lowest
from smalldata_stream.kernels.sixteen import below, between, bits_of, lower_from, number_of

LEFT = 96
"""Of a large group so many are looked at one by one."""

SAMPLE = 64
"""So many of a large group say where to look first."""

STEPS = 8
"""After so many of them, the limits of a large group are halved."""


@compiled
def _key(number: Any) -> int:
    """An integer of the same order as float32."""
    bits = bits_of(number)
    return bits if bits >= 0 else -0x80000000 - bits


@compiled
def _number(key: int) -> Any:
    """The float32 of which ``key`` was made."""
    return number_of(key if key >= 0 else -0x80000000 - key)


@compiled
def count_below(values: Floats, limit: Any) -> int:
    """How many values are below ``limit``."""
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
def _of_rank(few: Floats, n: int, rank: int) -> tuple[Any, Any]:
    """Of the first n, that of which ``rank`` are smaller, and the next.

    Quicker than sorting them; the others, to a multiple of 16, are made +inf.
    """
    whole = (n + LANES - 1) // LANES * LANES
    few[n:whole] = np.inf
    first = second = np.float32(-np.inf)
    for k in range(n):
        number, smaller = few[k], 0
        for i in range(0, whole, LANES):
            smaller += below(few, i, number)
        first = number if smaller <= rank and number > first else first
        second = number if smaller <= rank + 1 and number > second else second
    return first, second


@compiled
def guess(values: Floats) -> tuple[Any, Any]:
    """The median of a sample, and how far apart values are there."""
    step = max(1, (values.size // SAMPLE - 1) | 1)  # odd: it is not to follow columns
    sample, n = np.empty(SAMPLE, np.float32), 0
    for k in range(0, min(values.size, step * SAMPLE), step):
        sample[n] = values[k]
        n += 1 if values[k] < np.inf else 0
    if n == 0:
        return np.float32(0), np.float32(0)
    (upper, _), (lower, _) = _of_rank(sample, n, 3 * n // 4), _of_rank(sample, n, n // 4)
    apart = (upper - lower) * np.float32(2 / values.size)
    return _of_rank(sample, n, n // 2)[0], apart


@compiled
def median_near(
    values: Floats, there: int, limit: Any, apart: Any, left: Floats
) -> tuple[float, float]:
    """The median of numbers of which ``there`` are not missing, which are +inf.

    Two limits between which the middle is are narrowed until few values are left: at first
    as if values were spread evenly, then by bisection.

    Parameters
    ----------
    limit, apart
        About where the median is, and how far apart values are there, float32; the nearer,
        the quicker.
    left
        Memory for so many values as are looked at one by one, a multiple of 16.

    Returns
    -------
    tuple
        The median, and how far apart values are.

    >>> values, left = np.array([4, -1, 2, 7], np.float32), np.empty(16, np.float32)
    >>> median_near(values, 4, np.float32(0), np.float32(1), left)[0]
    3.0
    """
    n, few = there, left.size
    rank = (n - 1) // 2
    low, high = np.float32(-np.inf), np.float32(np.inf)
    less, upto, steps = 0, n, 0
    halves, beyond = True, few // 3
    while upto - less > few:
        if not (steps < STEPS and low < limit < high):
            if _key(high) - _key(low) <= 1:
                break
            steps += STEPS
            halves = not halves
            if halves:
                limit = _number((_key(low) + _key(high)) // 2)
            else:
                # Many may be equal: the least of those between the limits may be it.
                low = _least_from(values, low)
                limit = _number(_key(low) + 1)
        count = count_below(values, limit)
        steps += STEPS if count in (less, upto) else 1
        if count <= rank:
            low, less = limit, count
        else:
            high, upto = limit, count
        # The next limit is aimed a little beyond the middle, to be on its other side.
        up, down = upto - rank, rank - less
        if high == np.inf:
            limit = low + apart * np.float32(down * 1.25 + beyond)
        elif low == -np.inf:
            limit = high - apart * np.float32(up * 1.25 + beyond)
        else:
            by = min(max(up, down) // 2, beyond) * (1 if up > down else -1)
            limit = low + (high - low) * np.float32((down + by) / (upto - less))
    first = second = low
    if upto - less <= few:
        _between(values, low, high, left)
        first, second = _of_rank(left, upto - less, rank - less)
    if high < np.inf and low > -np.inf:
        apart = (high - low) / np.float32(upto - less)
    if n % 2:
        return float(first), float(apart)
    if rank + 1 == upto:
        second = _least_from(values, high)
    return float((first + second) / np.float32(2)), float(apart)


@compiled
def median_of_many(values: Floats, there: int = -1) -> float:
    """The median of ``(n,)`` values, finite but for missing numbers, which are +inf.

    ``there`` is how many are not missing, at least one; by default none is.

    >>> median_of_many(np.array([4, -1, 2, 7], np.float32))
    3.0
    """
    n = there if there >= 0 else values.size
    limit, apart = guess(values)
    return median_near(values, n, limit, apart, np.empty(LEFT, np.float32))[0]
