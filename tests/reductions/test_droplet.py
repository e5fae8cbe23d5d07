from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from smalldata_stream.batch import Array, Mask, Ragged
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions.droplet import Droplets
from smalldata_stream.reductions.roi import Roi
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import as_input, random_mask, unaligned, with_bad_values

EDGES = ndimage.generate_binary_structure(2, 1)
CORNERS = ndimage.generate_binary_structure(2, 2)


def photons(shape: tuple[int, ...], occupancy: float, seed: int = 0) -> Array:
    """Noise and photons of 100 ADU, each on up to four pixels."""
    rng = np.random.default_rng(seed)
    frame = rng.normal(0, 2, shape)
    for _ in range(int(occupancy * frame.size)):
        *tile, r, c = (rng.uniform(0, n - 1) for n in shape)
        at = tuple(map(int, tile))
        for dr, dc in np.ndindex(2, 2):
            part = abs(1 - dr - r % 1) * abs(1 - dc - c % 1)
            frame[(*at, int(r) + dr, int(c) + dc)] += 100 * part
    return frame.astype(np.float32)


def by_scipy(
    frame: Array,
    good: Mask,
    high: Any,
    low: Any,
    structure: Array = EDGES,
    top: float = math.inf,
) -> list[tuple[float, float, float, int, int, frozenset[int]]]:
    """(adu, row, col, npix, tile, pixels) of every droplet, in any order."""
    tiles = frame.reshape(-1, *frame.shape[-2:])
    high, low, good = (np.broadcast_to(a, frame.shape).reshape(tiles.shape)
                       for a in (high, low, good))  # fmt: skip
    found = []
    numbers = np.arange(frame.size).reshape(tiles.shape)
    for t, image in enumerate(tiles):
        ok = good[t] & np.isfinite(image.astype(float)) & (image <= top)
        seeds = ok & (image >= high[t])
        inside = ndimage.binary_dilation(seeds, structure) & ok & (image >= low[t])
        labels, n = ndimage.label(inside, structure)
        clean = np.where(inside, image, 0).astype(float)
        for label in range(1, n + 1):
            at = labels == label
            centre = ndimage.center_of_mass(clean, labels, label)
            adu = ndimage.sum(clean, labels, label)
            pixel = frozenset(numbers[t][at].tolist())
            found.append((adu, *centre, np.count_nonzero(at), t, pixel))
    return found


def droplets_of(results: Mapping[str, Any], event: int) -> list[tuple[Any, ...]]:
    fields = ("adu", "row", "col", "npix", "tile")
    lists = [results[field][event] for field in fields]
    ends = np.cumsum(results["npix"][event])[:-1]
    pixel = np.split(results["pixel"][event], ends) if len(lists[0]) else []
    sets = [frozenset(one.tolist()) for one in pixel]
    return list(zip(*lists, sets, strict=True))


def check_same(got: list[tuple[Any, ...]], want: list[tuple[Any, ...]]) -> None:
    got, want = (sorted(one, key=lambda d: min(d[-1])) for one in (got, want))
    assert [d[-1] for d in got] == [d[-1] for d in want]
    assert [d[3:5] for d in got] == [d[3:5] for d in want]
    if want:
        first, second = (np.array([d[:3] for d in one], float) for one in (got, want))
        np.testing.assert_allclose(first, second, rtol=1e-6, atol=1e-5)


class TestDroplets(ReductionContract):
    high, low = 20.0, 8.0

    def make(self) -> Droplets:
        return Droplets(threshold_adu=self.high, threshold_low_adu=self.low)

    def inputs(self) -> Sequence[Input]:
        frames = np.stack([photons((40, 50), o, s) for s, o in enumerate((0.001, 0.05, 0))])
        mask = random_mask((40, 50))
        tiles = np.stack([photons((3, 12, 14), 0.03, s) for s in (7, 8)])
        found = [as_input(frames), as_input(frames, frames=True, mask=mask)]
        found += [as_input(frames.clip(0).astype(t), mask=mask) for t in ("u2", "i4")]
        found += [as_input(with_bad_values(frames.astype("f8")), mask=mask)]
        found += [as_input(with_bad_values(tiles)), as_input(unaligned(tiles), frames=True)]
        return found

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        number = len(by_scipy(frame, mask, self.high, self.low))
        return {"nDroplets_all": number, "nDroplets": number}

    def test_droplets_are_those_of_scipy(self) -> None:
        for spec, frames in self.inputs():
            mask = np.ones(spec.shape or (), bool) if spec.mask is None else spec.mask
            results = self.prepared(spec).compute(frames)
            for event, frame in enumerate(frames):
                want = by_scipy(frame, mask, self.high, self.low)
                check_same(droplets_of(results, event), want)


