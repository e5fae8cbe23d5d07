from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.rebin import Rebin
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import (
    TO_FLOATS,
    as_input,
    noisy,
    random_mask,
    unaligned,
    with_bad_values,
)


def overlaps(have: int, want: int) -> Array:
    """How much of each of ``have`` pixels each of ``want`` larger ones covers."""
    edges = np.arange(want + 1) * have / want
    low, high = edges[:-1, None], edges[1:, None]
    k = np.arange(have)
    part: Array = np.minimum(high, k + 1) - np.maximum(low, k)
    return part.clip(0, None)


class TestRebin(ReductionContract):
    shape: tuple[int, ...] = (4, 5)
    rtol = 1e-11

    def make(self) -> Rebin:
        return Rebin(shape=self.shape)

    def inputs(self) -> Sequence[Input]:
        shape = (3, 9, 37)
        mask = random_mask(shape[1:])
        mask[:, :8] = False
        found = [as_input(noisy(shape, dtype)) for dtype in TO_FLOATS]
        found += [as_input(with_bad_values(noisy(shape, "f4")), mask=mask, frames=True)]
        found += [as_input(unaligned(noisy(shape, "u2")), frames=True, mask=mask)]
        found += [as_input(noisy(shape, "f4"), mask=np.zeros(shape[1:], bool))]
        return found

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        good = mask & np.isfinite(frame)
        rows, columns = overlaps(9, self.shape[0]), overlaps(37, self.shape[1])
        # What a larger pixel covers by rounding alone is nothing.
        area = (rows @ good @ columns.T).round(9)
        total = rows @ np.where(good, frame, 0).astype(float) @ columns.T
        with np.errstate(all="ignore"):
            return {"data": np.where(area > 0, total / area, np.nan)}


class TestAsItIs(TestRebin):
    shape = (9, 37)


class TestOne(TestRebin):
    shape = (1, 1)


def test_where_the_shape_divides_it_is_the_mean_of_blocks() -> None:
    frames = noisy((2, 3, 8, 12), "f4")
    spec = Spec(dtype=frames.dtype, shape=(3, 8, 12))
    got = Rebin(shape=(3, 2, 4)).prepare(spec).compute(frames)["data"]
    want = frames.reshape(2, 3, 2, 4, 4, 3).mean(axis=(3, 5), dtype=float)
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-13)
    line = Spec(dtype=frames.dtype, shape=(12,))
    got = Rebin(shape=(6,)).prepare(line).compute(frames[0, 0])["data"]
    want = frames[0, 0].reshape(8, 6, 2).mean(axis=2, dtype=float)
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-13)


@pytest.mark.parametrize("shape", [(), (0, 4), "ab", (2.5, 1)])
def test_wrong_parameters(shape: Any) -> None:
    with pytest.raises(ValueError, match="write the number of larger pixels"):
        Rebin(shape=shape)


@pytest.mark.parametrize("shape", [(2, 8, 12), (4, 4), (3, 9, 12)])
def test_a_shape_that_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"for a frame of \(3, 8, 12\); write 3 tiles"):
        Rebin(shape=shape).prepare(Spec(dtype=np.dtype("f4"), shape=(3, 8, 12)))
