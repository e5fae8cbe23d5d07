from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from smalldata_stream.batch import Array, Frames, Mask, Values
from smalldata_stream.protocols import Spec
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


def by_hand(
    frame: Array,
    good: Mask,
    box: tuple[slice, ...] = (),
    low: float = -math.inf,
    high: float = math.inf,
    saturation: float = math.inf,
) -> dict[str, Any]:
    """All fields with numpy and scipy, one event."""
    cut, good = frame[box], good[box] & np.isfinite(frame[box].astype(float))
    outside = (cut.astype(float) < low) | (cut.astype(float) > high)
    area = np.where(good & ~outside, cut, 0).astype(frame.dtype)
    exact = np.squeeze(area).astype(float)
    total = math.fsum(exact.ravel())
    com = (math.nan, math.nan)
    if exact.ndim >= 2 and total != 0:
        com = tuple(ndimage.center_of_mass(exact)[:2])
    empty = math.nan if frame.dtype.kind == "f" else 0
    return {
        "area": np.squeeze(area),
        "sum": total,
        "mean": total / cut.size,
        "max": area[good].max() if good.any() else empty,
        "com": com,
        "nsat": np.count_nonzero(good & (cut.astype(float) >= saturation)),
    }


class TestRoi(ReductionContract):
    rtol = 1e-11

    def make(self) -> Roi:
        return Roi(
            "ROI_0",
            ((1, 8), (2, 17)),
            area=True,
            threshold_adu=(5, 150),
            saturation_adu=140,
        )

    def inputs(self) -> Sequence[Input]:
        shape = (3, 9, 17)
        mask = random_mask(shape[1:])
        found = [as_input(noisy(shape, dtype)) for dtype in DTYPES]
        found += [as_input(noisy(shape, "u2"), frames=True, mask=mask)]
        for dtype in ("f4", "f8"):
            bad = with_bad_values(noisy(shape, dtype))
            found += [as_input(bad, mask=mask), as_input(bad, frames=True)]
        for dtype in ("u2", "f4", "f8"):
            found += [as_input(unaligned(noisy(shape, dtype)), frames=True)]
        found += [as_input(noisy((3, 17, 9), "f4").transpose(0, 2, 1), frames=True)]
        found += [as_input(noisy((5, 18, 34), "u2")[1:4, ::2, ::2])]
        return found

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        return by_hand(frame, mask, (slice(1, 8), slice(2, 17)), 5, 150, 140)


class TestRoiOfTiles(TestRoi):
    def make(self) -> Roi:
        return Roi("tiles", [[1, 3], [0, 6], [3, 4]], area=True, saturation_adu=100)

    def inputs(self) -> Sequence[Input]:
        shape = (2, 4, 6, 5)
        mask = random_mask(shape[1:])
        return [
            as_input(noisy(shape, "f4"), mask=mask),
            as_input(noisy(shape, "u2"), frames=True),
        ]

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        box = (slice(1, 3), slice(0, 6), slice(3, 4))
        return by_hand(frame, mask, box, saturation=100)


class TestRoiOfLargeFrames(TestRoi):
    """Large enough that the area is made of frames, in memory that is used again."""

    def make(self) -> Roi:
        return Roi(area=True, saturation_adu=100)

    def inputs(self) -> Sequence[Input]:
        mask = random_mask((150, 120))
        return [as_input(noisy((3, 150, 120), "f4"), mask=mask, frames=True)]

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        return by_hand(frame, mask, saturation=100)


class TestRoiOfWaveforms(TestRoi):
    def make(self) -> Roi:
        return Roi("gate", [[10, 30]], area=True, saturation_adu=100)

    def inputs(self) -> Sequence[Input]:
        return [as_input(noisy((4, 40), dtype)) for dtype in ("u2", "f8")]

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        return by_hand(frame, mask, (slice(10, 30),), saturation=100)


pixel = st.one_of(
    st.floats(-1e6, 1e6, width=32),
    st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0]),
)


@given(st.data())
def test_any_small_frame(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=7))
    frame = data.draw(hnp.arrays(np.float32, shape, elements=pixel))
    mask = data.draw(hnp.arrays(bool, shape))
    starts = [data.draw(st.integers(0, n - 1)) for n in shape]
    box = [
        (a, data.draw(st.integers(a + 1, n))) for a, n in zip(starts, shape, strict=True)
    ]
    low = data.draw(st.floats(-1e6, 1e6))
    roi = Roi("r", box, area=True, threshold_adu=low, mask=mask, saturation_adu=low)
    prepared = roi.prepare(Spec(dtype=frame.dtype, shape=shape))
    results = prepared.compute(frame[None])
    want = by_hand(frame, mask, tuple(slice(*pair) for pair in box), low, saturation=low)
    scale = max(1.0, np.abs(want["area"]).sum(dtype=float))
    for field in ("area", "max", "nsat"):
        np.testing.assert_array_equal(np.asarray(results[field])[0], want[field])
    for field in ("sum", "mean"):
        np.testing.assert_allclose(
            np.asarray(results[field])[0], want[field], atol=1e-13 * scale, rtol=1e-12
        )
    assert isinstance(prepared.chained, tuple)
    chained = prepared.chained[1](frame[None])
    np.testing.assert_array_equal(np.asarray(chained)[0], want["area"])


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_without_a_good_pixel(dtype: str) -> None:
    frame = np.full((1, 3, 4), 7, dtype)
    spec = Spec(dtype=frame.dtype, shape=(3, 4), mask=np.zeros((3, 4), bool))
    results = Roi(area=True, saturation_adu=1).prepare(spec).compute(frame)
    got = {field: np.asarray(value)[0] for field, value in results.items()}
    assert got["sum"] == got["mean"] == got["nsat"] == 0
    assert not got["area"].any()
    assert np.isnan(got["com"]).all()
    assert got["max"] == 0 if dtype == "u2" else np.isnan(got["max"])


