"""Exact medians, beside numpy's, of numbers that are hard to narrow down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator
from numpy.typing import NDArray

from smalldata_stream.kernels.selection import median_near, median_of_many

TINY = float(np.finfo(np.float32).smallest_subnormal)

KINDS: dict[str, Callable[[Generator, int], NDArray[Any]]] = {
    "noise": lambda rng, n: rng.normal(3, 4, n),
    "whole numbers": lambda rng, n: np.rint(rng.normal(0, 4, n)),
    "all the same": lambda rng, n: np.full(n, rng.normal()),
    "two values": lambda rng, n: rng.choice([-1.5, 7.0], n),
    "a zero between": lambda rng, n: rng.choice([-1.0, 0.0, 1.0], n),
    "ramp": lambda rng, n: np.arange(n) - n / 3,
    "photons": lambda rng, n: rng.normal(0, 4, n) + 400 * rng.poisson(0.1, n),
    "photons on half": lambda rng, n: rng.normal(0, 4, n) + 800 * (np.arange(n) % 2),
    "one far away": lambda rng, n: np.where(
        np.arange(n) == n // 2, 3e38, rng.normal(0, 1, n)
    ),
    "all sizes": lambda rng, n: rng.normal(0, 1, n) * 10.0 ** rng.integers(-44, 37, n),
    "the smallest": lambda rng, n: TINY * rng.integers(-5, 6, n),
    "the largest": lambda rng, n: rng.choice([-3.4e38, 3.4e38], n),
    "neighbours": lambda rng, n: 1 + 2.0**-23 * rng.integers(0, 3, n),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([1, 2, 3, 95, 96, 97, 98, 1000, 4097, 16384]),
    missing=st.sampled_from([0.0, 0.01, 0.5, 0.99]),
)
def test_median_of_many(kind: str, seed: int, n: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    values = KINDS[kind](rng, n).astype(np.float32)
    values[rng.random(n) < missing] = np.inf
    values[rng.integers(n)] = 2
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        want = np.median(finite)
    assert median_of_many(values, finite.size) == want
    # From a bad guess, too, and until fewer are left.
    limit, apart = np.float32(rng.normal(0, 50)), np.float32(rng.choice([0, 0.1, 1e9]))
    left = np.empty(16, np.float32)
    assert median_near(values, finite.size, limit, apart, left)[0] == want
    assert not np.isnan(want)
