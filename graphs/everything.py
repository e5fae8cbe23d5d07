"""Every field of every detector as the DAQ wrote it, frames too: for small runs."""

from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo


def graph(g: Graph, run: RunInfo) -> None:
    """Write all there is."""
    for name, info in run.detectors.items():
        every = [f"{algorithm}.{field}" for algorithm, field in info.fields]
        g.detector(name, fields=every, calibration="raw")
