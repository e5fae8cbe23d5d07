"""Words behind words: what each sees is what the one before it put out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array
from smalldata_stream.graph import Graph, build
from smalldata_stream.run import RunInfo
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
