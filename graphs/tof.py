"""Time of flight: hits in the traces of a digitizer, one by one, and their spectrum.

A hit is where a trace is over a threshold above its base; a shot has any number of them,
and each has its channel, its time and its height.
"""

from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

BASE = [0, 50]
THRESHOLD_ADU = 60


def graph(g: Graph, run: RunInfo) -> None:
    """Hits of the diodes, and how many there are."""
    light = g.light_status(xray_excluded=[162], laser_required=[90])
    g.defaults("tmo")
    diodes = g.fim("fim0", raw=True)
    traces = diodes["raw_all"].baseline(window=BASE)
    hits = traces.hits(threshold=THRESHOLD_ADU)
    times = hits["time"].spectrum(bins=(0.0, 200.0, 200))
    times.plot.line(x_label="time (samples)", title="time of flight")
    hits.sum("calib")
    traces.cfd(threshold=THRESHOLD_ADU, delay=6, fraction=0.5)
    diodes["integral_0"].plot.scatter("gmd/energy", title="diode and pulse energy")
    g.keep(light["xray"], why="no X-rays")
