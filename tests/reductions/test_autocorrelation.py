from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from smalldata_stream.batch import Array, Mask
from smalldata_stream.kernels.autocorrelation import fit_speckle
from smalldata_stream.protocols import Accumulated, Spec
from smalldata_stream.reductions.autocorrelation import Autocorrelation
from smalldata_stream.reductions.speckle import SpeckleSize
from smalldata_stream.testing.reductions import (
    Input,
    ReductionContract,
    StateContract,
)
from tests.reductions.frames import DTYPES, as_input, noisy, random_mask, with_bad_values

SHAPE = (19, 22)


def by_definition(image: Array, good: Mask, lags: tuple[int, int]) -> Array:
    """The sums over pairs of pixels, written out for each lag; then the formula."""
    clean = np.where(good, image, 0).astype(float)
    out = np.full((2 * lags[0], 2 * lags[1]), np.nan)
    h, w = image.shape

    def overlap(d: int, n: int) -> tuple[slice, slice]:
        return slice(max(0, -d), n - max(0, d)), slice(max(0, d), n + min(0, d))

    for i, down in enumerate(range(-lags[0], lags[0])):
        for j, right in enumerate(range(-lags[1], lags[1])):
            (r, r2), (c, c2) = overlap(down, h), overlap(right, w)
            first, second = clean[r, c], clean[r2, c2]
            one, other = good[r, c], good[r2, c2]
            number = (one & other).sum()
            below = (first * other).sum() * (one * second).sum()
            if number and abs(below) > 1e-9:
                out[i, j] = (first * second).sum() * number / below
    return out


def by_fft(image: Array, good: Mask, lags: tuple[int, int]) -> Array:
    """The same by numpy's FFT, twice as large, straight from the definition."""
    size = [2 * n for n in image.shape]
    i, m = np.fft.fft2(np.where(good, image, 0), size), np.fft.fft2(good, size)

    def back(product: Array) -> Array:
        whole = np.fft.fftshift(np.fft.ifft2(product).real)
        r, c = size[0] // 2, size[1] // 2
        cut: Array = whole[r - lags[0] : r + lags[0], c - lags[1] : c + lags[1]]
        return cut

    below = back(np.conj(i) * m) * back(i * np.conj(m))
    number = back(abs(m) ** 2).round()
    with np.errstate(all="ignore"):
        return np.where(number > 0, back(abs(i) ** 2) * number / below, np.nan)


class TestAutocorrelation(ReductionContract):
    rtol = 1e-9
    lags = (6, 5)

    def make(self) -> Autocorrelation:
        return Autocorrelation(lags=self.lags)

    def inputs(self) -> Sequence[Input]:
        shape = (3, *SHAPE)
        found = [
            as_input(noisy(shape, dtype) + np.dtype(dtype).type(9)) for dtype in DTYPES
        ]
        bad = with_bad_values(noisy(shape, "f4") + 200)
        found += [as_input(bad, mask=random_mask(SHAPE), frames=True)]
        corner = np.zeros(SHAPE, bool)
        corner[:3, -4:] = True
        found += [as_input(noisy(shape, "f8"), mask=corner)]
        one = np.zeros(SHAPE, bool)
        one[18, 0] = True
        return [*found, as_input(noisy(shape, "f8"), mask=one)]

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        good = mask & np.isfinite(frame)
        return {
            "autocorr": by_definition(frame, good, self.lags),
            "cr": frame[good].mean(dtype=float),
        }


class TestLineouts(TestAutocorrelation):
    def make(self) -> Autocorrelation:
        return Autocorrelation(lags=self.lags, lineouts=True, threshold_adu=(20, 300))

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        good = mask & np.isfinite(frame)
        cut = np.where(good & (frame >= 20) & (frame <= 300), frame, 0)
        whole = by_definition(cut, good, self.lags)
        return {"lineout_h": whole[6], "lineout_v": whole[:, 5]}


def test_it_is_what_numpys_fft_says() -> None:
    frame = noisy((40, 30), "f8") + 300
    mask = random_mask((40, 30))
    spec = Spec(dtype=frame.dtype, shape=frame.shape, mask=mask)
    got = Autocorrelation(lags=(12, 9)).prepare(spec).compute(frame[None])["autocorr"]
    np.testing.assert_allclose(np.asarray(got)[0], by_fft(frame, mask, (12, 9)), rtol=1e-9)


def test_where_nothing_of_the_image_meets_the_mask_there_is_no_number() -> None:
    image = np.zeros((24, 30))
    image[0, 0], image[1, 2], image[3, 1] = 1, 2, 1  # single photons in a corner
    asked = Autocorrelation(lags=(9, 9))
    found = asked.prepare(Spec(dtype=image.dtype, shape=image.shape)).compute(image[None])
    want = by_definition(image, np.ones(image.shape, bool), (9, 9))
    assert np.isnan(want).sum() > 100
    np.testing.assert_allclose(np.asarray(found["autocorr"])[0], want, rtol=1e-9, atol=1e-9)


