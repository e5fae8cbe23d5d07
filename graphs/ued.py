"""UED (electron diffraction): the detectors that every run of the hutch writes."""

from smalldata_stream.detectors.damage import Damage
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.epics import Epics
from smalldata_stream.detectors.scan import Scan
from smalldata_stream.detectors.timing import Timing
from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

DEFAULTS: list[DefaultDetector] = [
    Timing(),
    Scan(),
    Epics(("MOTR_AS01_MC06_CH6",)),
    Damage(),
]


def graph(g: Graph, run: RunInfo) -> None:
    """What every run of UED writes."""
    g.defaults("ued")
