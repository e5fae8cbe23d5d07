"""The common mode of rows, found and subtracted in place, in float32.

``values`` are pedestal-subtracted pixels in ADU, ``part`` says what each has to do with the
common mode (`pedestal`); both ``(pixels,)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.lanes import LANES, Pairs
from smalldata_stream.kernels.median import buffer_rows, medians
from smalldata_stream.kernels.sixteen import chosen_from, correct

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@compiled
def choose(v: Floats, p: Bytes, chosen: Floats) -> int:
    """Values that count, +inf for the others; how many count.

    >>> chosen = np.empty(2, np.float32)
    >>> choose(np.float32([5, 7]), np.uint8([3, 2]), chosen), chosen.tolist()
    (1, [5.0, inf])
    """
    n, whole = 0, v.size - v.size % LANES
    for k in range(0, whole, LANES):
        n += chosen_from(v, k, p, chosen)
    for k in range(whole, v.size):
        n += p[k] & 1
        chosen[k] = v[k] if p[k] & 1 else np.float32(np.inf)
    return n


@compiled
def subtract(v: Floats, p: Bytes, by: Any) -> None:
    """Subtract ``by``, a float32, from values that are corrected.

    >>> values = np.float32([5, 7])
    >>> subtract(values, np.uint8([3, 1]), np.float32(4))
    >>> values.tolist()
    [1.0, 7.0]
    """
    whole = v.size - v.size % LANES
    for k in range(0, whole, LANES):
        correct(v, k, p, by)
    for k in range(whole, v.size):
        v[k] -= by if p[k] & 2 else np.float32(0)


@compiled
def limited(there: NDArray[np.int64], most: float, least: int, found: Floats) -> None:
    """Set medians that are not to be subtracted to 0.

    >>> found = np.full(LANES, 50, np.float32)
    >>> limited(np.arange(LANES), 100.0, 13, found)
    >>> found.tolist() == [0] * 14 + [50] * 2
    True
    """
    for lane in range(LANES):
        # The comparison is false for a NaN, too.
        if not (there[lane] > least and abs(found[lane]) < most):
            found[lane] = np.float32(0)


@compiled
def sixteen_rows(
    values: Floats,
    part: Bytes,
    width: int,
    pairs: Pairs,
    most: float,
    least: int,
    chosen: Floats,
    buffer: Floats,
    there: NDArray[np.int64],
    found: Floats,
) -> None:
    """`rows` of at most 16; ``chosen`` to ``found`` are memory, as `medians` takes it."""
    lanes = values.size // width
    for lane in range(lanes):
        v, p = values[lane * width : lane * width + width], part[lane * width :]
        there[lane] = choose(v, p, chosen[lane])
        chosen[lane, width:] = np.inf
    medians(chosen, there, pairs, buffer, found)
    limited(there, most, least, found)
    for lane in range(lanes):
        v, p = values[lane * width : lane * width + width], part[lane * width :]
        subtract(v, p, found[lane])


@compiled
def rows(
    values: Floats, part: Bytes, width: int, pairs: Pairs, most: float, least: int
) -> None:
    """Subtract the median of each row of each bank: of ``width`` consecutive pixels.

    Parameters
    ----------
    pairs
        `merges` of ``width``, which is less than 2^16.
    most
        A median of this magnitude or more is not subtracted, ADU.
    least
        Nor is one of so many pixels or fewer.

    >>> from smalldata_stream.kernels.median import merges
    >>> values = np.float32([1, 2, 30, 4, 5, 6])
    >>> rows(values, np.full(6, 3, np.uint8), 3, merges(3), 100.0, 2)
    >>> values.tolist()
    [-1.0, 0.0, 28.0, -1.0, 0.0, 1.0]
    """
    chosen = np.full((LANES, buffer_rows(width)), np.inf, np.float32)
    buffer = np.empty(chosen.size, np.float32)
    there, found = np.zeros(LANES, np.int64), np.empty(LANES, np.float32)
    size = LANES * width
    for start in range(0, values.size, size):
        v, p = values[start : start + size], part[start : start + size]
        sixteen_rows(v, p, width, pairs, most, least, chosen, buffer, there, found)