def test_several_regions_are_each_by_itself() -> None:
    frames = noisy((2, *SHAPE), "f4") + 300
    masks = np.zeros((2, *SHAPE), bool)
    masks[0, :9, :9], masks[1, 4:, 10:] = True, True
    spec = Spec(dtype=frames.dtype, shape=SHAPE)
    both = Autocorrelation(lags=(4, 3), mask=masks).prepare(spec)
    got = both.compute(frames)
    assert both.outputs["autocorr"].shape == (2, 8, 6)
    for k, mask in enumerate(masks):
        one = Autocorrelation(lags=(4, 3), mask=mask).prepare(spec).compute(frames)
        for field in ("autocorr", "cr"):
            np.testing.assert_array_equal(
                np.asarray(got[field])[:, k], np.asarray(one[field])
            )


def speckles(
    n: int, sigma: float, shape: tuple[int, int] = (96, 96), seed: int = 0
) -> Array:
    """Fully developed speckle: |circular Gaussian field of a given width|²."""
    rng = np.random.default_rng(seed)
    field = rng.normal(size=(2, n, *shape))
    field = ndimage.gaussian_filter(field, (0, 0, *(sigma,) * 2), mode="wrap")
    images: Array = (field**2).sum(axis=0)
    images *= 100 / images.mean()
    return images


def test_size_and_contrast_of_speckles_are_the_simulated_ones() -> None:
    # The field has correlation exp(-d²/4s²), the intensity its square: sigma = s, height 1.
    images = speckles(60, 2.0)
    prepared = SpeckleSize(lags=(20, 20)).prepare(Spec(dtype=images.dtype, shape=(96, 96)))
    state = prepared.start()
    state.add(images)
    found = state.value()
    np.testing.assert_allclose(found["speckle_sigma"].value, 2.0, rtol=0.05)
    np.testing.assert_allclose(found["speckle_contrast"].value, 1.0, rtol=0.1)
    assert found["speckle_autocorr"].count == 60
    assert abs(found["speckle_autocorr"].value[20, 20] - 2) < 0.15


class TestSpeckleState(StateContract):
    examples = 12

    def prepared(self) -> Accumulated:
        mask = random_mask((12, 10))
        spec = Spec(dtype=np.dtype("f8"), shape=(12, 10), mask=mask)
        return SpeckleSize(lags=(9, 8)).prepare(spec)

    def make(self) -> Any:
        return self.prepared().start()

    def frames(self) -> Array:
        return noisy((7, 12, 10), "f8") + 200

    def expected(self, frames: Array) -> Mapping[str, Array]:
        state: Any = self.make()
        for frame in frames:
            state.add(frame[None])
        totals: Mapping[str, Array] = {f: r.value for f, r in state.value().items()}
        if len(frames):
            mask = random_mask((12, 10))
            clean = np.where(mask, frames, 0)
            size = (24, 20)
            i = np.fft.fft2(clean, size)
            m, mean = np.fft.fft2(mask, size), np.fft.fft2(clean.mean(axis=0), size)

            def back(product: Array) -> Array:
                whole = np.fft.fftshift(np.fft.ifft2(product).real)
                return np.asarray(whole[3:21, 2:18])

            below = back(np.conj(mean) * m) * back(mean * np.conj(m))
            want = back((abs(i) ** 2).mean(axis=0)) * back(abs(m) ** 2).round() / below
            np.testing.assert_allclose(totals["speckle_autocorr"], want, rtol=1e-9)
        return totals


class TestBrightSpeckleState(TestSpeckleState):
    """Of so much light that its power is more than one exact sum can hold."""

    examples = 6

    def frames(self) -> Array:
        return np.asarray(1e9 * super().frames())


def test_an_event_with_a_bad_pixel_is_not_added() -> None:
    prepared = SpeckleSize(lags=(3, 3)).prepare(Spec(dtype=np.dtype("f8"), shape=(9, 9)))
    state = prepared.start()
    state.add(np.ones((1, 9, 9)))
    bad = np.ones((2, 9, 9))
    bad[1, 4, 4] = np.nan
    with pytest.raises(ValueError, match="put it into the mask"):
        state.add(bad)
    assert state.value()["speckle_autocorr"].count == 1


def test_a_line_without_lags_has_no_fit() -> None:
    assert np.isnan(fit_speckle(np.array([np.nan, 2.0, 1.0, np.nan]))).all()


@pytest.mark.parametrize("lags", [3, (0, 1), (1, 2, 3), ("a", 1)])
def test_wrong_lags(lags: Any) -> None:
    with pytest.raises(ValueError, match=r"lags=.*write \(rows, columns\)"):
        Autocorrelation(lags=lags)
    with pytest.raises(ValueError, match="lags="):
        SpeckleSize(lags=lags)


def test_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="Choose a tile"):
        Autocorrelation().prepare(Spec(dtype=np.dtype("f4"), shape=(2, 8, 8)))
    nothing = np.zeros((8, 8), bool)
    with pytest.raises(ValueError, match="no pixel is good"):
        Autocorrelation(mask=nothing).prepare(Spec(dtype=np.dtype("f4"), shape=(8, 8)))
    with pytest.raises(ValueError, match="the mask is"):
        Autocorrelation(mask=nothing).prepare(Spec(dtype=np.dtype("f4"), shape=(8, 9)))
