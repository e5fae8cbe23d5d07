"""Exact sums as float64, each rounded once: of one scale, and of several.

They are those of `smalldata_stream.kernels.exact_sum`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.exact_sum import BLOCK, NOT_A_NUMBER, High, Low

Limbs = NDArray[np.uint64]

UNIT = 32
"""An integer of an exact sum is in units of 2^-32."""


@compiled
def _limbs(high: High, low: Low, limbs: Limbs) -> bool:
    """Add up sums of which each is in units 2^-64 of the one before.

    ``high`` and ``low`` are ``(n,)``; ``limbs``, ``(n + 1,)``, become the magnitude, the
    lowest first. Returns whether the sum is negative.
    """
    n, carry = high.size, np.int64(0)
    for k in range(n):
        limb = low[n - 1 - k]
        more = high[n - k] if k else np.int64(0)
        total = limb + np.uint64(more)
        next_carry = np.int64(total < limb) - np.int64(more < 0)
        whole = total + np.uint64(carry)
        next_carry += np.int64(whole < total) - np.int64(carry < 0)
        limbs[k], carry = whole, next_carry
    top = high[0] + carry
    limbs[n] = np.uint64(top)
    if top < 0:
        one = True
        for k in range(n + 1):
            limbs[k] = ~limbs[k] + np.uint64(1 if one else 0)
            one = one and limbs[k] == 0
    return bool(top < 0)


@compiled
def _nearest(limbs: Limbs, unit: int) -> float:
    """The magnitude ``limbs`` in units of 2^-``unit``, rounded once, half to even."""
    one, top = np.uint64(1), np.uint64(63)
    k = limbs.size - 1
    while k > 0 and limbs[k] == 0:
        k -= 1
    x, y, below = limbs[k], np.uint64(0), False
    if k > 0:
        y = limbs[k - 1]
        for j in range(k - 1):
            below |= limbs[j] != 0
    if x == 0:
        return 0.0
    shift = 0
    while x >> top == 0:
        x = (x << one) | (y >> top)
        y <<= one
        shift += 1
    # What is below 64 bits is kept in the last of them: it can only decide a tie.
    x |= np.uint64(1 if below or y != 0 else 0)
    return math.ldexp(np.float64(x), 64 * k - shift - unit)


@compiled
def values(high: High, low: Low, unit: int, out: NDArray[np.float64]) -> None:
    """Sums in several scales, each in units 2^-64 of the one before, as float64.

    Parameters
    ----------
    high, low
        ``(scales, n)``, as in `smalldata_stream.kernels.exact_sum`.
    unit
        The last scale is in units of 2^-``unit``.
    out
        ``(n,)``; each sum rounded once, half to even, NaN where one of its scales is lost.

    >>> high, low = np.array([[0, -1], [0, -1]]), np.array([[1, 0], [1, 0]], np.uint64)
    >>> out = np.empty(2)
    >>> values(high, low, 64, out)
    >>> out.tolist()
    [1.0, -1.8446744073709552e+19]
    """
    limbs = np.empty(high.shape[0] + 1, np.uint64)
    for p in range(out.size):
        lost = False
        for k in range(high.shape[0]):
            lost |= high[k, p] == NOT_A_NUMBER
        if lost:
            out[p] = np.nan
            continue
        negative = _limbs(high[:, p], low[:, p], limbs)
        x = _nearest(limbs, unit)
        out[p] = -x if negative else x


@compiled
def _number_wide(high: High, low: Low) -> int:
    """How many sums do not fit into 64 bits, without the lost ones."""
    number, lost = 0, np.int64(NOT_A_NUMBER)
    for p in range(high.size):
        h = high[p]
        number += 0 if (h == np.int64(low[p]) >> 63) | (h == lost) else 1
    return number


@compiled
def _narrow(high: High, low: Low, out: NDArray[np.float64]) -> None:
    lost = np.int64(NOT_A_NUMBER)
    for p in range(low.size):
        x = np.float64(np.int64(low[p])) * 2.0**-UNIT
        out[p] = np.nan if high[p] == lost else x


@compiled
def _values(high: High, low: Low, out: NDArray[np.float64]) -> None:
    for start in range(0, high.size, BLOCK):
        stop = min(start + BLOCK, high.size)
        if _number_wide(high[start:stop], low[start:stop]) == 0:
            # A conversion rounds once; a multiplication by a power of two does not.
            _narrow(high[start:stop], low[start:stop], out[start:stop])
        else:
            some_high, some_low = high[start:stop], low[start:stop]
            rows = (1, stop - start)
            values(some_high.reshape(rows), some_low.reshape(rows), UNIT, out[start:stop])


def rounded(high: High, low: Low) -> NDArray[np.float64]:
    """The sums as float64, each rounded once, half to even; NaN where lost.

    >>> rounded(np.array([0, 1, -1, NOT_A_NUMBER]), np.array([2**31, 0, 0, 0], np.uint64))
    array([ 5.0000000e-01,  4.2949673e+09, -4.2949673e+09,            nan])
    """
    out = np.empty(high.shape)
    _values(high.reshape(-1), low.reshape(-1), out.reshape(-1))
    return out
