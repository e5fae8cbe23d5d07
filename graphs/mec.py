"""MEC: the detectors that every run of the hutch writes."""

from smalldata_stream.detectors.acromag import Acromag
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
from smalldata_stream.detectors.xtcav import Xtcav
from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

EPICS = (
    "belens_z",
    "MEC:NOTE:LAS:NSDELAY",
    "MEC:NS1:MMS:01.RBV",
    "MEC:NS1:MMS:02.RBV",
    "MEC:LAS:MMN:30.RBV",
    "MEC:LAS:MMN:29.RBV",
    "MEC:PPL:MMS:09.RBV",
    "MEC:USR:MMS:17.RBV",
    "MEC:LAS:DDG:05:aDelaySI",
    "MEC:LAS:DDG:05:eDelaySI",
    "SIOC:SYS0:LM00:AO627",
    "MEC:TC1:GCC:01:PMON",
    "MEC:TC1:GPI:01:PMON",
    "MEC:TC1:VGC:01:OPN_OK",
    "MEC:TC1:VGC:02:OPN_OK",
)

DEFAULTS: list[DefaultDetector] = [
    # Beam to the hard X-ray hutches is 137; the laser comes with 182.
    LightStatus(xray_required=[137], laser_required=[182]),
    Timing(),
    Scan(),
    Epics(EPICS),
    Ebeam(("ebeam", "ebeamh", "EBeam"), name="ebeam"),
    GasDetector(("gasdet", "FEEGasDetEnergy"), name="gasdet"),
    PhaseCavity(("pcav", "PhaseCavity"), name="pcav"),
    Ipm("MEC-XT2-PIM-02", name="pim2"),
    Ipm("MEC-XT2-PIM-03", name="pim3"),
    Ipm("MEC-TCTR-DI-01", name="pips-diode-air"),
    Ipm("MEC-LAS-EM-01", name="dio_las"),
    Ipm("MEC-XT2-IPM-02", name="ipm2"),
    Ipm("MEC-XT2-IPM-03", name="ipm3"),
    Ipm("MEC-XT2-BMMON-02", name="xt2_ipm2"),
    Ipm("MEC-XT2-BMMON-03", name="xt2_ipm3"),
    TimeTool(("opal_tt", "TTSPEC", "epics")),
    Acromag("MEC-AIN-01"),
    FeeSpec("FEE-SPEC0", name="feeBld"),
    Usdusb("XRT-USB-ENCODER-01", name="xrt_enc"),
    Xtcav(),
    Damage(),
]


def graph(g: Graph, run: RunInfo) -> None:
    """What every run of MEC writes."""
    g.defaults("mec")
