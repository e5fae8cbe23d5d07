"""What each word writes: path, dtype, shape and unit, as smalldata_tools names them.

The tables are written by hand, from the names that notebooks of smalldata_tools open.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.flow import Node
from smalldata_stream.graph import Graph, build
from smalldata_stream.kernels import peakfinder8
from smalldata_stream.protocols import Spec
from smalldata_stream.run import RunInfo
from tests.graph.events import RUN
from tests.reductions.test_chains import AZAV


def regions(cam: Node) -> None:
    roi = cam.roi("ROI_0", [[0, 4], [1, 5]], area=True, saturation_adu=9)
    roi.projection(axis=0)
    roi.projection(axis=-1)
    roi.spectrum(bins=(0, 9, 3))
    cam.roi("row", [[1, 2], [0, 6]], area=True)
    cam.full()
    cam.lineout(axis=0)
    cam.rebin(shape=(2, 3))


def droplets(cam: Node) -> None:
    cam.droplets(threshold_adu=3).droplet2photon(adu_per_photon=3)
    fixed = cam.droplets(threshold_adu=3, n_data=7, name="fixed")
    fixed.droplet2photon(adu_per_photon=3, n_data=5)
    photons = cam.photons(adu_per_photon=3)
    photons.sparsify()
    photons.sparsify(n_data=3, name="few")
    photons.spectrum(bins=(0, 30, 30))


def images(cam: Node) -> None:
    cam.azimuthal(**AZAV, phi_bins=3, counts=True, standard_error=True)
    cam.autocorrelation(lags=(1, 2))
    cam.autocorrelation(lags=(1, 2), lineouts=True, name="lines")
    cam.curvature(coefficients=(0,), area=True).projection(axis=0)
    cam.rotate(angle_deg=3, area=True)
    cam.compressed(area=True)
    cam.normalise(by="gmd/energy", area=True)


def waveforms(cam: Node) -> None:
    cam.integral(signal=[0, 3])
    cam.hits(threshold=1)
    cam.cfd(threshold=1, delay=1)
    cam.baseline()


def over_the_run(cam: Node) -> None:
    cam.sum("calib")
    cam.sum("calib_square")
    cam.sum("calib_max")
    cam.speckle_size(lags=(1, 2))
    cam.center()
    cam.photons(adu_per_photon=3).contrast(kbar_bins=(0, 1, 2))


REGIONS = """
ROI_0_area                   u2 (4,4)   ADU
ROI_0_sum                    f8 ()      ADU
ROI_0_mean                   f8 ()      ADU
ROI_0_max                    u2 ()      ADU
ROI_0_com                    f8 (2,)    pixel
ROI_0_nsat                   i8 ()      -
ROI_0_pj_ax_0_data           f8 (4,)    ADU
ROI_0_pj_ax_1_data           f8 ()      ADU
ROI_0_spectrum_histogram     i8 (3,)    -
row_area                     u2 (6,)    ADU
row_sum                      f8 ()      ADU
row_mean                     f8 ()      ADU
row_max                      u2 ()      ADU
row_com                      f8 (2,)    pixel
full_area                    u2 (4,6)   ADU
lineout_data                 u2 (6,)    ADU
lineout_index                i8 ()      pixel
rebin_data                   f8 (2,3)   ADU
"""

DROPLETS = """
droplet_nDroplets_all                 i8 ()   -
droplet_nDroplets                     i8 ()   -
var_droplet_sparse/data               f4 *    ADU
var_droplet_sparse/row                f4 *    pixel
var_droplet_sparse/col                f4 *    pixel
var_droplet_sparse/npix               i4 *    -
var_droplet_sparse/tile               i4 *    -
droplet_droplet2phot_nPhotons         i8 ()   -
droplet_droplet2phot_prob             f8 (11,) -
droplet_droplet2phot_kbar             f8 ()   -
var_droplet_droplet2phot_sparse/tile  i4 *    -
var_droplet_droplet2phot_sparse/row   f4 *    pixel
var_droplet_droplet2phot_sparse/col   f4 *    pixel
var_droplet_droplet2phot_sparse/data  u1 *    -
fixed_nDroplets_all                   i8 ()   -
fixed_nDroplets                       i8 ()   -
fixed_sparse_data                     f4 (7,) ADU
fixed_sparse_row                      f4 (7,) pixel
fixed_sparse_col                      f4 (7,) pixel
fixed_sparse_npix                     i4 (7,) -
fixed_sparse_tile                     i4 (7,) -
fixed_droplet2phot_nPhotons           i8 ()   -
fixed_droplet2phot_prob               f8 (11,) -
fixed_droplet2phot_kbar               f8 ()   -
fixed_droplet2phot_sparse_tile        i4 (5,) -
fixed_droplet2phot_sparse_row         f4 (5,) pixel
fixed_droplet2phot_sparse_col         f4 (5,) pixel
fixed_droplet2phot_sparse_data        u1 (5,) -
photon_nPhot                          i8 ()   -
photon_sparse_nPixels                 i8 ()   -
var_photon_sparse/data                u2 *    -
var_photon_sparse/row                 i4 *    pixel
var_photon_sparse/col                 i4 *    pixel
var_photon_sparse/tile                i4 *    -
photon_few_nPixels                    i8 ()   -
photon_few_data                       u2 (3,) -
photon_few_row                        i4 (3,) pixel
photon_few_col                        i4 (3,) pixel
photon_few_tile                       i4 (3,) -
photon_spectrum_histogram             i8 (30,) -
"""

IMAGES = """
azav_azav                  f8 (3,8)  ADU
azav_count                 f8 (3,8)  -
azav_sem                   f8 (3,8)  ADU
autocorr_autocorr          f8 (2,4)  -
autocorr_cr                f8 ()     ADU
lines_lineout_h            f8 (4,)   -
lines_lineout_v            f8 (2,)   -
lines_cr                   f8 ()     ADU
curve_corr_corrected_image f4 (4,6)  ADU
curve_corr_pj_ax_0_data    f8 (6,)   ADU
rotated_area               f4 (4,6)  ADU
compressed_ratio           f8 ()     -
compressed_max_error       f8 ()     ADU
compressed_rms_error       f8 ()     ADU
compressed_area            f4 (4,6)  ADU
normalised                 f8 (4,6)  ADU/mJ
"""

WAVEFORMS = """
wfintegrate             f8 (4,)  ADU
hitfinder_nHits         i4 (4,)  -
var_hitfinder/channel   i2 *     -
var_hitfinder/time      f8 *     samples
var_hitfinder/height    f8 *     ADU
var_hitfinder/width     i4 *     samples
var_hitfinder/area      f8 *     ADU
hitFinderCFD_nHits      i4 (4,)  -
var_hitFinderCFD/channel i2 *    -
var_hitFinderCFD/time   f8 *     samples
var_hitFinderCFD/height f8 *     ADU
baseline_level          f8 (4,)  ADU
"""

OVER_THE_RUN = """
calib                     f8 (4,6)  ADU
calib_square              f8 (4,6)  ADU^2
calib_max                 u2 (4,6)  ADU
speckle_autocorr          f8 (2,4)  -
speckle_sigma             f8 (2,)   pixel
speckle_contrast          f8 (2,)   -
center_xCen               f8 ()     pixel
center_yCen               f8 ()     pixel
center_R                  f8 ()     pixel
center_residu             f8 ()     pixel
photon_contrast_counts    i8 (2,32) -
photon_contrast_photons   i8 (2,)   -
photon_contrast_pixels    i8 (2,)   -
photon_contrast_events    i8 (2,)   -
photon_contrast_kbar      f8 (2,)   -
photon_contrast_beta      f8 (2,)   -
photon_contrast_error     f8 (2,)   -
photon_contrast_edges     f8 (3,)   -
"""

PEAKS = """
peaks_nPeaks    i8 ()  -
peaks_hit       b1 ()  -
var_peaks/row   f4 *   pixel
var_peaks/col   f4 *   pixel
var_peaks/tile  i4 *   -
var_peaks/adu   f4 *   ADU
var_peaks/max   f4 *   ADU
var_peaks/npix  i4 *   -
var_peaks/sigma f4 *   ADU
var_peaks/snr   f4 *   -
"""


def line(path: str, spec: Spec) -> tuple[str, ...]:
    shape = "*" if spec.kind == "ragged" else str(spec.shape).replace(" ", "")
    return path, spec.dtype.str.lstrip("<|"), shape, spec.unit or "-"


def written(words: Any) -> list[tuple[str, ...]]:
    """What a graph of these words behind a camera writes of them."""

    def graph(g: Graph, run: RunInfo) -> None:
        g.detector("gmd")
        words(g.detector("cam", calibration="raw"))

    plan = build(graph, RUN).plan
    outputs = {p[4:]: s for p, s in plan.outputs().items() if p.startswith("cam/")}
    totals = {p.removeprefix("Sums/cam_"): s for p, s in plan.totals().items()}
    if words is over_the_run:
        outputs = {}
    return [line(path, spec) for path, spec in (outputs | totals).items()]


@pytest.mark.parametrize(
    ("words", "table"),
    [
        (regions, REGIONS),
        (droplets, DROPLETS),
        (images, IMAGES),
        (waveforms, WAVEFORMS),
        (over_the_run, OVER_THE_RUN),
    ],
)
def test_names_dtypes_shapes_and_units(words: Any, table: str) -> None:
    want = [tuple(one.split()) for one in table.strip().splitlines()]
    assert sorted(written(words)) == sorted(want)


@pytest.mark.skipif(bool(peakfinder8.available()), reason="psana is not on this machine")
def test_peaks() -> None:
    want = [tuple(one.split()) for one in PEAKS.strip().splitlines()]
    assert written(lambda cam: cam.peaks(threshold_adu=np.float64(3))) == want