class TestFixedLength(TestDroplets):
    def make(self) -> Droplets:
        return Droplets(
            threshold_adu=self.high, threshold_low_adu=self.low, n_data=4, name="d"
        )

    def test_lists_are_cut_and_filled(self) -> None:
        spec, frames = self.inputs()[0]
        results: Mapping[str, Any] = self.prepared(spec).compute(frames)
        some = [len(results["adu"][event]) for event in range(3)]
        assert min(some) < 4 < max(some)
        for name in ("data", "row", "col", "npix", "tile"):
            ragged: Any = results["adu" if name == "data" else name]
            for event in range(3):
                fixed: Any = results[f"sparse/{name}"]
                want = np.zeros(4, ragged.dtype)
                want[: len(ragged[event])] = ragged[event][:4]
                assert fixed[event].tolist() == want.tolist()


def found_in(
    frame: Array, mask: Mask | None = None, **parameters: Any
) -> Mapping[str, Any]:
    spec = Spec(dtype=frame.dtype, shape=frame.shape, mask=mask)
    prepared = Droplets(**parameters).prepare(spec)
    assert isinstance(prepared, PerEvent)
    return prepared.compute(frame[None])


@pytest.mark.parametrize("occupancy", [0.001, 0.01, 0.05])
@pytest.mark.parametrize(("connectivity", "structure"), [(4, EDGES), (8, CORNERS)])
def test_large_frames(occupancy: float, connectivity: int, structure: Array) -> None:
    frame = photons((150, 200), occupancy)
    results = found_in(
        frame, threshold_adu=15, threshold_low_adu=6, connectivity=connectivity
    )
    want = by_scipy(frame, np.ones(frame.shape, bool), 15, 6, structure)
    check_same(droplets_of(results, 0), want)


def test_a_droplet_across_the_whole_of_a_large_frame() -> None:
    frame = photons((2, 180, 1100), 0.002)
    # A line from the first row to the last and back, many bands of rows long.
    for tile in frame:
        tile[:, 7] = tile[-1, 7:500] = tile[5:, 500] = 30
    results = found_in(frame, threshold_adu=25, threshold_low_adu=10)
    want = by_scipy(frame, np.ones(frame.shape, bool), 25, 10)
    assert max(results["npix"][0]) > 800
    check_same(droplets_of(results, 0), want)


