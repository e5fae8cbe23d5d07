from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest

from smalldata_stream.batch import Array, Frames
from smalldata_stream.kernels.exact_sum import GROUP, HIT, NOT_A_NUMBER, SQUARE
from smalldata_stream.protocols import State
from smalldata_stream.reductions.state import ExactSum, Maximum
from smalldata_stream.testing.reductions import StateContract
from tests.reductions.frames import noisy, unaligned

UNIT = Fraction(1, 2**32)
EVENTS = 2 * GROUP + 3


def in_units(x: Fraction) -> int:
    """The multiple of 2^-32 that is nearest, half to even: what Python's round does."""
    return round(x / UNIT)


def exact(frames: Array, floor: float, square: bool) -> Array:
    """Sum over events with integers of any size, rounded once by Python's int / int."""
    totals = np.zeros(frames.shape[1:])
    for where in np.ndindex(totals.shape):
        column = [frames[(i, *where)] for i in range(len(frames))]
        if not all(abs(x.item()) < 2**62 for x in column):
            totals[where] = np.nan
            continue
        kept = [x.item() if x >= floor else 0 for x in column]
        # A square is rounded to float64, or is the exact integer, before it is added.
        addends = [x * x if square else x for x in kept]
        if any(x >= 2**62 for x in addends):
            totals[where] = np.nan
            continue
        totals[where] = sum(in_units(Fraction(x)) for x in addends) / 2**32
    return totals


def hard_floats(dtype: str) -> Array:
    """Cancellation, ties of the rounding, tiny and huge, lost pixels, over many events."""
    rng = np.random.default_rng(3)
    frames = rng.normal(0, 1, (EVENTS, 9)) * 10.0 ** rng.integers(-12, 13, (EVENTS, 9))
    frames[:, 1] = rng.integers(-5, 5, EVENTS) * 2.0**-33
    frames[:, 2] = 1e-3
    frames[3, 3], frames[17, 3] = 2.0**61, -(2.0**61)
    frames[5, 4], frames[6, 4] = np.inf, -np.inf
    frames[8, 5] = np.nan
    frames[9, 6] = 2.0**62
    frames[:, 7] = 2.0**61
    frames[:, 8] = -0.0
    return frames.astype(dtype)


class TestSumOfFloat64(StateContract):
    floor = -np.inf
    operation = 0

    def make(self) -> State:
        frames = self.frames()
        return ExactSum(
            "s",
            frames.shape[1:],
            frames.dtype,
            floor=self.floor,
            operation=self.operation,
        )

    def frames(self) -> Array:
        return hard_floats("f8")

    def expected(self, frames: Array) -> Mapping[str, Array]:
        return {"s": exact(frames, self.floor, self.operation == SQUARE)}


class TestSumOfFloat32(TestSumOfFloat64):
    def frames(self) -> Array:
        return hard_floats("f4").reshape(EVENTS, 3, 3)


class TestSumOfSquares(TestSumOfFloat32):
    operation = SQUARE
    floor = -1.5


class TestSumAboveThreshold(TestSumOfFloat32):
    floor = 0.25


class TestSumOfUint16(TestSumOfFloat64):
    def frames(self) -> Array:
        frames = noisy((EVENTS, 7), "u2")
        frames[:, 0] = 65535
        return frames


class TestSumOfSquaresOfUint16(TestSumOfUint16):
    operation = SQUARE
    floor = 30


class TestSumOfSquaresOfInt32(TestSumOfFloat64):
    operation = SQUARE

    def frames(self) -> Array:
        frames = noisy((EVENTS, 4), "i4")
        frames[:, 0] = 2**31 - 1
        frames[4, 1] = -(2**31)
        return frames


class TestSumOfInt64(TestSumOfFloat64):
    def frames(self) -> Array:
        frames = noisy((EVENTS, 4), "i8")
        frames[:, 0] = 2**62 - 1
        frames[4, 1] = -(2**63)
        frames[:, 2] = -(2**62) + 1
        return frames


class TestSumOfUint64(TestSumOfFloat64):
    def frames(self) -> Array:
        frames = noisy((EVENTS, 3), "u8")
        frames[:, 0] = 2**62 - 1
        frames[4, 1] = 2**64 - 1
        return frames


