"""The noise of calibrated frames: rms of the constants, in the unit of the frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.protocols import Spec

JUNGFRAU, CAMERA = (1, 512, 1024), (30, 40)
RNG = np.random.default_rng(2)


def random(*shape: int) -> Array:
    return RNG.uniform(1, 3, shape).astype(np.float32)


def noise_of(kind: str, shape: tuple[int, ...], have: Constants, **asked: Any) -> Array:
    raw = Spec(dtype=np.dtype("u2"), shape=shape)
    noise = Calibration(**asked).prepare(kind, raw, have).outputs[""].noise
    assert noise is not None
    assert not noise.flags.writeable
    return noise


def test_where_pixels_switch_it_is_that_of_the_first_gain() -> None:
    gain = random(3, *JUNGFRAU) * np.array([41, -1.4, -0.1], "f4").reshape(3, 1, 1, 1)
    rms = random(3, *JUNGFRAU)
    have = Constants(
        detector="j", pedestals=random(3, *JUNGFRAU), pixel_gain=gain, pixel_rms=rms
    )
    in_kev = noise_of("jungfrau", JUNGFRAU, have)
    np.testing.assert_allclose(in_kev, rms[0] / gain[0], rtol=1e-6)
    in_adu = noise_of("jungfrau", JUNGFRAU, have, calibration="pedestal")
    np.testing.assert_array_equal(in_adu, rms[0])
    half = noise_of("jungfrau", JUNGFRAU, have, local_gain=0.5)
    np.testing.assert_allclose(half, rms[0] / gain[0] / 2, rtol=1e-6)


def test_a_camera_and_a_bad_pixel() -> None:
    gain, rms = random(*CAMERA), random(*CAMERA)
    mask = np.ones(CAMERA, bool)
    mask[3, 4] = False
    have = Constants(
        detector="c", pedestals=random(*CAMERA), pixel_gain=gain, pixel_rms=rms
    )
    noise = noise_of("opal", CAMERA, have, mask=mask)
    assert noise[3, 4] == 0
    np.testing.assert_allclose(noise[mask], (rms / gain)[mask], rtol=1e-6)


def test_constants_without_noise() -> None:
    have = Constants(detector="c", pedestals=random(*CAMERA))
    raw = Spec(dtype=np.dtype("u2"), shape=CAMERA)
    assert Calibration().prepare("opal", raw, have).outputs[""].noise is None
