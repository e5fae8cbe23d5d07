from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalldata_stream.batch import Array, Frames, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.photons import Photons
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import as_input, random_mask, unaligned, with_bad_values


def by_hand(
    frame: Array, good: Mask, adu: float, fraction: float = 0.9, low: float = -np.inf
) -> Array:
    """The rule of the algorithm, pixel by pixel, in Python."""
    kind: Any = np.float32 if frame.dtype == np.float32 else np.float64
    ok = good & np.isfinite(frame.astype(float)) & (frame >= low) & (frame > 0)
    v = np.where(ok, frame, 0).astype(kind) / kind(adu)
    photons = np.floor(v)
    rest = (v - photons).reshape(-1, *v.shape[-2:])
    counts = photons.reshape(rest.shape)
    for f, n in zip(rest, counts, strict=True):
        used = np.zeros(f.shape, bool)
        for r, c in np.ndindex(f.shape):
            around = [(r - 1, c), (r, c - 1), (r, c + 1), (r + 1, c)]
            around = [(i, j) for i, j in around
                      if 0 <= i < f.shape[0] and 0 <= j < f.shape[1]]  # fmt: skip
            if f[r, c] < 0.5 or used[r, c] or any(f[at] > f[r, c] for at in around):
                continue
            free = [at for at in around if not used[at]]
            best = max(free, key=lambda at: f[at]) if free else None
            if f[r, c] + (f[best] if best else kind(0)) >= kind(fraction):
                n[r, c] += 1
                used[r, c] = True
                if best:
                    used[best] = True
    image: Array = np.minimum(counts, 65535).reshape(frame.shape).astype(np.uint16)
    return image


def shared(shape: tuple[int, ...], mean: float, seed: int) -> Array:
    """Photons of 100 ADU, the charge of each over two pixels, and noise."""
    rng = np.random.default_rng(seed)
    photons = rng.poisson(mean, shape)
    own = rng.uniform(0.4, 1.0, shape)
    frame = photons * own + np.roll(photons * (1 - own), 1, axis=-1)
    return (100 * frame + rng.normal(0, 4, shape)).astype(np.float32)


class TestPhotons(ReductionContract):
    def make(self) -> Photons:
        return Photons(adu_per_photon=100, image=True)

    def inputs(self) -> Sequence[Input]:
        shape = (30, 150)
        frames = np.stack([shared(shape, mean, s) for s, mean in enumerate((0.02, 0.5, 4))])
        mask = random_mask(shape)
        found = [as_input(frames), as_input(frames, frames=True, mask=mask)]
        found += [as_input(frames.clip(0).astype(t), mask=mask) for t in ("u2", "i4")]
        found += [as_input(with_bad_values(frames.astype("f8")), mask=mask)]
        tiles = np.stack([shared((3, 11, 14), 0.3, s) for s in (7, 8)])
        found += [as_input(with_bad_values(tiles)), as_input(unaligned(tiles), frames=True)]
        large = np.stack([shared((200, 200), 0.05, s) for s in (3, 4)])
        return [*found, as_input(large, frames=True)]

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        image = by_hand(frame, mask, 100)
        return {"nPhot": image.sum(dtype=np.int64), "img": image}


class TestWithThreshold(TestPhotons):
    def make(self) -> Photons:
        return Photons(adu_per_photon=90, fraction=0.8, threshold_adu=30)

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        image = by_hand(frame, mask, 90, 0.8, 30)
        return {"nPhot": image.sum(dtype=np.int64), "image": image}


def counted(frame: Array, mask: Mask | None = None, **parameters: Any) -> Array:
    spec = Spec(dtype=frame.dtype, shape=frame.shape, mask=mask)
    results = (
        Photons(**({"adu_per_photon": 10} | parameters)).prepare(spec).compute(frame[None])
    )
    image = results["image"]
    assert isinstance(image, (Frames, np.ndarray))
    first: Array = image[0]
    return first


pixel = st.one_of(
    st.integers(-3, 25).map(float),
    st.sampled_from([np.nan, np.inf, -np.inf, 4.5, 5.5, 1e9]),
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_small_frame(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
    frame = data.draw(hnp.arrays(np.float32, shape, elements=pixel))
    mask = data.draw(hnp.arrays(bool, shape))
    assert counted(frame, mask).tolist() == by_hand(frame, mask, 10).tolist()
    other = np.where(mask, frame, data.draw(hnp.arrays(np.float32, shape, elements=pixel)))
    assert counted(other, mask).tolist() == counted(frame, mask).tolist()


def test_every_photon_of_a_bright_frame_is_found() -> None:
    rng = np.random.default_rng(2)
    truth = rng.poisson(3, (100, 130))
    frame = (10 * truth + rng.normal(0, 0.3, truth.shape)).astype(np.float32)
    found = counted(frame + np.float32(0.05))
    assert np.mean(found == truth) > 0.55  # floor: half of the pixels are below
    assert abs(counted(frame + np.float32(1.5)).sum() / truth.sum() - 1) < 1e-3


def test_more_photons_than_can_be_told() -> None:
    assert counted(np.array([[1e7, 1e30, 5]], np.float32)).tolist() == [[65535, 65535, 0]]


def test_waveforms_have_photons_too() -> None:
    assert counted(np.array([6, 3.5, 0, 20], np.float32)).tolist() == [1, 0, 0, 2]


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"adu_per_photon": 0}, "adu_per_photon=0"),
        ({"adu_per_photon": "x"}, "adu_per_photon='x'"),
        ({"fraction": 3}, "fraction=3"),
        ({"threshold_adu": "x"}, "threshold_adu='x'"),
        ({"threshold_adu": float("nan")}, "threshold_adu=nan"),
        ({"name": "a/b"}, "name='a/b'"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Photons(**({"adu_per_photon": 10} | parameters))
