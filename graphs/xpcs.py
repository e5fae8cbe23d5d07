"""XPCS: speckles, photon by photon, and how bright they are from shot to shot.

The photons of weak speckle are sparse: connected pixels above the noise are droplets, and
the energies of the droplets show one, two and more photons.
"""

import numpy as np

from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

PHOTON_KEV = 9.5
SPECKLE = [[0, 1], [300, 420], [600, 900]]


def contrast(mean: float, mean_of_squares: float) -> float | None:
    """Variance of the intensity over its mean squared; no contrast without light."""
    return (mean_of_squares - mean**2) / mean**2 if mean > 0 else None


def graph(g: Graph, run: RunInfo) -> None:
    """Droplets of a region, their spectrum, and the contrast of each shot."""
    light = g.light_status(xray_excluded=[162])
    g.defaults("xcs")
    g.gmd()

    jungfrau = g.detector("jungfrau")
    speckle = jungfrau.roi("speckle", SPECKLE)  # calibrated to keV, as the thresholds
    droplets = speckle.droplets(
        threshold_adu=0.5 * PHOTON_KEV, threshold_low_adu=0.15 * PHOTON_KEV
    )
    spectrum = droplets.spectrum(bins=(0.0, 4 * PHOTON_KEV, 160))
    kev = (np.arange(160) + 0.5) * 4 * PHOTON_KEV / 160
    spectrum.plot.line(x=kev, x_label="energy (keV)", title="energy of the droplets")

    # One photon per pixel or none: what a region holds beyond that is contrast.
    squares = g.function(
        lambda pixels: float((pixels.astype("f8") ** 2).mean()),
        speckle,
        name="speckle/mean_of_squares",
        unit="keV2",
    )
    g.function(contrast, speckle["mean"], squares, name="speckle/contrast")
    speckle["mean"].plot.scatter("gmd/energy", title="speckle and pulse energy")

    jungfrau.sum("calib")
    jungfrau.plot.image()
    g.keep(light["xray"], why="no X-rays")
