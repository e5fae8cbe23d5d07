"""Pump-probe scattering: rings of a laser-excited sample against the corrected delay.

The delay of every shot is that of the scan, corrected by the time tool; the scattering is
integrated around the beam and compared with and without laser.
"""

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

PIXEL_UM = 75.0
CENTER_UM = (17_350.0, 30_900.0)
DISTANCE_MM = 100.0
PHOTON_ENERGY_KEV = 9.5
Q = np.arange(0.3, 2.2, 0.02)  # edges of the bins, 1/Å: not the direct beam


def positions() -> tuple[Array, Array]:
    """Where the pixels of one jungfrau module are: chips of 256, two pixels apart."""
    row, column = np.indices((1, 512, 1024))[1:]
    x, y = (PIXEL_UM * (i + 2 * (i // 256) + 0.5) for i in (row, column))
    return x, y


def delay_ps(lxt_s: float, correction_ps: float) -> float:
    """Delay of the X-rays after the laser."""
    return lxt_s * 1e12 + correction_ps


def graph(g: Graph, run: RunInfo) -> None:
    """Light, delay, and the ring."""
    # The simulated instrument has event codes of its own; the rest is the hutch's list.
    light = g.light_status(xray_excluded=[162], laser_required=[90])
    timetool = g.timetool(
        "atmopal", polynomial_ps=(-0.64, 0.005), amplitude=(0.1, 1.0), traces=True
    )
    g.defaults("xpp")
    g.gmd()
    delay = g.function(delay_ps, "scan/lxt", "tt/ttCorr", name="tt/delay", unit="ps")
    timetool["ttCorr"].plot.histogram((-0.5, 0.5, 100), title="arrival of the X-rays")

    x_um, y_um = positions()
    jungfrau = g.detector("jungfrau")
    rings = jungfrau.azimuthal(
        x_um=x_um,
        y_um=y_um,
        center_um=CENTER_UM,
        distance_mm=DISTANCE_MM,
        photon_energy_kev=PHOTON_ENERGY_KEV,
        q_bins=Q,
    )
    ring = jungfrau.roi("ROI_0", [[0, 1], [130, 330], [550, 630]])
    signal = g.function(
        lambda s, energy: s / energy if energy > 0.05 else None,
        ring["sum"],
        "gmd/energy",
        name="jungfrau/ring_per_pulse",
        unit="keV/mJ",
    )
    signal.plot.scan("scan/lxt", by="lightStatus/laser")
    signal.plot.scan(delay, bins=(-1.0, 2.0, 30), name="corrected", title="corrected delay")
    rings["azav"].lineout(axis=0, index=0).plot.line(
        by="lightStatus/laser", x=(Q[:-1] + Q[1:]) / 2, x_label="q (1/Å)", title="rings"
    )

    jungfrau.sum("calib", where="lightStatus/laser", name="calib_laser_on")
    jungfrau.sum("calib_dropped")
    g.keep(light["xray"], why="no X-rays")
