"""RIXS scan: the spectrum on a slow camera at every step of the scan.

The camera integrates over several shots: its events are fewer than those of the monitors,
and all others have a gap.
"""

from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

ELASTIC = [[40, 90], [180, 220]]
LOSS = [[40, 90], [290, 370]]


def graph(g: Graph, run: RunInfo) -> None:
    """Spectrum, elastic line and loss, against the scan."""
    g.light_status(xray_excluded=[162], laser_required=[90])
    g.defaults("rix")
    g.wave8("fim0", raw=True)

    camera = g.detector("andor_slow")
    spectrum = camera.roi("spectrum", [[40, 90], [0, 512]]).projection(axis=0)
    elastic, loss = camera.roi("elastic", ELASTIC), camera.roi("loss", LOSS)
    ratio = g.function(
        lambda a, b: b / a if a > 0 else None,
        elastic["sum"],
        loss["sum"],
        name="andor_slow/loss_per_elastic",
    )
    spectrum.plot.line(x_label="column", title="energy loss")
    ratio.plot.scan("scan/lxt")
    camera.plot.image()
    camera.sum("calib")
