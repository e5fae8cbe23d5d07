"""Medians, exactly: of sixteen small groups at once, which are sorted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.lanes import (
    LANES,
    Floats,
    Pairs,
    exchange,
    merging,
    middle,
    sort_run,
    transpose,
)

RUN = 32
"""Rows that are sorted in registers; more of them are merged in memory."""


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
        transpose(flat, at, width, buffer, at * LANES, LANES)
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
