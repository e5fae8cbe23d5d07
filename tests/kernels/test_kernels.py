"""The kernels beside numpy and scipy, on what is hard for them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from smalldata_stream.batch import Array, read_only
from smalldata_stream.kernels import (
    calibration,
    exact_rounding,
    exact_sum,
    histogram,
    projection,
    roi,
    window,
)
from tests.reductions.frames import noisy, random_mask, unaligned

BIG = np.finfo(np.float32).max
LOWEST = np.float32(-np.inf)


def statistics(frame: Array, mask: Array | None, box: roi.Box) -> tuple[Array, Array]:
    moments, maxima, none = np.empty((1, 4)), np.empty(1, np.float32), np.empty(1, int)
    frames = read_only(frame[None])
    roi.statistics(frames, box, mask, None, None, LOWEST, BIG, -BIG, moments, maxima, none)
    assert none[0] == 0
    return moments[0], maxima


@pytest.mark.parametrize("rows", range(1, 10))
def test_statistics_for_any_number_of_rows(rows: int) -> None:
    """Rows are taken four at a time, and what is left one at a time."""
    frame = np.abs(noisy((2, rows + 2, 7), "f4")) + 1
    mask = random_mask((2, rows, 5))
    moments, maxima = statistics(frame, mask, (0, 2, 1, rows + 1, 2, 7))
    cut = np.where(mask, frame[:, 1 : rows + 1, 2:7], 0).astype(float)
    com = ndimage.center_of_mass(cut)
    np.testing.assert_allclose(moments[0], cut.sum(), rtol=1e-13)
    np.testing.assert_allclose(moments[1:] / moments[0], com, rtol=1e-12, atol=1e-12)
    assert maxima[0] == cut.max()


def test_no_mask_is_a_mask_of_true() -> None:
    frame = noisy((2, 6, 7), "f4")
    box = (0, 2, 0, 6, 0, 7)
    without = statistics(frame, None, box)
    all_good = statistics(frame, np.ones((2, 6, 7), bool), box)
    for one, other in zip(without, all_good, strict=True):
        assert one.tobytes() == other.tobytes()


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 2), st.integers(1, 40), st.integers(1, 5)),
        elements=st.floats(-1e3, 1e3) | st.just(np.nan),
    )
)
@example(np.ones((1, 2500, 1)))
def test_projection(frame: Array) -> None:
    most = np.finfo(np.float64).max
    mask = np.ones(frame.shape, bool)
    out = np.empty((1, frame.shape[0], frame.shape[2]))
    frames = read_only(frame[None])
    projection.project(frames, mask, -most, most, out)
    np.testing.assert_allclose(out[0], np.nansum(frame, axis=1), atol=1e-9)
    counts = np.empty(out.shape, np.int64)
    projection.count_good(frames, mask, counts)
    np.testing.assert_array_equal(counts[0], np.isfinite(frame).sum(axis=1))


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=1, max_size=exact_sum.GROUP))
@example([2.0**-33, 2.0**-33])
@example([3 * 2.0**-33, -(2.0**-33)])
@example([2.0**61] * exact_sum.GROUP)
@example([-(2.0**61)] * exact_sum.GROUP)
@example([2.0**47, 2.0**-32])
@example([2.0**62])
def test_any_floats_add_up_like_fractions(addends: list[float]) -> None:
    high, low = np.zeros(1, np.int64), np.zeros(1, np.uint64)
    frames = [np.array([x]) for x in addends]
    padded = tuple(frames + frames[:1] * (exact_sum.GROUP - len(frames)))
    exact_sum.add_floats(padded, len(frames), -np.inf, exact_sum.IDENTITY, high, low)
    got = exact_rounding.rounded(high, low)[0]
    if any(abs(x) >= 2.0**62 for x in addends):
        assert np.isnan(got)
        return
    assert got == sum(round(Fraction(x) * 2**32) for x in addends) / 2**32


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.integers(0, 2**64 - 1))
@example(0, 2**53 + 1)
@example(1, 2**11)
@example(1, 2**11 + 1)
@example(-1, 2**64 - 1)
@example(2**53, 2**63)
@example(2**54 + 2, 0)
def test_any_sum_is_rounded_once(high: int, low: int) -> None:
    got = exact_rounding.rounded(np.array([high]), np.array([low], np.uint64))[0]
    assert got == (high * 2**64 + low) / 2**32


@given(
    st.lists(
        st.tuples(st.integers(-(2**60), 2**60), st.integers(0, 2**64 - 1)),
        min_size=4,
        max_size=4,
    )
)
@example([(0, 0), (0, 0), (0, 0), (-1, 2**64 - 1)])
@example([(0, 0), (0, 1), (0, 2**53), (0, 0)])
@example([(0, 2**53 + 1), (-1, 2**64 - 1), (0, 0), (0, 0)])
@example([(0, 2**53 + 1), (0, 0), (0, 0), (0, 1)])
def test_any_sum_of_several_scales_is_rounded_once(scales: list[tuple[int, int]]) -> None:
    high = np.array([[h] for h, _ in scales])
    low = np.array([[w] for _, w in scales], np.uint64)
    got, total = np.empty(1), 0
    exact_rounding.values(high, low, 160, got)
    for h, w in scales:
        total = (total << 64) + (h << 64) + w
    assert got[0] == total / 2**160


def test_a_lost_sum_is_nan_among_narrow_and_wide_ones() -> None:
    high = np.array([0, exact_sum.NOT_A_NUMBER, -1, 1, 0, -1])
    low = np.array([2**31, 7, 2**64 - 2**32, 0, 2**63, 1], np.uint64)
    got = exact_rounding.rounded(high, low)
    expected = [0.5, np.nan, -1.0, 2.0**32, 2.0**31, (1 - 2**64) / 2**32]
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(exact_rounding.rounded(high[:3], low[:3]), expected[:3])


words = st.integers(-(2**62), 2**62 - 1), st.integers(0, 2**64 - 1)


@given(*words, *words)
def test_sums_merge_like_integers(h: int, w: int, other_h: int, other_w: int) -> None:
    high, low = np.array([h]), np.array([w], np.uint64)
    exact_sum.merge(high, low, np.array([other_h]), np.array([other_w], np.uint64))
    total = (h + other_h) * 2**64 + w + other_w
    assert int(high[0]) * 2**64 + int(low[0]) == total


@pytest.mark.parametrize("switched", [0, 1, 700])
def test_jungfrau_in_blocks_with_and_without_switched_pixels(switched: int) -> None:
    n = 3 * calibration.BLOCK + 7
    rng = np.random.default_rng(7)
    raw = rng.integers(0, 0x4000, n, dtype=np.uint16)
    where = rng.choice(n, switched, replace=False)
    raw[where] |= rng.choice(np.array([0x4000, 0x8000, 0xC000], "u2"), switched)
    offset = rng.normal(3000, 30, (3, n)).astype("f4")
    factor = rng.normal(0.03, 0.01, (3, n)).astype("f4")
    out = np.full(n, np.nan, "f4")
    bits = np.array([0x3FFF, 0, 0xC000, 0x4000, 0x8000], np.uint16)
    calibration.calibrate_switching(unaligned(raw), bits, offset, factor, out)
    table = np.array([0, 1, 0, 2])[raw >> 14]
    pixel = np.arange(n)
    want = ((raw & 0x3FFF).astype("f4") - offset[table, pixel]) * factor[table, pixel]
    want[raw >> 14 == 2] = 0
    assert out.tobytes() == want.tobytes()


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_cameras(dtype: Any) -> None:
    raw = noisy((50,), dtype)
    offset, factor = noisy((50,), "f4", 1), noisy((50,), "f4", 2)
    out = np.empty(50, "f4")
    calibration.calibrate(raw, offset, factor, out)
    assert out.tobytes() == ((raw.astype("f4") - offset) * factor).tobytes()


@given(
    st.sampled_from([3, 40, 511, 512, 513, 3000]),
    st.sampled_from([0.0, -7.0, 60000.0, -0.5]),
    st.integers(1, 70),
    st.integers(0, 2**32),
)
def test_the_median_of_samples(span: int, base: float, n: int, seed: int) -> None:
    """Whole numbers near to each other are counted, others are not."""
    whole = np.random.default_rng(seed).integers(0, span, n, endpoint=True)
    samples = (base + whole).astype(np.float64)
    assert window.median(samples.copy()) == np.median(samples)


@given(hnp.arrays(np.float64, st.integers(0, 70), elements=st.floats(-1e6, 1e6)))
def test_the_total_of_samples(samples: Array) -> None:
    exact = float(sum(map(Fraction, samples.tolist())))
    size = np.abs(samples).sum()
    assert window.total(samples.copy()) == pytest.approx(exact, rel=0, abs=1e-15 * size)


EDGES = st.sampled_from(
    [
        np.linspace(0, 10, 11),
        np.linspace(-1, 1, 8),
        np.array([0.0, 0.1, 5.0, 5.5, 10.0]),
        np.array([0.0, 5e-324]),
        np.array([-1e308, 0.0, 1e308]),
        np.arange(0.1, 9, 0.1),
    ]
)


@given(EDGES, st.integers(0, 2000), st.booleans(), st.integers(0, 2**32))
def test_counts_are_those_of_numpy(edges: Array, n: int, whole: bool, seed: int) -> None:
    """Values on edges and next to them, outside, and not finite."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-2, 12, n)
    values = np.floor(values) if whole else values
    near = rng.choice(edges, n)
    near = np.where(rng.random(n) < 0.5, near, np.nextafter(near, rng.choice([-99, 99], n)))
    values = np.where(rng.random(n) < 0.3, near, values)
    values[rng.random(n) < 0.05] = np.nan
    values[rng.random(n) < 0.05] = np.inf
    good = rng.random(n) < 0.9
    counts = np.zeros(edges.size + 2, np.int64)
    histogram.add_counts(values[None], good, edges, counts)
    taken = values[good]
    some = taken[np.isfinite(taken)]
    inside = (some >= edges[0]) & (some <= edges[-1])
    at = np.searchsorted(edges, some[inside], side="right").clip(1, edges.size - 1)
    assert counts[1:-2].tolist() == np.bincount(at, minlength=edges.size)[1:].tolist()
    outside = [(some < edges[0]).sum(), (some > edges[-1]).sum(), len(taken) - len(some)]
    assert [counts[0], counts[-2], counts[-1]] == outside
