"""The common mode of rows in one pass, beside plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smalldata_stream.kernels.calibrated_rows import origins, rows_in_one_pass
from smalldata_stream.kernels.median import merges

BITS = np.array([0x3FFF, 0, 0xC000, 0x4000, 0x8000], np.uint16)
COUNTED, CORRECTED = 0b000001, 0b001000


def calibrated(
    raw: NDArray[np.uint16],
    tables: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    width: int,
    most: float,
    least: int,
) -> NDArray[np.float32]:
    """What comes out, in float32, row by row."""
    offset, factor, takes = tables
    m = np.array([0, 1, -1, 2])[raw >> 14]
    k = np.arange(raw.size)
    values = (raw & BITS[0]).astype("f4") - offset[m, k]
    counts = np.where(m < 0, False, takes >> m.clip(0) & 1).reshape(-1, width)
    corrected = np.where(m < 0, 0, takes >> m.clip(0) & 8).reshape(-1, width) != 0
    flat = values.reshape(-1, width)
    for row, which, also in zip(flat, counts.astype(bool), corrected, strict=True):
        by = np.median(row[which]) if which.sum() > least else np.float32(0)
        row[also] -= by if abs(by) < most else np.float32(0)
    return np.where(m < 0, np.float32(0), flat.ravel() * factor[m, k])


@pytest.mark.parametrize("width", [48, 50, 64, 96, 128])
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.sampled_from([1, 15, 16, 17, 40]),
    masked=st.sampled_from([0.0, 0.02, 0.4, 0.98, 1.0]),
    switched=st.sampled_from([0.0, 0.003, 0.1, 0.5]),
    noise=st.sampled_from([0, 4, 2000]),
    others=st.booleans(),
)
def test_rows(
    width: int,
    seed: int,
    rows: int,
    masked: float,
    switched: float,
    noise: int,
    others: bool,
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rows * width
    raw = rng.normal(5000, noise, pixels).clip(0, 0x3FFF).astype("u2")
    gains = np.where(rng.random(pixels) < switched, rng.integers(1, 4, pixels), 0)
    raw |= (gains << 14).astype("u2")
    offset = rng.normal(4950, 30, (3, pixels)).astype("f4")
    if seed % 2:
        offset = np.rint(offset)
    factor = rng.normal(1, 0.1, (3, pixels)).astype("f4")
    # Some count in the second gain only; some are corrected though they do not count.
    takes = np.where(rng.random(pixels) < 0.9, COUNTED | CORRECTED, 0b010010).astype("u1")
    bad = rng.random(pixels) < masked
    takes[bad] = 0
    if others:
        takes[rng.random(pixels) < 0.001] = CORRECTED
    else:
        offset[0, takes & COUNTED == 0] = 0
        factor[0, takes & COUNTED == 0] = 0
    origin, usual = origins(offset[0], factor[0], takes, width)
    out, limits = np.empty(pixels, "f4"), (100.0, 3)
    rows_in_one_pass(
        raw,
        BITS,
        offset,
        takes,
        origin,
        usual,
        factor,
        out,
        width,
        merges(width),
        *limits,
    )
    want = calibrated(raw, (offset, factor, takes), width, *limits)
    assert out.tobytes() == want.tobytes()
