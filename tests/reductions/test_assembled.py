from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from smalldata_stream.batch import Array, Mask
from smalldata_stream.positions import Positions
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.assembled import Assembled
from smalldata_stream.reductions.droplet import Droplets
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import (
    TO_FLOATS,
    as_input,
    noisy,
    random_mask,
    unaligned,
    with_bad_values,
)

SHAPE = (2, 5, 7)
ROW: Any = np.arange(70).reshape(SHAPE) % 6
COLUMN: Any = np.arange(70).reshape(SHAPE) // 6 % 9
ZERO = np.zeros(SHAPE)
WHERE = Positions(x=ZERO, y=ZERO, z=ZERO, row=ROW, column=COLUMN)


class TestAssembled(ReductionContract):
    rtol = 1e-6

    def make(self) -> Assembled:
        return Assembled(write=True)

    def inputs(self) -> Sequence[Input]:
        mask = random_mask(SHAPE)
        mask[0, 0, 0] = mask[1, 2, 5] = False
        found = [as_input(noisy((3, *SHAPE), dtype)) for dtype in TO_FLOATS]
        found += [as_input(unaligned(noisy((3, *SHAPE), "f4")), frames=True, mask=mask)]
        found += [as_input(noisy((3, *SHAPE), "f4"), mask=np.zeros(SHAPE, bool))]
        found += [as_input(with_bad_values(noisy((3, *SHAPE), "f4")), mask=mask)]
        return [(replace(spec, positions=WHERE), values) for spec, values in found]

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        image = np.zeros((6, 9), "f4")
        for place in np.ndindex(image.shape):
            here = mask & (place[0] == ROW) & (place[1] == COLUMN)
            if here.any():
                finite = frame[here & np.isfinite(frame)].astype("f4")
                image[place] = finite.mean(dtype=float) if finite.size else np.nan
        return {"": image}


def test_words_behind_see_where_there_are_pixels() -> None:
    mask = ROW != 3
    spec = Spec(dtype=np.dtype("f4"), shape=SHAPE, mask=mask, positions=WHERE)
    ready = Assembled().prepare(spec)
    assert ready.outputs == {}
    assert isinstance(ready.chained, tuple)
    made, make = ready.chained
    assert made.mask is not None
    assert not made.mask[3].any()
    assert made.mask[[0, 1, 2, 4, 5], :8].all()
    (image,) = make(noisy((1, *SHAPE), "f4"))
    assert not image[3].any()


def test_positions_are_needed() -> None:
    with pytest.raises(ValueError, match=r"not known.*constants fetch"):
        Assembled().prepare(Spec(dtype=np.dtype("f4"), shape=SHAPE))
    with pytest.raises(ValueError, match="name="):
        Assembled(name="")


def test_positions_fit_together() -> None:
    with pytest.raises(ValueError, match="row in the image is -1"):
        Positions(x=ZERO, y=ZERO, z=ZERO, row=ROW - 1, column=COLUMN)
    with pytest.raises(ValueError, match="several shapes"):
        Positions(x=ZERO[0], y=ZERO, z=ZERO, row=ROW, column=COLUMN)


def test_thresholds_in_units_of_noise_behind_an_image() -> None:
    """The noise of a mean of n pixels is √(Σ σ²) / n; unknown noise makes a place bad."""
    noise = np.random.default_rng(3).uniform(1, 9, SHAPE).astype("f4")
    noise[0, 1, 1], noise[1, 0, 2] = 0, np.nan
    mask = random_mask(SHAPE)
    mask[0, 1, 1] = mask[1, 0, 2] = True
    frames = noisy((4, *SHAPE), "f4") + 20 * noise
    spec = Spec(dtype=frames.dtype, shape=SHAPE, mask=mask, positions=WHERE, noise=noise)
    ready = Assembled().prepare(spec)
    assert isinstance(ready.chained, tuple)
    made, make = ready.chained
    assert made.noise is not None
    assert not made.noise.flags.writeable
    known = np.zeros((6, 9), bool)
    for place in np.ndindex(6, 9):
        sigma = noise[mask & (place[0] == ROW) & (place[1] == COLUMN)].astype(float)
        known[place] = sigma.size > 0 and (sigma > 0).all()
        if known[place]:
            want = np.sqrt((sigma**2).sum()) / sigma.size
            np.testing.assert_allclose(made.noise[place], want, rtol=1e-6)
    images = np.asarray(make(frames))
    found = Droplets(threshold_sigma=15).prepare(made).compute(images)
    above = (images >= 15 * np.where(known, made.noise, np.inf)) & known
    counts = [ndimage.label(one)[1] for one in above]
    np.testing.assert_array_equal(found["nDroplets"], counts)
    assert 0 < above.sum() < above.size
