"""Time of flight: hits in the trace of a digitizer, one by one, and their spectrum.

A hit is where the trace rises over a threshold above its base; a shot has any number of
them, and each has its time and its height.
"""

from collections.abc import Mapping

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.graph import Graph
from smalldata_stream.protocols import Spec
from smalldata_stream.run import RunInfo

NS_PER_SAMPLE = 4.0
BASE_SAMPLES = 50
THRESHOLD_ADU = 60.0


def hits(trace: Array) -> Mapping[str, Array | int]:
    """Where the trace rises over the threshold, and how high it gets before it falls."""
    height = trace - trace[:BASE_SAMPLES].mean()
    # Over five samples, or noise on a slope would make two hits of one.
    above = np.convolve(height, np.full(5, 0.2), "same") > THRESHOLD_ADU
    edges = np.diff(above.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    highest = [height[a:b].max() for a, b in zip(starts, ends, strict=True)]
    return {
        "n": len(starts),
        "time": starts * NS_PER_SAMPLE,
        "height": np.array(highest, np.float64),
    }


def graph(g: Graph, run: RunInfo) -> None:
    """Hits of the first diode, and how many there are."""
    light = g.light_status(xray_excluded=[162], laser_required=[90])
    g.defaults("tmo")
    diodes = g.fim("fim0", raw=True)
    found = g.function(
        hits,
        g.detector("fim0", fields=[])["raw_0"],
        name="fim0/hits",
        outputs={
            "n": np.int64,
            "time": Spec(dtype=np.dtype(float), kind="ragged", unit="ns"),
            "height": Spec(dtype=np.dtype(float), kind="ragged", unit="ADU"),
        },
    )
    found["n"].plot.histogram((-0.5, 9.5, 10), title="hits per shot")
    found["time"].spectrum(bins=(0.0, 800.0, 200)).plot.line(title="time of flight")
    diodes["integral_0"].plot.scatter("gmd/energy", title="diode and pulse energy")
    g.keep(light["xray"], why="no X-rays")
