"""The common mode of columns, beside plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smalldata_stream.kernels.common_mode_columns import columns

COUNTS, CORRECTED = 1, 2


def corrected(
    values: NDArray[np.float32], part: NDArray[np.uint8], most: float, least: int
) -> NDArray[np.float32]:
    """Blocks ``(blocks, height, width)``, column by column."""
    out = values.copy()
    for block, which in zip(out, part, strict=True):
        for column, takes in zip(block.T, which.T, strict=True):
            counts = takes & COUNTS != 0
            by = np.median(column[counts]) if counts.sum() > least else np.float32(0)
            column[takes & CORRECTED != 0] -= by if abs(by) < most else np.float32(0)
    return out


@pytest.mark.parametrize("height", [1, 16, 50, 176, 256])
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    blocks=st.sampled_from([1, 2]),
    width=st.sampled_from([1, 15, 16, 33, 128, 150]),
    masked=st.sampled_from([0.0, 0.02, 0.5, 0.99, 1.0]),
    between=st.sampled_from([0, 5, 100, 1e6]),
    whole=st.booleans(),
    half=st.booleans(),
)
def test_columns(
    height: int,
    seed: int,
    blocks: int,
    width: int,
    masked: float,
    between: float,
    whole: bool,
    half: bool,
) -> None:
    rng = np.random.default_rng(seed)
    shape = (blocks, height, width)
    noise = rng.normal(0, 4, shape) + 800 * half * rng.integers(0, 2, shape)
    values = (noise + rng.normal(0, between, (blocks, 1, width))).astype("f4")
    values = np.rint(values) + np.float32(0) if whole else values  # not -0
    part = np.full(shape, COUNTS | CORRECTED, "u1")
    part[rng.random(shape) < masked] = 0
    part[rng.random(shape) < 0.01] = CORRECTED
    want = corrected(values, part, 120.0, 3)
    columns(values.reshape(-1), part.reshape(-1), height, width, 120.0, 3)
    assert values.tobytes() == want.tobytes()
