from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.full import Full
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import DTYPES, as_input, noisy, random_mask, with_bad_values


class TestFull(ReductionContract):
    def make(self) -> Full:
        return Full(threshold_adu=20)

    def inputs(self) -> Sequence[Input]:
        shape = (3, 1, 9, 37)
        found = [as_input(noisy(shape, dtype)) for dtype in DTYPES]
        bad = with_bad_values(noisy((2, 128, 256), "f4"))
        found += [as_input(bad, frames=True, mask=random_mask((128, 256)))]
        found += [as_input(noisy((2, 5), "f4"), mask=np.zeros(5, bool))]
        return found

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        good = mask & np.isfinite(frame) & (frame >= 20)
        return {"area": np.where(good, frame, 0).squeeze()}


def test_the_mask_goes_to_the_configuration() -> None:
    mask = random_mask((6, 7))
    spec = Spec(dtype=np.dtype("f4"), shape=(6, 7), mask=mask)
    np.testing.assert_array_equal(Full().prepare(spec).config["mask"], mask)
    whole = Spec(dtype=np.dtype("f4"), shape=(6, 7))
    np.testing.assert_array_equal(Full().prepare(whole).config["mask"], np.ones((6, 7)))


def test_wrong_parameters() -> None:
    with pytest.raises(ValueError, match="threshold_adu='a'"):
        Full(threshold_adu="a")  # type: ignore[arg-type]
