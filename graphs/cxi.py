"""CXI: the detectors that every run of the hutch writes."""

from smalldata_stream.detectors.damage import Damage
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.epics import Epics
from smalldata_stream.detectors.feespec import FeeSpec
from smalldata_stream.detectors.gas_detector import GasDetector
from smalldata_stream.detectors.ipm import Ipm
from smalldata_stream.detectors.light_status import LightStatus
from smalldata_stream.detectors.phase_cavity import PhaseCavity
from smalldata_stream.detectors.scan import Scan
from smalldata_stream.detectors.timetool import TimeTool
from smalldata_stream.detectors.timing import Timing
from smalldata_stream.detectors.usdusb import Usdusb
from smalldata_stream.detectors.wave8 import Wave8
from smalldata_stream.detectors.xtcav import Xtcav
from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

EPICS = (
    "dia_trans1", "dia_trans3", "atc_trans1", "atc_trans3", "laser_time_target", "lxt",
    "las_uv_waveplate", "las_evo_waveplate", "las_drift_correction",
)  # fmt: skip

DEFAULTS: list[DefaultDetector] = [
    # Beam to the hard X-ray hutches is 137; the laser skips a shot with 184.
    LightStatus(xray_required=[137], laser_excluded=[184]),
    Timing(),
    Scan(),
    Epics(EPICS),
    Ebeam(("ebeam", "ebeamh", "EBeam"), name="ebeam"),
    GasDetector(("gasdet", "FEEGasDetEnergy"), name="gasdet"),
    PhaseCavity(("pcav", "PhaseCavity"), name="pcav"),
    FeeSpec("FEE-SPEC0", name="feeBld"),
    Ipm("HX2-SB1-BMMON", name="ipm_hx2"),
    Ipm("HFX-DG2-BMMON", name="ipm_hfx_dg2"),
    Ipm("CXI-DG2-BMMON", name="ipm_dg2"),
    Ipm("CXI-DG3-BMMON", name="ipm_dg3"),
    Ipm("CXI-USR-DIO", name="usr_dio"),
    Wave8("Sc1Imp", raw=True),
    TimeTool(("opal_tt", "TTSPEC", "epics")),
    Usdusb("XRT-USB-ENCODER-01", name="xrt_enc"),
    Usdusb("CXI-USB-ENCODER-01", name="enc"),
    Usdusb("CxiEndstation.0:USDUSB.0", name="KbEncoder"),
    Xtcav(),
    Damage(),
]


def graph(g: Graph, run: RunInfo) -> None:
    """What every run of CXI writes."""
    g.defaults("cxi")