class TestHits(TestSumOfFloat64):
    operation = HIT
    floor = 0.5

    def expected(self, frames: Array) -> Mapping[str, Array]:
        hits = ((frames > 0) & (frames >= self.floor)).sum(axis=0).astype(float)
        hits[~(np.abs(frames) < 2.0**62).all(axis=0)] = np.nan
        return {"s": hits}


class TestHitsOfUint16(TestHits):
    def frames(self) -> Array:
        return noisy((EVENTS, 50), "u2") // 40


class TestMaximum(StateContract):
    def make(self) -> State:
        return Maximum("m", (9,), np.dtype("f4"))

    def frames(self) -> Array:
        frames = hard_floats("f4")
        frames[::2, 8] = 0.0
        return frames

    def expected(self, frames: Array) -> Mapping[str, Array]:
        if not len(frames):
            return {"m": np.full(9, np.nan, "f4")}
        highest = np.where(np.isnan(frames).any(axis=0), np.nan, frames.max(axis=0))
        return {"m": (highest + 0.0).astype("f4")}


class TestMaximumOfIntegersAboveThreshold(StateContract):
    def make(self) -> State:
        return Maximum("m", (6,), np.dtype("i4"), floor=60)

    def frames(self) -> Array:
        return noisy((4, 6), "i4")

    def expected(self, frames: Array) -> Mapping[str, Array]:
        above = np.where(frames >= 60, frames, 0)
        return {"m": above.max(axis=0, initial=0 if not len(frames) else -999)}


def test_sum_and_maximum_have_the_same_threshold() -> None:
    just_below = np.array([[0.7]], "f4")  # 0.69999999, and 0.7 in float32
    highest = Maximum("m", (1,), np.dtype("f4"), floor=0.7)
    total = ExactSum("m", (1,), np.dtype("f4"), floor=0.7)
    for state in (highest, total):
        state.add(just_below)
        assert state.value()["m"].value.tolist() == [0]


def test_more_pixels_than_a_block_and_lost_ones_in_one_block_only() -> None:
    frames = noisy((3, 100, 130), "f4")
    frames[1, 50, 60] = np.nan
    state = ExactSum("s", (100, 130), frames.dtype)
    state.add(frames)
    want = frames.astype(float).sum(axis=0)
    np.testing.assert_allclose(state.value()["s"].value, want, rtol=1e-15, atol=1e-9)
    assert np.isnan(state.value()["s"].value).sum() == 1


def test_rounding_is_bounded() -> None:
    frames = np.full((1000, 1), 0.1)
    state = ExactSum("s", (1,), frames.dtype)
    state.add(frames)
    error = Fraction(state.value()["s"].value[0]) - 1000 * Fraction(0.1)
    assert abs(error) <= 1000 * Fraction(1, 2**33) + Fraction(1, 2**46)


@pytest.mark.parametrize("dtype", ["u2", "f4", "f8"])
def test_frames_at_odd_addresses_and_with_strides(dtype: str) -> None:
    array = noisy((3, 6, 8), dtype).round()
    state = ExactSum("s", (6, 8), array.dtype)
    state.add(Frames([unaligned(array[0]), array[1], np.asfortranarray(array[2])]))
    np.testing.assert_array_equal(state.value()["s"].value, array.sum(axis=0, dtype=float))


def test_only_the_same_kind_of_sum_merges() -> None:
    one = ExactSum("s", (2,), np.dtype("f4"))
    other = ExactSum("s", (2,), np.dtype("f4"), floor=3)
    with pytest.raises(ValueError, match="cannot be merged"):
        one.merge(other)
    highest = Maximum("s", (2,), np.dtype("f4"))
    with pytest.raises(ValueError, match="cannot be merged"):
        highest.merge(Maximum("t", (2,), np.dtype("f4")))


@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_a_lost_pixel_stays_lost(dtype: str) -> None:
    state = ExactSum("s", (2,), np.dtype(dtype))
    state.high[0] = NOT_A_NUMBER
    state.add(np.full((50, 2), -7, dtype))
    np.testing.assert_array_equal(state.value()["s"].value, [np.nan, -350])
