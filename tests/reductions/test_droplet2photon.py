from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalldata_stream.batch import Array, Frames, Mask, Values, take
from smalldata_stream.cli import main
from smalldata_stream.h5 import read_tree
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions.droplet import Droplets
from smalldata_stream.reductions.droplet2photon import Droplet2Photon
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate
from smalldata_stream.testing.reductions import same_bits
from tests.reductions.test_droplet import photons as frame_of_photons


def greedy(adu: Mapping[tuple[int, int], float], one: float) -> list[tuple[float, float]]:
    """The photons of a droplet, given its pixels: the rule, in Python."""
    total = sum(adu.values())
    number = int(np.floor(np.float32(total) / one + 0.5))
    if number == 1:
        return [
            (sum(r * v for (r, _), v in adu.items()) / total,
             sum(c * v for (_, c), v in adu.items()) / total)
        ]  # fmt: skip
    left, found = {}, []
    for at in sorted(adu):
        f = adu[at] / one
        found += [(float(at[0]), float(at[1]))] * int(np.floor(f))
        left[at] = f - np.floor(f)
    while len(found) < number:
        at = max(left, key=lambda p: (left[p], -p[0], -p[1]))
        missing, left[at] = 1 - left[at], 0.0
        steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]
        around = [s for s in steps if left.get((at[0] + s[0], at[1] + s[1]), 0) > 0]
        move = max(around, key=lambda s: left[at[0] + s[0], at[1] + s[1]], default=(0, 0))
        to = (at[0] + move[0], at[1] + move[1])
        found.append((at[0] + missing * move[0], at[1] + missing * move[1]))
        if move != (0, 0):
            left[to] = max(left[to] - missing, 0.0)
    return found[:number]


def ready(
    spec: Spec, asked: Droplet2Photon, droplets: Droplets
) -> tuple[PerEvent, PerEvent]:
    found = droplets.prepare(spec)
    made = asked.prepare(*(found.inner[field] for field in asked.takes))
    return found, made


def photons_in(
    frames: Values, spec: Spec, droplets: Droplets, **parameters: Any
) -> tuple[Mapping[str, Any], Mapping[str, Any], Any]:
    """What droplets give, what photons of them give, and the images."""
    asked = Droplet2Photon(**({"adu_per_photon": 100} | parameters))
    found, made = ready(spec, asked, droplets)
    lists = found.compute(frames)
    inputs = [lists[field] for field in asked.takes]
    assert isinstance(made.chained, tuple)
    return lists, made.compute(*inputs), made.chained[1](*inputs)


