from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from smalldata_stream.batch import Array
from smalldata_stream.kernels.center import find_center, fit_rings
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.center import RingCenter
from smalldata_stream.testing.reductions import StateContract

SHAPE = (180, 220)


def rings(x: float, y: float, radii: tuple[float, ...] = (60.0,), seed: int = 0) -> Array:
    """Poisson counts of rings on a background that falls off."""
    row, column = np.indices(SHAPE)
    away = np.hypot(row - y, column - x)
    mean = 3 + 10 * np.exp(-away / 80)
    for k, radius in enumerate(radii):
        mean += (60 - 15 * k) * np.exp(-((away - radius) ** 2) / (2 * 2.5**2))
    image: Array = np.random.default_rng(seed).poisson(mean).astype(float)
    return image


@pytest.mark.parametrize("method", ["hough", "ransac"])
@pytest.mark.parametrize(("x", "y"), [(110.3, 88.8), (30.0, 150.5), (205.7, 95.1)])
def test_the_centre_is_the_simulated_one(method: Any, x: float, y: float) -> None:
    found = find_center(rings(x, y), method=method)
    assert abs(found.x - x) < 0.5
    assert abs(found.y - y) < 0.5
    assert abs(found.radii[0] - 60) < 0.5
    assert found.residual < 3


@pytest.mark.parametrize("method", ["hough", "ransac"])
def test_two_rings_behind_a_beam_stop_with_hot_and_dead_pixels(method: Any) -> None:
    image = rings(110.3, 88.8, (40.0, 75.0))
    mask = np.ones(SHAPE, bool)
    mask[80:, 100:125] = False
    mask[20:50, :] = False
    rng = np.random.default_rng(5)
    mask[rng.random(SHAPE) < 0.02] = False
    image[~mask] = rng.choice([0, 1e6, np.nan], (~mask).sum())
    image[3, 3] = np.inf
    found = find_center(image, mask, method=method, rings=2, percentile=90)
    assert abs(found.x - 110.3) < 0.3
    assert abs(found.y - 88.8) < 0.3
    np.testing.assert_allclose(found.radii, [40, 75], atol=0.4)


@pytest.mark.parametrize("method", ["hough", "ransac"])
def test_the_spot_of_the_beam_is_no_ring(method: Any) -> None:
    image = rings(110.3, 88.8)
    row, column = np.indices(SHAPE)
    image += 2000 * np.exp(-(np.hypot(row - 83, column - 113) ** 2) / 30)  # not quite there
    found = find_center(image, method=method, radius_range=(20, 100))
    assert abs(found.x - 110.3) < 0.3
    assert abs(found.y - 88.8) < 0.3
    assert abs(found.radii[0] - 60) < 0.5


def test_a_threshold_alone_fits_one_clean_ring() -> None:
    image = rings(110.3, 88.8)
    found = find_center(image, method="threshold", percentile=94)
    assert abs(found.x - 110.3) < 0.5
    assert abs(found.y - 88.8) < 0.5
    x, y = np.indices(SHAPE)[::-1] * 0.1
    other = find_center(image, method="threshold", percentile=94, x=x, y=y)
    np.testing.assert_allclose(other[:2], np.array(found[:2]) * 0.1, rtol=1e-9)
    ransac = find_center(image, method="ransac", tolerance=0.3, x=x, y=y)
    np.testing.assert_allclose(ransac[:2], (11.03, 8.88), atol=0.03)


def test_least_squares_are_those_of_scipy() -> None:
    rng = np.random.default_rng(2)
    angle, ring = rng.uniform(0, 4, 200), rng.integers(0, 3, 200)
    radii = np.array([20.0, 33.0, 51.0])
    x = 7 + radii[ring] * np.cos(angle) + rng.normal(0, 0.5, 200)
    y = -4 + radii[ring] * np.sin(angle) + rng.normal(0, 0.5, 200)
    weight = rng.uniform(0.5, 2, 200)

    def off(p: Array) -> Array:
        away = np.hypot(x - p[0], y - p[1]) - p[2:][ring]
        result: Array = np.sqrt(weight) * away
        return result

    want = optimize.least_squares(off, [0, 0, 10, 30, 50], xtol=1e-14, ftol=1e-14).x
    found = fit_rings(x, y, ring, weight)
    np.testing.assert_allclose([found.x, found.y, *found.radii], want, rtol=1e-6)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 20)),
        np.full((20, 20), np.nan),
        np.ones((1, 1)),
        np.eye(20),
        np.arange(90.0)[None],
    ],
)
@pytest.mark.parametrize("method", ["hough", "ransac", "threshold"])
def test_no_rings_are_no_error(image: Array, method: Any) -> None:
    found = find_center(image, method=method)
    assert np.isnan(found.x) or np.isfinite(found.residual)
    assert np.isnan(find_center(image, np.zeros(image.shape, bool), method=method).x)


class TestCenterState(StateContract):
    examples = 6

    def make(self) -> Any:
        spec = Spec(dtype=np.dtype("f8"), shape=SHAPE)
        return RingCenter(method="hough").prepare(spec).start()

    def frames(self) -> Array:
        return np.stack([rings(90, 95, seed=seed) for seed in range(4)])

    def expected(self, frames: Array) -> Mapping[str, Array]:
        names = ("center_xCen", "center_yCen", "center_R", "center_residu")
        if not len(frames):
            return {name: np.array(np.nan) for name in names}
        found = find_center(frames.sum(axis=0) / len(frames))
        assert abs(found.x - 90) < 0.2
        assert abs(found.y - 95) < 0.2
        values = (found.x, found.y, found.radii[0], found.residual)
        return {name: np.array(v) for name, v in zip(names, values, strict=True)}


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"method": "guess"}, "method='guess'"),
        ({"rings": 0}, "rings=0"),
        ({"rings": 2, "method": "threshold"}, "fits one ring"),
        ({"percentile": 100}, "percentile=100"),
        ({"radius_range": (5, 3)}, "radius_range="),
        ({"tolerance": 0}, "tolerance=0"),
        ({"x": np.ones(3)}, "both, or none"),
        ({"x": np.ones(3), "y": np.ones(3)}, "with x and y write 'ransac'"),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        RingCenter(**kwargs)


def test_what_does_not_fit() -> None:
    tiled = Spec(dtype=np.dtype("f4"), shape=(2, 8, 8))
    with pytest.raises(ValueError, match="or x and y of each pixel"):
        RingCenter().prepare(tiled)
    flat = np.ones((8, 8))
    with pytest.raises(ValueError, match="x or y is"):
        RingCenter(method="ransac", x=flat, y=flat).prepare(tiled)
    with pytest.raises(ValueError, match="write 'ransac'"):
        find_center(flat, x=flat, y=flat)
    with pytest.raises(ValueError, match="needs x and y"):
        find_center(np.ones((2, 8, 8)))
