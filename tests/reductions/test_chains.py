"""Words behind words: what each sees is what the one before it put out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from smalldata_stream.batch import Array
from smalldata_stream.constants import Constants
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import Graph, build
from smalldata_stream.run import RunInfo
from smalldata_stream.testing.detectors import Data, batch_of, run_of
from tests.graph.events import CAM_THERE, FRAMES, RUN, batches

AZAV: dict[str, Any] = {
    "center_um": (200, 150),
    "distance_mm": 1.0,
    "photon_energy_kev": 9.5,
    "pixel_size_um": 75,
    "q_bins": np.linspace(0, 3, 9),
}


def chains(g: Graph, run: RunInfo) -> None:
    cam = g.detector("cam", calibration="raw")
    profile = cam.azimuthal(**AZAV)
    part = profile.roi("peak", [[2, 6]], area=True)
    part.projection(axis=-1, name="total")
    profile.rebin(shape=(4,))
    profile.spectrum(bins=(0, 1000, 10))
    curved = cam.curvature(coefficients=(0.2, 0.0))
    curved.projection(axis=1).roi("top", [[0, 2]])
    cam.rotate(angle_deg=180).lineout(axis=0, index=0)
    cam.rebin(shape=(2, 3)).roi("corner", [[0, 1], [0, 2]], area=True)
    cam.roi("a", [[1, 3], [2, 6]]).roi("b", [[0, 1], [1, 3]])
    cam.compressed(error_adu=0.4, name="lossy").projection(axis=0)
    cam.roi("row", [[2, 3], [0, 6]]).spectrum(bins=(0, 1000, 5))


@pytest.mark.parametrize("cuts", [(), tuple(range(12))])
def test_each_word_sees_what_the_one_before_put_out(cuts: tuple[int, ...]) -> None:
    g = build(chains, RUN)
    parts: dict[str, list[Array]] = {}
    for batch in batches(*cuts):
        g.plan.push(batch)
        for path in g.plan.outputs():
            column = batch.record[path]
            if path.startswith("cam/") and len(column.values):
                parts.setdefault(path, []).append(np.asarray(list(column.values)))
    assert not g.plan.failures
    g.plan.close()
    found = {path: np.concatenate(each) for path, each in parts.items()}
    frames = FRAMES[CAM_THERE].astype(float)

    azav = found["cam/azav_azav"].reshape(len(frames), -1)
    assert np.isfinite(azav).any()
    peak = np.nan_to_num(azav[:, 2:6])
    np.testing.assert_allclose(found["cam/azav_peak_area"], peak)
    np.testing.assert_allclose(found["cam/azav_peak_total_data"], peak.sum(axis=1))
    for one, counts in zip(azav, found["cam/azav_spectrum_histogram"], strict=True):
        want = np.histogram(one[np.isfinite(one)], 10, (0, 1000))[0]
        np.testing.assert_array_equal(counts, want)
    shift = np.round(0.2 * np.arange(6)).astype(int)
    straight = np.zeros_like(frames)
    for c, s in enumerate(shift):
        straight[:, : 4 - s, c] = frames[:, s:, c]
    np.testing.assert_allclose(
        found["cam/curve_corr_pj_ax_1_top_sum"], straight.sum(axis=2)[:, :2].sum(axis=1)
    )
    np.testing.assert_allclose(found["cam/rotated_lineout_data"], frames[:, 3, ::-1])
    small = frames.reshape(-1, 2, 2, 3, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(found["cam/rebin_corner_area"], small[:, 0, :2])
    np.testing.assert_allclose(found["cam/a_b_sum"], frames[:, 1, 3:5].sum(axis=1))
    lossy = found["cam/lossy_pj_ax_0_data"]
    assert abs(lossy - frames.sum(axis=1)).max() <= 4 * 0.4
    rows = [np.histogram(one, 5, (0, 1000))[0] for one in frames[:, 2]]
    np.testing.assert_array_equal(found["cam/row_spectrum_histogram"], rows)


# ------------------------------------------------- a tiled detector, and a digitizer

TILES, N = (2, 24, 32), 5
RNG = np.random.default_rng(8)
PHOTONS: Array = RNG.poisson(0.05, (N, *TILES))
TILED: Array = (100 * PHOTONS + RNG.integers(0, 5, PHOTONS.shape)).astype("u2")
GAINS: Array = np.arange(1.0, N + 1)
WAVES: Array = np.stack(
    [
        50 + 10 * (np.arange(90) % 2) + 200 * np.exp(-(((np.arange(90) - 50 - i) / 4) ** 2))
        for i in range(N)
    ]
).astype("u2")
X, Y = (75.0 * index for index in np.indices(TILES)[1:])
HAVE = {
    "tiles": Data(
        type="axis",
        fields={("raw", "value"): list(TILED)},
        frame=("value",),
        segments=(0, 1),
    ),
    "digitizer": Data(type="wave8", fields={("raw", "w"): list(WAVES)}),
    "gmd": Data(type="gmd", fields={("raw", "energy"): list(GAINS)}),
}
CONSTANTS = Constants(
    detector="tiles",
    pedestals=np.zeros(TILES, "f4"),
    pixel_rms=np.full(TILES, 2, "f4"),
    pixel_x=X + 24 * 75 * np.arange(2).reshape(2, 1, 1),
    pixel_y=Y,
    pixel_z=0 * X,
    image_row=(X / 75).astype("i4") + 24 * np.arange(2, dtype="i4").reshape(2, 1, 1),
    image_column=(Y / 75).astype("i4"),
)
BOX = [[1, 2], [3, 20], [5, 30]]
CUT = np.s_[:, 1, 3:20, 5:30]
RINGS: dict[str, Any] = {
    "center_um": (2000, 1000),
    "distance_mm": 2.0,
    "photon_energy_kev": 9.5,
    "q_bins": np.linspace(0, 5, 7),
    "polarization": None,
    "solid_angle": False,
}


def more_chains(g: Graph, run: RunInfo) -> None:
    g.detector("gmd")
    tiles = g.detector("tiles")
    roi = tiles.roi("r", BOX)
    droplets = roi.droplets(threshold_sigma=20, connectivity=8)
    droplets.spectrum(bins=(0.0, 1000.0, 20))
    droplets.droplet2photon(adu_per_photon=100.0)
    droplets.unsparsify(area=True)
    roi.photons(adu_per_photon=100.0).azimuthal(**RINGS, counts=True)
    roi.azimuthal(**RINGS)
    roi.autocorrelation(lags=(4, 3))
    roi.rotate(angle_deg=180).projection(axis=0)
    normal = tiles.normalise(by="gmd/energy")
    normal.roi("n", BOX).projection(axis=1)
    normal.azimuthal(**RINGS)
    tiles.image().projection(axis=-1, name="total")
    tiles.roi("r2", BOX).image().roi("again", [[0, 4], [0, 4]])
    doubled = g.function(
        lambda frame: 2 * frame, roi, name="user/doubled", dtype="float32", shape=(17, 25)
    )
    doubled.projection(axis=0)
    wave = g.detector("digitizer", fields=[])["w"]
    flat = wave.baseline(window=[0, 30], period=2)
    hits = flat.hits(threshold=40)
    hits["height"].spectrum(bins=(0.0, 300.0, 30))
    flat.roi("part", [[40, 60]]).integral()


@pytest.fixture(scope="module")
def found() -> dict[str, list[Array]]:
    """Each output of `more_chains`, by event."""
    g = build(more_chains, run_of(HAVE), {"tiles": CONSTANTS}.get)
    batch = batch_of(HAVE)
    g.plan.push(batch)
    assert not g.plan.failures, g.plan.letters[0].traceback
    return {path: list(batch.record[path].values) for path in g.plan.outputs()}


REGION: Array = TILED[CUT].astype(float)


@pytest.mark.parametrize("event", range(N))
def test_droplets_of_a_region(found: dict[str, list[Array]], event: int) -> None:
    """Their places, sums, spectrum and frame, by scipy, from the first pixel of it."""
    frame = REGION[event]
    labels, count = ndimage.label(frame >= 40, np.ones((3, 3)))
    numbers = range(1, count + 1)
    sums = ndimage.sum(frame, labels, numbers)
    centres = ndimage.center_of_mass(frame * (labels > 0), labels, numbers)
    lists = "tiles/var_r_droplet_sparse"
    assert found["tiles/r_droplet_nDroplets"][event] == count > 3
    row, column, data = (found[f"{lists}/{of}"][event] for of in ("row", "col", "data"))
    order = np.lexsort((column, row))
    want = np.array(sorted(centres))
    np.testing.assert_allclose(np.stack([row, column], 1)[order], want, rtol=1e-6)
    np.testing.assert_array_equal(np.sort(data), np.sort(sums))
    counts, _ = np.histogram(sums, 20, (0, 1000))
    got = found["tiles/r_droplet_spectrum_histogram"][event]
    np.testing.assert_array_equal(got, counts)
    inside = np.zeros_like(frame)
    pixel = (np.floor(of + 0.5).astype(int) for of in (row, column))
    np.add.at(inside, tuple(pixel), data)
    np.testing.assert_allclose(found["tiles/r_droplet_dense_area"][event], inside)


@pytest.mark.parametrize("event", range(N))
def test_photons_of_a_region(found: dict[str, list[Array]], event: int) -> None:
    """They are found where they were put, from the first pixel of the region."""
    lists = "tiles/var_r_droplet_droplet2phot_sparse"
    places = (found[f"{lists}/{of}"][event] for of in ("row", "col"))
    at = np.zeros(REGION.shape[1:], int)
    np.add.at(at, tuple(np.floor(of + 0.5).astype(int) for of in places), 1)
    true = PHOTONS[CUT][event]
    assert at.sum() == true.sum()
    assert (at == true).mean() > 0.97


@pytest.mark.parametrize("event", range(N))
def test_rings_of_a_region(found: dict[str, list[Array]], event: int) -> None:
    """q is that of the region's place in the whole detector, behind photons, too."""
    x = (X + 24 * 75 * np.arange(2).reshape(2, 1, 1))[1, 3:20, 5:30] - 2000
    y = Y[1, 3:20, 5:30] - 1000
    theta = np.arctan2(np.hypot(x, y), 2000.0)
    q = 4 * np.pi * 9.5 / 12.398419843320026 * np.sin(theta / 2)
    bins = [(q >= a) & (q < b) for a, b in pairwise(RINGS["q_bins"])]
    assert sum(inside.any() for inside in bins) > 2
    for path, image in (("r_azav", REGION), ("r_photon_azav", PHOTONS[CUT])):
        got = np.ravel(found[f"tiles/{path}_azav"][event])
        for mean, inside in zip(got, bins, strict=True):
            if inside.any():
                np.testing.assert_allclose(mean, image[event][inside].mean(), rtol=1e-6)
            else:
                assert np.isnan(mean)