def check(frames: Array, mask: Mask | None, droplets: Droplets) -> None:
    shape = frames.shape[1:]
    spec = Spec(dtype=frames.dtype, shape=shape, mask=mask)
    lists, results, images = photons_in(frames, spec, droplets)
    good = np.ones(shape, bool) if mask is None else mask
    rows, columns = shape[-2:]
    for event in range(len(frames)):
        want: list[tuple[int, float, float]] = []
        ends = np.cumsum(lists["npix"][event])[:-1]
        if len(lists["npix"][event]):
            pixels = np.split(lists["pixel"][event], ends)
            values = np.split(lists["pixel_adu"][event], ends)
            for p, v, t in zip(pixels, values, lists["tile"][event], strict=True):
                at = [(int(i) // columns - t * rows, int(i) % columns) for i in p]
                adu = dict(zip(at, v.astype(float).tolist(), strict=True))
                want += [(int(t), r, c) for r, c in greedy(adu, 100)]
        got = np.array([results[f"sparse/{a}"][event] for a in ("tile", "row", "col")]).T
        assert results["nPhotons"][event] == len(want) == len(got)
        image = np.zeros((good.reshape(-1, rows, columns).shape), int)
        if want:
            order = np.lexsort(np.round(got, 3).T[::-1])
            wanted = np.array(want)[np.lexsort(np.round(want, 3).T[::-1])]
            np.testing.assert_allclose(got[order], wanted, atol=2e-3)
        for t, r, c in got:
            place = (
                np.floor([r + 0.5, c + 0.5]).astype(int).clip(0, (rows - 1, columns - 1))
            )
            image[int(t), *place] += 1
        image = image.reshape(shape) * good
        assert np.array_equal(images[event], image)
        part = (
            [np.mean(image[good] == k) for k in range(11)] if good.any() else [np.nan] * 11
        )
        np.testing.assert_allclose(results["prob"][event], part)
        mean = image[good].mean() if good.any() else np.nan
        np.testing.assert_allclose(results["kbar"][event], mean)
        assert results["sparse/data"][event].tolist() == [1] * len(want)


@pytest.mark.parametrize("occupancy", [0.001, 0.01, 0.05])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_photons_are_those_of_the_rule(occupancy: float, connectivity: int) -> None:
    frames = np.stack([frame_of_photons((80, 100), occupancy, s) for s in (1, 2)])
    mask = np.random.default_rng(0).random((80, 100)) > 0.02
    low = {"threshold_adu": 30, "threshold_low_adu": 8, "connectivity": connectivity}
    check(frames, None, Droplets(**low))  # type: ignore[arg-type]
    check(frames, mask, Droplets(**low))  # type: ignore[arg-type]


def test_tiles() -> None:
    frames = np.stack([frame_of_photons((3, 12, 14), 0.04, s) for s in (1, 2)])
    check(frames, None, Droplets(threshold_adu=20))


value = st.one_of(
    st.integers(0, 400).map(float), st.sampled_from([0.0, 0.0, 50.0, 100.0, np.nan, np.inf])
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_small_frame(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
    frame = data.draw(hnp.arrays(np.float32, shape, elements=value))
    mask = data.draw(hnp.arrays(bool, shape))
    low = data.draw(st.sampled_from([1.0, 20.0]))
    check(frame[None], mask, Droplets(threshold_adu=20, threshold_low_adu=low))


def test_a_droplet_of_the_whole_frame() -> None:
    frame = np.full((60, 70), 130, np.float32)
    spec = Spec(dtype=frame.dtype, shape=frame.shape)
    _, results, images = photons_in(frame[None], spec, Droplets(threshold_adu=1))
    assert results["nPhotons"].tolist() == [5460]
    assert images[0].sum() == 5460
    assert abs(results["kbar"][0] - 1.3) < 1e-9
    check(frame[None], None, Droplets(threshold_adu=1))


def test_each_region_has_its_own_numbers() -> None:
    frame = np.zeros((1, 10, 12), np.float32)
    frame[0, 2, 3], frame[0, 7, 8], frame[0, 7, 10] = 100, 300, 100
    spec = Spec(dtype=frame.dtype, shape=(10, 12))
    rois = [[[0, 5], [0, 6]], [[5, 10], [6, 12]], [[0, 1], [0, 1]]]
    _, results, _ = photons_in(frame, spec, Droplets(threshold_adu=5), rois=rois)
    assert results["kbar"][0].round(6).tolist() == [0.033333, 0.133333, 0]
    assert results["prob"].shape == (1, 3, 11)
    assert results["prob"][0, 1, [0, 1, 2, 3]].round(6).tolist() == [
        0.933333, 0.033333, 0, 0.033333,
    ]  # fmt: skip


def test_lists_of_fixed_length_and_none() -> None:
    frame = np.zeros((2, 4, 4), np.float32)
    frame[0, 0, 0], frame[0, 3, 3] = 200, 100
    spec = Spec(dtype=frame.dtype, shape=(4, 4))
    _, results, _ = photons_in(frame, spec, Droplets(threshold_adu=5), n_data=4)
    assert results["sparse/row"].tolist() == [[0, 0, 3, 0], [0] * 4]
    assert results["sparse/data"].tolist() == [[1, 1, 1, 0], [0] * 4]
    _, results, _ = photons_in(frame, spec, Droplets(threshold_adu=5), sparse=False)
    assert list(results) == ["nPhotons", "prob", "kbar"]


def test_batches_do_not_matter() -> None:
    frames = np.stack([frame_of_photons((50, 60), 0.05, s) for s in range(4)])
    spec = Spec(dtype=frames.dtype, shape=(50, 60))
    droplets = Droplets(threshold_adu=20, threshold_low_adu=5)
    _, whole, images = photons_in(Frames(list(frames)), spec, droplets)
    for event in range(4):
        _, alone, image = photons_in(frames[event : event + 1], spec, droplets)
        assert np.array_equal(image[0], images[event])
        for field, values in whole.items():
            here = take(values, np.arange(4) == event)
            assert same_bits(here, alone[field]), field


def test_too_many_photons_are_an_error_that_says_why() -> None:
    frame = np.full((1, 100, 100), 1e6, np.float32)
    spec = Spec(dtype=frame.dtype, shape=(100, 100))
    with pytest.raises(ValueError, match="100000000 photons in one event"):
        photons_in(frame, spec, Droplets(threshold_adu=5))


def test_what_does_not_fit() -> None:
    spec = Spec(dtype=np.dtype("f4"), shape=(10, 10))
    with pytest.raises(ValueError, match="stands behind droplets"):
        Droplet2Photon(adu_per_photon=100).prepare(spec)
    with pytest.raises(ValueError, match="half-open"):
        photons_in(
            np.zeros((1, 10, 10), "f4"),
            spec,
            Droplets(threshold_adu=5),
            rois=[[[0, 11], [0, 2]]],
        )
    for rois in (3, [], [[0, 1], [0, 2]], [[[0, 1], [0, 1.5]]], [[[2, 1], [0, 2]]]):
        with pytest.raises(ValueError, match=r"rois=.* write a list of regions"):
            Droplet2Photon(adu_per_photon=1, rois=rois)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="adu_per_photon=0"):
        Droplet2Photon(adu_per_photon=0)
    with pytest.raises(ValueError, match="n_data=-1"):
        Droplet2Photon(adu_per_photon=1, n_data=-1)


GRAPH = """
def graph(g, run):
    jungfrau = g.detector("jungfrau")
    droplets = jungfrau.droplets(threshold_adu=2.5, threshold_low_adu=0.5)
    droplets.droplet2photon(adu_per_photon=9.5).roi("part", [[0, 1], [0, 512], [700, 1024]])
    droplets.plot.histogram((0, 50, 100))
    box = jungfrau.roi("box", [[0, 1], [0, 512], [700, 1024]])
    box.droplets(threshold_adu=2.5, threshold_low_adu=0.5, sparse=False).plot.histogram(
        (0, 50, 100))
    box.photons(adu_per_photon=9.5).sum("calib")
"""
RUN = Simulation(events=12)


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> tuple[SimulatedFiles, Path]:
    folder = tmp_path_factory.mktemp("droplets")
    run = simulate(folder, RUN)
    (folder / "graph.py").write_text(GRAPH)
    where = ["--exp", RUN.exp, "--run", str(RUN.run), "--dir", str(run.directory)]
    assert main(["run", str(folder / "graph.py"), *where, "-o", str(folder / "o.h5")]) == 0
    return run, folder / "o.h5"


def test_the_photons_of_the_simulated_run_are_found(
    reduced: tuple[SimulatedFiles, Path],
) -> None:
    """Far from the strong spot and the gaps, single photons are where they fell."""
    run, path = reduced
    truth: Any = read_tree(run.truth)
    with h5py.File(path) as f:
        group = f["jungfrau/var_droplet_droplet2phot_sparse"]
        row, column = group["row"][:], group["col"][:]
        lengths = f["jungfrau/var_droplet_droplet2phot_sparse_len"][:]
        kbar = f["jungfrau/droplet_nDroplets"][:]
    ends = np.cumsum(lengths)
    offsets = truth["jungfrau/photon_offsets"]
    assert len(lengths) == len(kbar) == RUN.events
    found, real, close = 0, 0, 0
    for event in range(RUN.events):
        part = slice(ends[event] - lengths[event], ends[event])
        # Places are of centres of pixels; in the truth pixel r reaches from r to r + 1.
        got = np.stack([row[part] + 0.5, column[part] + 0.5], 1)
        part = slice(offsets[event], offsets[event + 1])
        true = np.stack([truth["jungfrau/photon_row"][part],
                         truth["jungfrau/photon_column"][part]], 1)  # fmt: skip
        true, got = (a[(a[:, 1] > 780) & (a[:, 0] < 512)] for a in (true, got))
        found, real = found + len(got), real + len(true)
        for place in true:
            distance = (
                np.abs(got - place).max(axis=1, initial=0) if len(got) else np.ones(1)
            )
            close += int(distance.min() <= 1) if len(got) else 0
    assert real > 300
    assert close > 0.95 * real
    assert abs(found - real) < 3 * np.sqrt(real)


def test_words_chain_in_a_graph(reduced: tuple[SimulatedFiles, Path]) -> None:
    with h5py.File(reduced[1]) as f:
        detector = f["jungfrau"]
        assert detector["droplet_droplet2phot_prob"].shape == (RUN.events, 11)
        data = detector["var_droplet_sparse/data"][:]
        assert detector["droplet_nDroplets"][:].sum() == len(data) > 0
        assert detector["box_droplet_nDroplets"][:].sum() < len(data)
        assert "var_box_droplet_sparse" not in detector
        counts = f["plots/jungfrau/droplet_histogram/counts"][:]
        assert counts.sum() == np.count_nonzero((data >= 0) & (data <= 50))
        total = f["Sums/jungfrau_box_photon_calib"][:]
        assert total.sum() == detector["box_photon_nPhot"][:].sum()