def test_only_nan() -> None:
    frame = np.full((1, 8, 4), np.nan)
    results = Roi().prepare(Spec(dtype=frame.dtype, shape=(8, 4))).compute(frame)
    assert np.isnan(np.asarray(results["max"])[0])
    assert np.asarray(results["sum"])[0] == 0


def test_a_saturated_uint16_camera_does_not_wrap() -> None:
    frame = np.full((1, 600, 700), 65535, np.uint16)
    spec = Spec(dtype=frame.dtype, shape=(600, 700))
    results = Roi(saturation_adu=65535).prepare(spec).compute(frame)
    assert np.asarray(results["sum"])[0] == 65535 * 600 * 700
    assert np.asarray(results["nsat"])[0] == 600 * 700
    assert np.asarray(results["com"])[0].tolist() == [299.5, 349.5]
    assert np.asarray(results["max"])[0] == 65535


def test_negative_pixels_have_a_maximum() -> None:
    frame = np.array([[[-5, -3], [-9, -4]]], np.int32)
    mask = np.array([[True, False], [True, True]])
    spec = Spec(dtype=frame.dtype, shape=(2, 2), mask=mask)
    assert np.asarray(Roi().prepare(spec).compute(frame)["max"])[0] == -4


@pytest.mark.parametrize(("limit", "count"), [(70000, 0), (-1, 6), (3.5, 2), (5, 1)])
def test_saturation_limits_beyond_the_dtype(limit: float, count: int) -> None:
    frame = np.arange(6, dtype=np.uint16).reshape(1, 2, 3)
    spec = Spec(dtype=frame.dtype, shape=(2, 3))
    results = Roi(saturation_adu=limit).prepare(spec).compute(frame)
    assert np.asarray(results["nsat"])[0] == count


def test_a_threshold_is_compared_exactly() -> None:
    just_below = np.nextafter(np.float32(0.1), np.float32(0))
    frame = np.array([[just_below, 0.1]], np.float32)
    results = Roi(area=True, threshold_adu=0.1).prepare(Spec(dtype=frame.dtype, shape=(2,)))
    area = np.asarray(results.compute(frame)["area"])
    assert area.tolist() == [[0.0, float(np.float32(0.1))]]


def test_the_mask_is_a_copy() -> None:
    mask = np.ones((2, 2), bool)
    roi = Roi(mask=mask)
    mask[:] = False
    assert roi.mask is not None
    assert roi.mask.all()


def test_held_frames_are_not_overwritten() -> None:
    frames: Values = Frames(list(noisy((2, 150, 120), "f4")))
    spec = Spec(dtype=np.dtype("f4"), shape=(150, 120), kind="frames")
    compute = Roi(area=True).prepare(spec).compute
    one = compute(frames)["area"][1]  # type: ignore[index]
    copy = one.copy()
    for seed in range(4):
        compute(Frames(list(noisy((2, 150, 120), "f4", seed + 9))))
    assert np.array_equal(one, copy)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"bounds": [[5, 5]]}, r"bounds=\[\[5, 5\]\]: write \[first, last\]"),
        ({"bounds": [[7, 5]]}, "first < last"),
        ({"bounds": [[-1, 5]]}, "0 <= first"),
        ({"bounds": [[1, 5.5]]}, "bounds="),
        ({"bounds": [3, 5]}, "bounds="),
        ({"bounds": []}, "bounds="),
        ({"name": "a/b"}, "name='a/b'"),
        ({"name": ""}, "name=''"),
        ({"threshold_adu": "5"}, "threshold_adu='5'"),
        ({"threshold_adu": (5, 1)}, "low <= high"),
        ({"threshold_adu": (1, 2, 3)}, "pair"),
        ({"threshold_adu": math.nan}, "threshold_adu=nan"),
        ({"saturation_adu": "x"}, "saturation_adu='x'"),
        ({"saturation_adu": float("nan")}, "saturation_adu=nan"),
        ({"mask": np.array([[0.5]])}, "True for good"),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Roi(**kwargs)


@pytest.mark.parametrize(
    ("roi", "shape", "match"),
    [
        (Roi("r", [[0, 1]]), (4, 5), r"1 axes.*has 2, \(4, 5\)"),
        (Roi("r", [[0, 1], [2, 6]]), (4, 5), r"to 6 on axis 1.*\(4, 5\).*at most 5"),
        (Roi("r"), (1, 2, 3, 4), "1 to 3 axes"),
        (Roi("r"), (), "needs pixels or samples; the input is one number"),
        (Roi("r"), None, "known before the first event"),
        (
            Roi("r", mask=np.ones((2, 2), bool)),
            (4, 5),
            r"mask is \(2, 2\), the frame \(4, 5\)",
        ),
    ],
)
def test_what_does_not_fit_the_frame(
    roi: Roi, shape: tuple[int, ...] | None, match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        roi.prepare(Spec(dtype=np.dtype("u2"), shape=shape))


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(ValueError, match="complex128"):
        Roi().prepare(Spec(dtype=np.dtype(complex), shape=(2, 2)))
