from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from smalldata_stream.batch import Array
from smalldata_stream.kernels import contrast as kernels
from smalldata_stream.protocols import Accumulated, Spec, State
from smalldata_stream.reductions.contrast import Contrast
from smalldata_stream.testing.reductions import StateContract

SHAPE = (20, 30)


def speckle(
    events: int, kbar: float, beta: float, shape: tuple[int, ...] = SHAPE, seed: int = 0
) -> Array:
    rng = np.random.default_rng(seed)
    modes = 1 / beta
    p = modes / (modes + kbar)
    return rng.negative_binomial(modes, p, (events, *shape)).astype(np.uint16)


def started(asked: Contrast, shape: tuple[int, ...] = SHAPE, **more: Any) -> State:
    prepared = asked.prepare(Spec(dtype=np.dtype("u2"), shape=shape, **more))
    assert isinstance(prepared, Accumulated)
    return prepared.start()


class TestNumbers(StateContract):
    edges = (0.0, 0.1, 0.3, 5.0)
    rois = (((0, 20), (0, 30)), ((5, 20), (10, 30)))

    def make(self) -> State:
        return started(Contrast(self.edges, rois=self.rois))

    def frames(self) -> Array:
        return np.concatenate(
            [speckle(4, 0.2, 0.5), speckle(3, 0.05, 0.5), speckle(2, 60, 0.5)]
        )

    def expected(self, frames: Array) -> Mapping[str, Array]:
        bins = (2, 3)
        counts = np.zeros((*bins, 32), np.int64)
        photons, events = np.zeros(bins, np.int64), np.zeros(bins, np.int64)
        for frame in frames:
            for k, part in enumerate((frame, frame[5:, 10:])):
                (at,) = np.nonzero(np.histogram([part.mean()], self.edges)[0])
                if at.size:
                    counts[k, at[0]] += np.bincount(part.clip(0, 31).ravel(), minlength=32)
                    photons[k, at[0]] += part.sum(dtype=int)
                    events[k, at[0]] += 1
        pixels = counts.sum(-1)
        kbar = np.divide(photons, pixels, out=np.full(bins, np.nan), where=pixels > 0)
        fits = [
            [kernels.contrast(counts[i, j], kbar[i, j]) for j in range(3)] for i in (0, 1)
        ]
        found = {
            "counts": counts, "photons": photons, "pixels": pixels, "events": events,
            "kbar": kbar, "beta": np.array(fits)[..., 0], "error": np.array(fits)[..., 1],
            "edges": np.array(self.edges),
        }  # fmt: skip
        return {f"contrast_{name}": value.copy() for name, value in found.items()}


@pytest.mark.parametrize("kbar", [0.02, 0.3, 2.0])
@pytest.mark.parametrize("beta", [0.15, 0.5, 1.0])
def test_the_likelihood_is_largest_where_scipy_finds_it(kbar: float, beta: float) -> None:
    counts = np.bincount(speckle(1, kbar, beta, (300, 400)).ravel())
    mean = float(counts @ np.arange(len(counts)) / counts.sum())

    def loss(b: float) -> float:
        k = np.arange(len(counts))
        return -float(counts @ stats.nbinom.logpmf(k, 1 / b, 1 / (1 + b * mean)))

    want = optimize.minimize_scalar(loss, bounds=(1e-3, 5), options={"xatol": 1e-9})
    found, error = kernels.contrast(counts, mean)
    assert found == pytest.approx(want.x, rel=2e-4, abs=2e-6)
    # The curvature of the same function, by differences.
    h = 0.02 * found
    curvature = (loss(found + h) - 2 * loss(found) + loss(found - h)) / h**2
    assert error == pytest.approx(curvature**-0.5, rel=0.02)


def test_the_true_contrast_is_found_within_its_error() -> None:
    pulls = []
    for seed in range(60):
        state = started(Contrast(), (60, 80))
        state.add(speckle(10, 0.1, 0.4, (60, 80), seed))
        totals = {field: result.value for field, result in state.value().items()}
        pulls.append((totals["contrast_beta"][0] - 0.4) / totals["contrast_error"][0])
    assert abs(np.mean(pulls)) < 4 / np.sqrt(len(pulls))
    assert 0.75 < np.std(pulls) < 1.3


def test_photons_that_are_not_bunched() -> None:
    alternating = np.indices((1, *SHAPE)).sum(axis=0).astype(np.uint16) % 2
    state = started(Contrast())
    state.add(alternating)
    totals = state.value()
    assert totals["contrast_beta"].value.tolist() == [0]
    assert totals["contrast_kbar"].value.tolist() == [0.5]
    # Of the likelihood, known for beta >= 0 alone, 0 is no peak: there is no error.
    counts = np.array([alternating.size, alternating.size]) / 2

    def loss(b: float) -> float:
        k = np.arange(2)
        if b == 0:
            return -float(counts @ stats.poisson.logpmf(k, 0.5))
        return -float(counts @ stats.nbinom.logpmf(k, 1 / b, 1 / (1 + 0.5 * b)))

    assert loss(4e-3) - 2 * loss(2e-3) + loss(0) < 0
    assert np.isnan(totals["contrast_error"].value[0])


def test_without_photons_without_events_and_without_good_pixels() -> None:
    for state, events in (
        (started(Contrast()), 0),
        (started(Contrast()), 3),
        (started(Contrast(), mask=np.zeros(SHAPE, bool)), 3),
    ):
        state.add(np.zeros((events, *SHAPE), np.uint16))
        totals = state.value()
        assert np.isnan(totals["contrast_beta"].value).all()
        assert totals["contrast_beta"].count == events


def test_bad_pixels_do_not_count() -> None:
    frames = speckle(4, 0.3, 0.5)
    mask = np.random.default_rng(1).random(SHAPE) > 0.3
    cases: list[tuple[Contrast, dict[str, Any]]] = [
        (Contrast(mask=mask), {}),
        (Contrast(), {"mask": mask}),
    ]
    for asked, more in cases:
        clean, dirty = started(asked, **more), started(asked, **more)
        clean.add(frames)
        dirty.add(np.where(mask, frames, 900).astype(np.uint16))
        for field, result in clean.value().items():
            np.testing.assert_array_equal(result.value, dirty.value()[field].value)
        assert clean.value()["contrast_pixels"].value[0] == 4 * mask.sum()


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "u4", "u8"])
def test_whole_numbers_of_any_dtype(dtype: str) -> None:
    images = np.array([[[0, 1, 3], [1, 0, 99]]], dtype)
    state = Contrast().prepare(Spec(dtype=images.dtype, shape=(2, 3))).start()
    state.add(images)
    found = state.value()
    assert found["contrast_photons"].value.tolist() == [104]
    counts = found["contrast_counts"].value[0]
    assert (counts[:4].tolist(), counts[-1]) == ([2, 2, 0, 1], 1)


def test_states_of_other_bins_do_not_merge() -> None:
    with pytest.raises(ValueError, match="other bins"):
        started(Contrast()).merge(started(Contrast((0, 1, 2))))


def test_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        Contrast().prepare(Spec(dtype=np.dtype("f4"), shape=SHAPE))
    with pytest.raises(ValueError, match="not in the frame"):
        started(Contrast(rois=[[[0, 21], [0, 5]]]))
    with pytest.raises(ValueError, match=r"rois=.* write a list of regions"):
        Contrast(rois=[[0, 21], [0, 5]])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="bins="):
        Contrast((1, 0, 3))
    with pytest.raises(ValueError, match="where=5"):
        Contrast(where=5)  # type: ignore[arg-type]
