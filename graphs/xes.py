"""XES: emission lines on an area detector, photon by photon, with and without laser.

The spectrometer disperses along the columns. Charge below half a photon is noise, and is
left out before the rows are added up.
"""

from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

PHOTON_KEV = 9.5
EMISSION = [[0, 1], [130, 330], [550, 900]]


def graph(g: Graph, run: RunInfo) -> None:
    """The emission spectrum of each shot, and of the run."""
    light = g.light_status(xray_excluded=[162], laser_required=[90])
    g.defaults("xpp")
    g.gmd()

    jungfrau = g.detector("jungfrau")  # calibrated to keV, and so is the threshold
    emission = jungfrau.roi(
        "emission", EMISSION, threshold_adu=(0.5 * PHOTON_KEV, 20 * PHOTON_KEV)
    )
    spectrum = emission.projection(axis=0)
    spectrum.plot.line(
        by="lightStatus/laser",
        x=range(*EMISSION[2]),
        x_label="column",
        title="emission spectrum",
    )
    per_pulse = g.function(
        lambda kev, energy: kev / energy if energy > 0.05 else None,
        emission["sum"],
        "gmd/energy",
        name="jungfrau/emission_per_pulse",
        unit="keV/mJ",
    )
    per_pulse.plot.scan("scan/lxt", by="lightStatus/laser")
    emission.spectrum(bins=(0.0, 4 * PHOTON_KEV, 160), name="energies")

    spectrum.sum("calib", where="lightStatus/laser", name="laser_on")
    spectrum.sum("calib_dropped")
    g.keep(light["xray"], why="no X-rays")
