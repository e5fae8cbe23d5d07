"""The tutorial: a pump-probe experiment, from event codes to a normalised ring.

``make demo`` runs it over a simulated run. Copy it, change it, and run your copy:
``smalldata-stream run my_graph.py --exp xpptut26 --run 1 --dir demo/xtc``.
"""

from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo


def signal_per_pulse(signal: float, pulse_energy: float) -> float | None:
    """A plain function is a node, too; None is a gap (a dark shot has no ratio)."""
    return signal / pulse_energy if pulse_energy > 0.05 else None


def graph(g: Graph, run: RunInfo) -> None:
    """Reduce a run of the simulated instrument."""
    # Which events have X-rays, which have the laser: from the event codes.
    g.light_status(xray_excluded=[162], laser_required=[90])

    # Small things are written as they are.
    g.scan()
    g.epics()
    for monitor in ("gmd", "ipm2", "ebeam", "encoder", "fim0", "atmopal"):
        g.detector(monitor, optional=True)

    # Frames are calibrated; words say what to make of them.
    jungfrau = g.detector("jungfrau")
    ring = jungfrau.roi("ROI_0", [[0, 1], [130, 330], [550, 630]])
    profile = ring.projection(axis=0)
    signal = g.function(
        signal_per_pulse,
        ring["sum"],
        "gmd/energy",
        name="jungfrau/ROI_0_per_pulse",
        unit="keV/mJ",
    )

    # Totals over the run.
    jungfrau.sum("calib")
    jungfrau.sum("calib_max")
    jungfrau.sum("calib_thresADU5")
    jungfrau.sum("calib_dropped")  # the X-ray-off shots: the background
    jungfrau.sum("calib", where="lightStatus/laser", name="calib_pumped")

    # Plots: of a window of events live, of the whole run in the report.
    ring["sum"].plot.strip(title="ring")
    ring["sum"].plot.scatter("gmd/energy", title="ring and pulse energy")
    signal.plot.scan("scan/lxt", by="lightStatus/laser")
    profile.plot.line(by="lightStatus/laser")
    jungfrau.plot.image()

    # The history of an experiment is kept in code: reprocessing is one command.
    if run.number >= 1:
        g.detector("andor_slow", optional=True).roi("full", None)
