"""Sums to the last bit by other means: Python's fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from smalldata_stream.batch import Array


def exact(values: Sequence[float] | Array) -> float:
    """The sum, rounded once; NaN where one is not finite."""
    if not np.isfinite(values).all():
        return float("nan")
    return float(sum((Fraction(float(v)) for v in values), Fraction(0)))


def mean_error(values: Array) -> tuple[float, float]:
    """Mean and standard error from exact sums."""
    n = np.float64(len(values))
    total, squares = exact(values), exact(values * values)
    if not n:
        return float("nan"), float("nan")
    mean = total / n
    if n < 2 or not np.isfinite(mean):
        return mean, float("nan")
    spread = max(squares - total * total / n, 0.0)
    return mean, float(np.sqrt(spread / (n - 1) / n))


def columns(pairs: Sequence[tuple[float, float]]) -> tuple[Array, Array]:
    """Means and errors."""
    table: Any = np.array(pairs, float).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def hard(n: int, seed: int = 0) -> Array:
    """Numbers of very different size, in which the order of a plain sum shows."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=n) * 10.0 ** rng.integers(-12, 13, n)
    values[:3] = 0.0, -0.0, 0.1
    return np.asarray(values)