@pytest.mark.parametrize("event", range(N))
def test_images_behind_images(found: dict[str, list[Array]], event: int) -> None:
    frame = REGION[event]
    shifted, other = frame[2:, :-1], frame[:-2, 1:]
    auto = found["tiles/r_autocorr_autocorr"][event][4 + 2, 3 - 1]
    want = (shifted * other).mean() / (shifted.mean() * other.mean())
    np.testing.assert_allclose(auto, want, rtol=1e-9)
    rotated = found["tiles/r_rotated_pj_ax_0_data"][event]
    np.testing.assert_allclose(rotated, frame.sum(axis=0)[::-1], rtol=1e-6)
    normalised = found["tiles/normalised_n_pj_ax_1_data"][event]
    want = (frame / GAINS[event]).sum(axis=1)
    np.testing.assert_allclose(normalised, want, rtol=1e-6)
    assert found["tiles/image_total_data"][event] == TILED[event].sum()
    assert found["tiles/r2_image_again_sum"][event] == frame[:4, :4].sum()
    doubled = found["user/doubled_pj_ax_0_data"][event]
    np.testing.assert_allclose(doubled, 2 * frame.sum(axis=0))


@pytest.mark.parametrize("event", range(N))
def test_waveforms_behind_waveforms(found: dict[str, list[Array]], event: int) -> None:
    level = np.median(WAVES[event][:30].reshape(-1, 2), axis=0)
    flat = WAVES[event] - np.tile(level, 45)
    heights = found["digitizer/var_w_baseline_hitfinder/height"][event]
    np.testing.assert_allclose(heights, [flat.max()])
    counts, _ = np.histogram(heights, 30, (0, 300))
    (path,) = (path for path in found if path.endswith("height_spectrum_histogram"))
    np.testing.assert_array_equal(found[path][event], counts)
    integral = found["digitizer/w_baseline_part_wfintegrate"][event]
    np.testing.assert_allclose(integral, flat[40:60].sum(), rtol=1e-6)


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        (lambda t, w: t.droplet2photon(adu_per_photon=1.0), "behind droplets, of which"),
        (lambda t, w: t.roi("a", BOX).unsparsify(), "behind sparsify or droplets or peaks"),
        (lambda t, w: t.azimuthal(**RINGS).droplets(threshold_adu=1), "rows and columns"),
        (lambda t, w: t.projection(axis=-1).roi("a"), "the input is one number"),
        (lambda t, w: t.droplets(threshold_adu=9).roi("a"), "lists whose length varies"),
        (lambda t, w: t.droplets(threshold_adu=9).hits(threshold=1), "no waveform"),
        (lambda t, w: t.autocorrelation(), "Choose a tile with roi, or assemble"),
        (
            lambda t, w: t.rebin(shape=(2, 12, 8)).droplets(threshold_sigma=3),
            "not known here",
        ),
        (lambda t, w: t.sum("calib").roi("a"), "nothing can be chained to"),
        (lambda t, w: t.integral(), "needs waveforms"),
        (lambda t, w: w.azimuthal(**RINGS), "positions of \\(90,\\) pixels are not known"),
        (lambda t, w: w.normalise(by="gmd/energi"), "did you mean 'gmd/energy'"),
        (lambda t, w: t.contrast(), "behind photons or droplet2photon"),
        (lambda t, w: w.baseline(window=[0, 9])["levle"], "did you mean 'level'"),
    ],
)
def test_what_cannot_be_chained_says_what_to_write(chain: Any, says: str) -> None:
    def graph(g: Graph, run: RunInfo) -> None:
        g.detector("gmd")
        chain(g.detector("tiles"), g.detector("digitizer", fields=[])["w"])

    with pytest.raises(GraphError, match=says):
        build(graph, run_of(HAVE), {"tiles": CONSTANTS}.get)