pixel = st.one_of(
    st.integers(0, 9).map(float), st.sampled_from([np.nan, np.inf, -np.inf, -3.0, 50.0])
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_small_frame(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
    frame = data.draw(hnp.arrays(np.float32, shape, elements=pixel))
    mask = data.draw(hnp.arrays(bool, shape))
    low = data.draw(st.sampled_from([0.5, 2.0, 4.0]))
    connectivity = data.draw(st.sampled_from([4, 8]))
    asked: dict[str, Any] = {"connectivity": connectivity, "pixel_max_adu": 20}
    structure = EDGES if connectivity == 4 else CORNERS
    if data.draw(st.booleans()):
        noise = data.draw(
            hnp.arrays(np.float32, shape, elements=st.sampled_from([0, 1, 2]))
        )
        asked |= {"threshold_sigma": 4, "threshold_low_sigma": low, "noise_adu": noise}
        good, limits = mask & (noise > 0), (4 * noise, low * noise)
    else:
        asked |= {"threshold_adu": 4, "threshold_low_adu": low}
        good, limits = mask, (np.full(shape, 4.0), np.full(shape, low))
    results = found_in(frame, mask, **asked)
    want = by_scipy(frame, good, *limits, structure, 20)
    check_same(droplets_of(results, 0), want)


def test_bad_pixels_are_in_no_droplet() -> None:
    frame = photons((30, 30), 0.05)
    bad = np.random.default_rng(3).random(frame.shape) < 0.2
    dirty = np.where(bad, np.float32(1e6), frame)
    clean = found_in(np.where(bad, np.float32(0), frame), threshold_adu=10)
    masked = found_in(dirty, ~bad, threshold_adu=10)
    with_nan = found_in(np.where(bad, np.float32(np.nan), frame), threshold_adu=10)
    saturated = found_in(dirty, threshold_adu=10, pixel_max_adu=1e5)
    by_user = found_in(dirty, threshold_adu=10, mask=~bad)
    for other in (masked, with_nan, saturated, by_user):
        for field, values in clean.items():
            np.testing.assert_array_equal(np.asarray(other[field][0]), values[0])


def test_all_bad_one_pixel_all_above_and_none_above() -> None:
    one = np.full((1, 1), 7, np.float32)
    assert found_in(one, np.zeros((1, 1), bool), threshold_adu=5)["nDroplets"][0] == 0
    assert found_in(one, threshold_adu=7)["adu"][0].tolist() == [7]
    assert found_in(one, threshold_adu=7.5)["adu"][0].tolist() == []
    full = np.full((2, 70, 130), 65535, np.uint16)
    results = found_in(full, threshold_adu=1)
    assert results["npix"][0].tolist() == [9100, 9100]
    assert results["adu"][0].tolist() == [np.float32(9100 * 65535)] * 2
    assert (results["row"][0].tolist(), results["col"][0].tolist()) == (
        [34.5] * 2,
        [64.5] * 2,
    )


@pytest.mark.parametrize("dtype", ["u2", "i2", "f4"])
def test_a_threshold_above_what_the_dtype_holds_finds_nothing(dtype: str) -> None:
    kind = np.dtype(dtype)
    most = np.finfo(kind).max if kind.kind == "f" else np.iinfo(kind).max
    frame = np.zeros((3, 4), kind)
    frame[1, 1] = most
    assert found_in(frame, threshold_adu=float(most))["nDroplets"][0] == 1
    above = found_in(frame, threshold_adu=2 * float(most), threshold_low_adu=1)
    assert above["nDroplets"][0] == 0


def test_droplets_are_left_out_by_their_sum() -> None:
    frame = np.zeros((5, 9), np.float32)
    frame[1, 1], frame[3, 3], frame[3, 4], frame[1, 7] = 10, 20, 5, 99
    results = found_in(frame, threshold_adu=4, droplet_adu=(11, 50))
    assert (results["nDroplets_all"][0], results["nDroplets"][0]) == (3, 1)
    assert results["adu"][0].tolist() == [25]
    assert results["pixel"][0].tolist() == [30, 31]
    assert results["pixel_adu"][0].tolist() == [20, 5]
    assert found_in(frame, threshold_adu=4, droplet_adu=11)["nDroplets"][0] == 2


def test_lists_can_be_left_unwritten() -> None:
    spec = Spec(dtype=np.dtype("f4"), shape=(4, 4))
    prepared = Droplets(threshold_adu=4, sparse=False).prepare(spec)
    assert list(prepared.outputs) == ["nDroplets_all", "nDroplets"]
    assert prepared.chained == "adu"
    results = prepared.compute(np.full((1, 4, 4), 5, np.float32))
    assert isinstance(results["adu"], Ragged)
    assert results["adu"][0].tolist() == [80]


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({}, "write threshold_adu, or threshold_sigma"),
        ({"threshold_adu": 5, "threshold_sigma": 3}, "write threshold_adu, or"),
        ({"threshold_adu": 5, "threshold_low_sigma": 3}, "in the same unit"),
        ({"threshold_adu": 5, "noise_adu": np.ones((2, 2))}, "is for threshold_sigma"),
        ({"threshold_adu": 5, "threshold_low_adu": 6}, "0 < low <= high"),
        ({"threshold_adu": 0}, "0 < low"),
        ({"threshold_adu": "5"}, "write numbers"),
        ({"threshold_adu": 5, "connectivity": 6}, "write 4 or 8"),
        ({"threshold_adu": 5, "n_data": 0}, "n_data=0"),
        ({"threshold_adu": 5, "droplet_adu": (5, 1)}, r"droplet_adu=\(5, 1\)"),
        ({"threshold_adu": 5, "pixel_max_adu": "x"}, "pixel_max_adu='x'"),
        ({"threshold_adu": 5, "pixel_max_adu": np.nan}, "pixel_max_adu=nan"),
        ({"threshold_adu": 5, "name": "a/b"}, "name='a/b'"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Droplets(**parameters)


def test_noise_is_that_of_the_detector_unless_it_is_given() -> None:
    frame = photons((20, 30), 0.02)
    noise = np.random.default_rng(1).uniform(0, 4, frame.shape).astype(np.float32)
    known = Spec(dtype=frame.dtype, shape=frame.shape, noise=noise)
    asked: dict[str, Any] = {"threshold_sigma": 5, "threshold_low_sigma": 3}
    found = Droplets(**asked).prepare(known).compute(frame[None])
    want = by_scipy(frame, noise > 0, 5 * noise, 3 * noise)
    assert len(want) > 3
    check_same(droplets_of(found, 0), want)
    other = Droplets(**asked, noise_adu=2 * noise).prepare(known).compute(frame[None])
    doubled = by_scipy(frame, noise > 0, 10 * noise, 6 * noise)
    check_same(droplets_of(other, 0), doubled)
    roi = Roi("part", [[2, 17], [3, 30]]).prepare(known)
    assert isinstance(roi.chained, tuple)
    area, cut = roi.chained
    inside = Droplets(**asked).prepare(area).compute(cut(frame[None]))
    noise = noise[2:17, 3:]
    want = by_scipy(frame[2:17, 3:], noise > 0, 5 * noise, 3 * noise)
    check_same(droplets_of(inside, 0), want)


def test_what_does_not_fit_the_frame() -> None:
    unknown = Spec(dtype=np.dtype("f4"), shape=(4, 5))
    with pytest.raises(ValueError, match="threshold_sigma needs the noise of each pixel"):
        Droplets(threshold_sigma=5).prepare(unknown)
    noisy = Droplets(threshold_sigma=5, noise_adu=np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"noise_adu is \(2, 2\), the frame \(4, 5\)"):
        noisy.prepare(Spec(dtype=np.dtype("u2"), shape=(4, 5)))
    with pytest.raises(ValueError, match="rows and columns"):
        Droplets(threshold_adu=5).prepare(Spec(dtype=np.dtype("u2"), shape=(4,)))
    with pytest.raises(ValueError, match="more than 2\\^31"):
        Droplets(threshold_adu=5).prepare(Spec(dtype=np.dtype("u2"), shape=(70000, 70000)))
