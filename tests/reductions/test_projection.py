from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.projection import Projection
from smalldata_stream.reductions.roi import Roi
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import (
    DTYPES,
    as_input,
    noisy,
    random_mask,
    unaligned,
    with_bad_values,
)


class TestSum(ReductionContract):
    rtol = 1e-11
    axis: int | None = 0

    def make(self) -> Projection:
        return Projection(axis=-1 if self.axis is None else self.axis, threshold_adu=20)

    def inputs(self) -> Sequence[Input]:
        shape = (3, 9, 37)
        mask = random_mask(shape[1:])
        mask[:, 3] = False
        mask[4] = False
        found = [as_input(noisy(shape, dtype)) for dtype in DTYPES]
        found += [as_input(with_bad_values(noisy(shape, "f4")), mask=mask, frames=True)]
        found += [as_input(unaligned(noisy(shape, "u2")), frames=True, mask=mask)]
        found += [as_input(noisy((2, 5, 6, 70), "f4"))]
        return found

    def good(self, frame: Array, mask: Mask) -> Array:
        taken = np.where(mask & np.isfinite(frame), frame, np.nan).astype(float)
        return np.where(taken < 20, 0, taken)

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        return {"data": np.nansum(self.good(frame, mask), axis=self.axis)}


class TestSumAlongRows(TestSum):
    axis = 1


class TestSumOfAll(TestSum):
    axis = None


class TestMean(TestSum):
    def make(self) -> Projection:
        axis = -1 if self.axis is None else self.axis
        return Projection(axis=axis, threshold_adu=20, mean=True, name="profile")

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return {"data": np.nanmean(self.good(frame, mask), axis=self.axis)}


class TestMeanAlongRows(TestMean):
    axis = 1


class TestMeanOfAll(TestMean):
    axis = None


class TestHitPixels(TestSum):
    """singlePhoton of smalldata_tools: what is left above 0 counts as 1."""

    def make(self) -> Projection:
        return Projection(axis=self.axis or 0, threshold_adu=(20, 90), single_photon=True)

    def good(self, frame: Array, mask: Mask) -> Array:
        taken = np.where(mask & np.isfinite(frame), frame, np.nan).astype(float)
        return np.where((taken < 20) | (taken > 90), 0, np.where(taken > 0, 1, taken))


class TestPartOfPixelsThatAreHit(TestHitPixels):
    axis = 1

    def make(self) -> Projection:
        limits = (20, 90)
        return Projection(axis=1, threshold_adu=limits, mean=True, single_photon=True)

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return {"data": np.nanmean(self.good(frame, mask), axis=self.axis)}


def test_thresholds_in_units_of_the_noise() -> None:
    frames, noise = noisy((3, 9, 7), "f4"), np.full((9, 7), 30, np.float32)
    noise[:, 2] = 0
    spec = Spec(dtype=frames.dtype, shape=(9, 7), noise=noise)
    found = Projection(axis=0, threshold_sigma=2.5).prepare(spec).compute(frames)["data"]
    want = np.where(frames < 2.5 * noise, 0, frames).sum(axis=1, dtype=float)
    assert (want != frames.sum(axis=1, dtype=float)).any()
    np.testing.assert_allclose(np.asarray(found), want, rtol=1e-12)
    without = Spec(dtype=frames.dtype, shape=(9, 7))
    with pytest.raises(ValueError, match="noise of each pixel, which is not known"):
        Projection(axis=0, threshold_sigma=2.5).prepare(without)


def test_behind_a_roi_the_axes_are_those_of_its_area() -> None:
    frames = noisy((2, 3, 6, 8), "u2")
    roi = Roi("ROI_0", [[1, 2], [0, 4], [2, 7]]).prepare(
        Spec(dtype=frames.dtype, shape=(3, 6, 8))
    )
    assert isinstance(roi.chained, tuple)
    spec, make = roi.chained
    data = Projection(axis=0).prepare(spec).compute(make(frames))["data"]
    want = frames[:, 1, :4, 2:7].sum(axis=1, dtype=float)
    np.testing.assert_array_equal(np.asarray(data), want)


def test_names_are_those_of_smalldata_tools() -> None:
    assert [Projection(axis=axis).name for axis in (0, 1, -1)] == [
        "pj_ax_0",
        "pj_ax_1",
        "pj_ax_1",
    ]


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"axis": 3}, "axis=3: write 0, 1 or 2"),
        ({"axis": "0"}, "axis='0'"),
        ({"name": "a/b"}, "name='a/b'"),
        ({"threshold_adu": (1, 0)}, "low <= high"),
        ({"threshold_sigma": 0}, "threshold_sigma=0: write a number above 0"),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Projection(**kwargs)


def test_an_axis_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"no axis 2 in \(4, 5\); write 0 to 1"):
        Projection(axis=2).prepare(Spec(dtype=np.dtype("f4"), shape=(4, 5)))
