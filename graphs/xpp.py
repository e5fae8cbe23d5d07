"""XPP: the detectors that every run of the hutch writes."""

from smalldata_stream.detectors.acromag import Acromag
from smalldata_stream.detectors.bmmon import Bmmon
from smalldata_stream.detectors.damage import Damage
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.epics import Epics
from smalldata_stream.detectors.feespec import FeeSpec
from smalldata_stream.detectors.fields_of import FieldsOf
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
    "att_T", "att_T3rd", "slit_s1_hw", "slit_s1_vw", "slit_s2_hw", "slit_s2_vw",
    "slit_s3_hw", "slit_s3_vw", "slit_s4_hw", "slit_s4_vw", "lxt_vitara", "lxt", "lxt_ttc",
    "lxe", "ccm_E", "lom_E", "lom_EC", "gon_v", "gon_h", "gon_r", "gon_x", "gon_y", "gon_z",
    "gon_roll", "gon_pitch", "gon_kappa_eta", "gon_kappa_kappa", "gon_kappa_phi",
    "gon_kappa_samx", "gon_kappa_samy", "gon_kappa_samz", "gon_sam_phi", "gon_sam_z",
    "robot_x", "robot_y", "robot_z", "robot_rx", "robot_ry", "robot_rz", "robot_azi",
    "robot_ele", "robot_rad", "las_comp_wp", "las_opa_wp", "las_drift_correction",
)  # fmt: skip

DEFAULTS: list[DefaultDetector] = [
    # Beam to the hard X-ray hutches is 137; the laser skips a shot with 89, once with 91.
    LightStatus(timing="timing", xray_required=[137], laser_excluded=[89]),
    LightStatus(timing=("evr0", "evr1", "evr2"), xray_required=[137], laser_excluded=[91]),
    Timing(),
    Scan(),
    Epics(EPICS),
    Ebeam(("ebeam", "ebeamh", "EBeam"), name="ebeam"),
    GasDetector(("gasdet", "FEEGasDetEnergy"), name="gasdet"),
    PhaseCavity(("pcav", "PhaseCavity"), name="pcav"),
    # Since the DAQ of LCLS-II.
    Bmmon("Em3l0BmMon"),
    Wave8("Sp1L2Wv8"),
    Bmmon("XppSb2BmMon"),
    Bmmon("XppSb3BmMon"),
    Bmmon("XppUsrDio"),
    Usdusb("XppUsbEncoder02"),
    # Before, and in runs that were converted.
    Ipm("NH2-SB1-IPM-01", name="ipm1"),
    Ipm("NH2-SB1-IPM-02", name="ipm1c"),
    Ipm("XppMon_Pim0", name="lombpm"),
    Ipm("XppMon_Pim1", name="lomdiode"),
    Ipm(("XPP-SB2-BMMON", "XppSb2_Ipm"), name="ipm2"),
    Ipm(("XPP-SB3-BMMON", "XppSb3_Ipm"), name="ipm3"),
    Ipm(("XppSb3_Pim", "XppSb4_Pim"), name="diode2"),
    Ipm("XppEnds_Ipm0", name="diodeU"),
    Ipm("HX2-SB1-BMMON", name="ipm_hx2"),
    Acromag("XPP-AIN-01"),
    FieldsOf("adc"),
    Usdusb(("XPP-USB-ENCODER-02", "usbencoder", "XppEndstation.0:USDUSB.0"), name="enc"),
    Usdusb("XPP-USB-ENCODER-01", name="lom_enc"),
    FeeSpec("FEE-SPEC0", name="feeBld"),
    TimeTool(("opal_tt", "TTSPEC", "epics")),
    Xtcav(),
    FieldsOf("l3t"),
    Damage(),
]


def graph(g: Graph, run: RunInfo) -> None:
    """What every run of XPP writes."""
    g.defaults("xpp")
