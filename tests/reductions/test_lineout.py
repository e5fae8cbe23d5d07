from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.lineout import Lineout
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import (
    DTYPES,
    as_input,
    noisy,
    random_mask,
    unaligned,
    with_bad_values,
)


class TestAtAnIndex(ReductionContract):
    axis, index = 1, 5

    def make(self) -> Lineout:
        return Lineout(axis=self.axis, index=self.index)

    def inputs(self) -> Sequence[Input]:
        shape = (3, 9, 37)
        mask = random_mask(shape[1:])
        found = [as_input(noisy(shape, dtype)) for dtype in DTYPES]
        found += [as_input(with_bad_values(noisy(shape, "f4")), mask=mask, frames=True)]
        found += [as_input(unaligned(noisy(shape, "u2")), frames=True, mask=mask)]
        found += [as_input(noisy((2, 5, 6, 70), "f4"))]
        found += [as_input(noisy(shape, "f4"), mask=np.zeros(shape[1:], bool))]
        return found

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        return {"data": np.where(mask & np.isfinite(frame), frame, 0)[:, self.index]}


class TestThroughTheBrightest(TestAtAnIndex):
    def make(self) -> Lineout:
        return Lineout(axis=0, name="bright")

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        good = mask & np.isfinite(frame)
        if not good.any():
            return {"data": np.zeros(frame.shape[1:]), "index": -1}
        highest = np.where(good, frame.astype(float), -np.inf)
        at = np.argwhere(highest == highest.max())[0][0]
        return {"data": np.where(good, frame, 0)[at], "index": at}


def test_the_mask_goes_with_the_line() -> None:
    mask = random_mask((9, 37))
    prepared = Lineout(axis=0, index=3).prepare(
        Spec(dtype=np.dtype("f4"), shape=(9, 37), mask=mask)
    )
    assert isinstance(prepared.chained, tuple)
    declared = prepared.chained[0].mask
    assert declared is not None
    np.testing.assert_array_equal(declared, mask[3])


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"axis": 3}, "axis=3"),
        ({"index": -1}, "index=-1"),
        ({"index": 1.5}, r"index=1\.5"),
        ({"name": ""}, "name=''"),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Lineout(**kwargs)


def test_a_line_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"index 4 on axis 0 of \(4, 5\); the last is 3"):
        Lineout(index=4).prepare(Spec(dtype=np.dtype("f4"), shape=(4, 5)))
    with pytest.raises(ValueError, match="two axes or more"):
        Lineout().prepare(Spec(dtype=np.dtype("f4"), shape=(4,)))
