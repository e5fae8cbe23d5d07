from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.curvature import Curvature
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import (
    TO_FLOATS,
    as_input,
    noisy,
    random_mask,
    unaligned,
    with_bad_values,
)

COEFFICIENTS = (0.00917, -0.3013, 4.0)


class TestCurvature(ReductionContract):
    rtol = 2e-6
    axis = 0
    interpolate = False

    def make(self) -> Curvature:
        return Curvature(
            coefficients=COEFFICIENTS,
            axis=self.axis,
            interpolate=self.interpolate,
            area=True,
        )

    def inputs(self) -> Sequence[Input]:
        shape = (3, 21, 23)
        mask = random_mask(shape[1:])
        found = [as_input(noisy(shape, dtype)) for dtype in TO_FLOATS]
        found += [as_input(with_bad_values(noisy(shape, "f4")), mask=mask, frames=True)]
        found += [as_input(unaligned(noisy(shape, "u2")), frames=True, mask=mask)]
        return found

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        rows, columns = np.mgrid[: frame.shape[0], : frame.shape[1]].astype(float)
        along, across = (rows, columns) if self.axis == 0 else (columns, rows)
        shift = np.polyval(COEFFICIENTS, across)
        shift = shift - shift.min()
        along += shift if self.interpolate else shift.round()
        good = mask & np.isfinite(frame)
        order = {"order": 1, "mode": "constant"}
        clean = np.where(good, frame, 0).astype(float)
        value = ndimage.map_coordinates(clean, [rows, columns], cval=0, **order)
        lost = ndimage.map_coordinates((~good) * 1.0, [rows, columns], cval=1, **order)
        bad = ndimage.map_coordinates((~mask) * 1.0, [rows, columns], cval=1, **order)
        value = np.where(lost > 1e-9, np.nan, value)
        return {"corrected_image": np.where(bad > 1e-9, 0, value)}


class TestBetweenPixels(TestCurvature):
    interpolate = True


class TestAlongColumns(TestCurvature):
    axis = 1
    interpolate = True


def test_a_curved_line_becomes_straight() -> None:
    rows, columns = np.mgrid[:60, :80]
    place = 12 + 0.004 * (columns - 30) ** 2
    frame = np.exp(-(((rows - place) / 1.5) ** 2))
    coefficients = np.polyfit(columns[0], place[0], 2)
    spec = Spec(dtype=frame.dtype, shape=frame.shape)
    prepared = Curvature(coefficients=coefficients, interpolate=True).prepare(spec)
    assert not prepared.outputs
    assert isinstance(prepared.chained, tuple)
    straight = np.asarray(prepared.chained[1](frame[None]))[0]
    found = (rows * straight).sum(axis=0) / straight.sum(axis=0)
    np.testing.assert_allclose(found, 12, atol=0.02)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"coefficients": ()},
        {"coefficients": ("a",)},
        {"coefficients": (np.nan, 1)},
        {"coefficients": 3},
        {"coefficients": (1,), "axis": 2},
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"coefficients=|axis="):
        Curvature(**kwargs)


def test_a_shift_out_of_the_image() -> None:
    f4 = np.dtype("f4")
    with pytest.raises(ValueError, match=r"moves by up to 22.0 pixels.*has 21 on axis 0"):
        Curvature(coefficients=(1, 0)).prepare(Spec(dtype=f4, shape=(21, 23)))
    with pytest.raises(ValueError, match="rows and columns"):
        Curvature(coefficients=(1, 0)).prepare(Spec(dtype=f4, shape=(1, 21, 23)))
