"""TMO: the detectors that every run of the hutch writes."""

from smalldata_stream.detectors.damage import Damage
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.epics import Epics
from smalldata_stream.detectors.gmd import Gmd
from smalldata_stream.detectors.light_status import LightStatus
from smalldata_stream.detectors.phase_cavity import PhaseCavity
from smalldata_stream.detectors.scan import Scan
from smalldata_stream.detectors.timetool import TimeTool
from smalldata_stream.detectors.timing import Timing
from smalldata_stream.detectors.wave8 import Wave8
from smalldata_stream.detectors.xgmd import Xgmd
from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

DEFAULTS: list[DefaultDetector] = [
    # X-rays are off with 162 (kicked bunches), the laser with 91.
    LightStatus(xray_excluded=[162], laser_excluded=[91]),
    Timing(),
    Scan(),
    Epics(("MR1K4_pitch", "MR2K4_pitch")),
    Gmd(),
    Xgmd(),
    Ebeam(),
    PhaseCavity(),
    Wave8("tmo_fim0"),
    Wave8("tmo_fim1"),
    TimeTool("tmoopal2", traces=True),
    Damage(),
]


def graph(g: Graph, run: RunInfo) -> None:
    """What every run of TMO writes."""
    g.defaults("tmo")
