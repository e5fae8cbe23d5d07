"""Exact sums of which each addend goes to one: per bin, per label, per scan step.

The sums are those of `smalldata_stream.kernels.exact_sum`: ``high`` and ``low``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.exact_sum import (
    IDENTITY,
    High,
    Low,
    _add_float,
    merge,
)


@compiled
def add_at(
    values: NDArray[np.float64], at: NDArray[np.int64], high: High, low: Low
) -> None:
    """Add each of ``values`` to the sum number ``at``, in place.

    >>> high, low = np.zeros(2, np.int64), np.zeros(2, np.uint64)
    >>> add_at(np.array([1.5, 2.0, 0.5]), np.array([1, 0, 1]), high, low)
    >>> high.tolist()
    [0, 0]
    >>> (low >> np.uint64(32)).tolist()
    [2, 2]
    """
    for i in range(values.size):
        k = at[i]
        high[k], low[k] = _add_float(high[k], low[k], values[i], -np.inf, IDENTITY)


@compiled
def merge_at(
    high: High, low: Low, at: NDArray[np.int64], more_high: High, more_low: Low
) -> None:
    """Add each of the sums ``more_high``, ``more_low`` to the sum number ``at``, in place.

    >>> high, low = np.array([1]), np.zeros(1, np.uint64)
    >>> merge_at(high, low, np.array([0, 0]), np.array([2, 3]), np.zeros(2, np.uint64))
    >>> high.tolist()
    [6]
    """
    for i in range(at.size):
        k = at[i]
        merge(high[k : k + 1], low[k : k + 1], more_high[i : i + 1], more_low[i : i + 1])
