from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.rotation import Rotate
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import TO_FLOATS, as_input, noisy, random_mask, with_bad_values

CENTER = (7.5, 11.0)
ANGLE = 33.0


class TestRotate(ReductionContract):
    rtol = 2e-4

    def make(self) -> Rotate:
        return Rotate(angle_deg=ANGLE, center=CENTER, area=True)

    def inputs(self) -> Sequence[Input]:
        shape = (3, 19, 23)
        found = [as_input(noisy(shape, dtype)) for dtype in TO_FLOATS]
        bad = with_bad_values(noisy(shape, "f4"))
        return [*found, as_input(bad, mask=random_mask(shape[1:]), frames=True)]

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        a = np.deg2rad(ANGLE)
        turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        offset = np.array(CENTER) - turn @ CENTER
        good = mask & np.isfinite(frame)

        def turned(image: Array) -> Array:
            moved: Array = ndimage.affine_transform(image * 1.0, turn, offset, order=1)
            return moved

        value, weight = turned(np.where(good, frame, 0)), turned(good)
        rows, columns = np.mgrid[: frame.shape[0], : frame.shape[1]]
        at = np.tensordot(turn, np.stack([rows, columns]), 1) + offset[:, None, None]
        # Outside of the centres of its pixels the image is 0 for us, faded for scipy.
        inside = (at >= 0).all(axis=0) & (at[0] <= 18) & (at[1] <= 22)
        near_half = abs(weight - 0.5) < 1e-4
        assert not (near_half & inside).any()
        known = np.where(inside & (turned(mask) >= 0.5), np.nan, 0)
        return {
            "area": np.where(
                inside & (weight >= 0.5), value / np.maximum(weight, 1e-9), known
            )
        }


def test_it_turns_as_scipy_does() -> None:
    frame = ndimage.gaussian_filter(noisy((30, 40), "f8"), 2)
    spec = Spec(dtype=frame.dtype, shape=frame.shape)
    got = Rotate(angle_deg=-70, area=True).prepare(spec).compute(frame[None])["area"]
    want = ndimage.rotate(frame, -70, reshape=False, order=1)
    inside = ndimage.rotate(np.ones(frame.shape), -70, reshape=False, order=1) > 0.999
    np.testing.assert_allclose(np.asarray(got)[0][inside], want[inside], rtol=1e-5)


@pytest.mark.parametrize("quarters", [-1, 0, 1, 2, 3, 4])
def test_right_angles_are_exact(quarters: int) -> None:
    frame = noisy((12, 12), "u2")
    spec = Spec(dtype=frame.dtype, shape=frame.shape)
    prepared = Rotate(angle_deg=90 * quarters, area=True).prepare(spec)
    got = np.asarray(prepared.compute(frame[None])["area"])[0]
    np.testing.assert_array_equal(got, np.rot90(frame, quarters))
    assert np.asarray(prepared.config["mask"]).all()


def test_one_pixel() -> None:
    spec = Spec(dtype=np.dtype("f4"), shape=(1, 1))
    got = Rotate(angle_deg=45, area=True).prepare(spec).compute(np.ones((1, 1, 1), "f4"))
    assert np.asarray(got["area"]).item() == 1


@pytest.mark.parametrize(
    "kwargs",
    [{"angle_deg": np.nan}, {"angle_deg": "a"}, {"angle_deg": 1, "center": (1,)}],
)
def test_wrong_parameters(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"angle_deg=|center="):
        Rotate(**kwargs)


def test_tiles_are_no_image() -> None:
    with pytest.raises(ValueError, match="Choose a tile with roi"):
        Rotate(angle_deg=1).prepare(Spec(dtype=np.dtype("f4"), shape=(2, 4, 4)))
