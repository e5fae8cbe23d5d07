"""XCS: the detectors that every run of the hutch writes."""

from smalldata_stream.detectors.acromag import Acromag
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
from smalldata_stream.detectors.xtcav import Xtcav
from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

EPICS = (
    "att_T", "att_T3rd", "ccm_E", "lom_E", "diff_phis", "diff_th", "diff_tth", "diff_xs",
    "diff_ys", "diff_zs", "diff_x", "diff_y", "diff_chis", "diff_dety", "ladm_theta",
    "lam_z", "lam_x1", "lam_x2", "lam_y1", "lam_y2", "lam_det_y", "lam_det_x",
    "las_comp_wp", "las_opa_wp", "las_drift_correction", "lxt_vitara", "lxt", "lxt_ttc",
    "lxe", "dccm_th1", "dccm_th2", "dccm_E", "dccm_th1_setpoint", "dccm_th2_setpoint",
    "dccm_E_setpoint",
)  # fmt: skip

DEFAULTS: list[DefaultDetector] = [
    # Beam to the hard X-ray hutches is 137; the laser skips a shot with 89.
    LightStatus(xray_required=[137], laser_excluded=[89]),
    Timing(),
    Scan(),
    Epics(EPICS),
    Ebeam(("ebeam", "ebeamh", "EBeam"), name="ebeam"),
    GasDetector(("gasdet", "FEEGasDetEnergy"), name="gasdet"),
    PhaseCavity(("pcav", "PhaseCavity"), name="pcav"),
    Ipm(("HFX-DG2-BMMON", "XCS-IPM-02"), name="ipm2"),
    Ipm("XCS-IPM-03", name="ipm3"),
    Ipm(("XCS-SB1-BMMON", "XCS-IPM-04"), name="ipm4"),
    Ipm(("XCS-SB2-BMMON", "XCS-IPM-05"), name="ipm5"),
    Ipm("XCS-DIO-03", name="dio3"),
    Ipm("XCS-DIO-04", name="dio4"),
    Ipm("XCS-DIO-05", name="dio5"),
    Ipm("XCS-IPM-mono", name="diodeMono"),
    Ipm("XCS-IPM-gon", name="diodeGon"),
    Ipm("HX2-SB1-BMMON", name="ipm_hx2"),
    Ipm("XCS-SND-DIO", name="snd_dio"),
    Acromag("XCS-AIN-01"),
    TimeTool(("opal_tt", "TTSPEC", "epics")),
    FeeSpec("FEE-SPEC0", name="feeBld"),
    Xtcav(),
    Usdusb("XRT-USB-ENCODER-01", name="xrt_enc"),
    Usdusb("XCS-USB-ENCODER-01", name="enc"),
    FieldsOf("l3t"),
    Damage(),
]


def graph(g: Graph, run: RunInfo) -> None:
    """What every run of XCS writes."""
    g.defaults("xcs")
