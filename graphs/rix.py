"""RIX: the detectors that every run of the hutch writes."""

from smalldata_stream.detectors.damage import Damage
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.encoder import Encoder
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
    # Electrons to the soft X-ray undulator; the laser skips a shot with 273.
    LightStatus(xray_destination="SC_SXR", laser_excluded=[273]),
    Timing(),
    Scan(),
    Epics(),
    Gmd(),
    Xgmd(),
    Ebeam(),
    PhaseCavity(),
    Wave8("rix_fim0"),
    Wave8("rix_fim1"),
    Wave8("rix_fim2"),
    Wave8("crix_w8"),
    Encoder("mono_encoder", unit="urad"),
    Encoder("mono_hrencoder", unit="counts"),
    TimeTool(("c_atmopal", "c_piranha")),
    Damage(),
]


def graph(g: Graph, run: RunInfo) -> None:
    """What every run of RIX writes."""
    g.defaults("rix")
