"""MFX: the detectors that every run of the hutch writes."""

from smalldata_stream.detectors.acromag import Acromag
from smalldata_stream.detectors.bmmon import Bmmon
from smalldata_stream.detectors.damage import Damage
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.epics import Epics
from smalldata_stream.detectors.feespec import FeeSpec
from smalldata_stream.detectors.gas_detector import GasDetector
from smalldata_stream.detectors.ipm import Ipm
from smalldata_stream.detectors.light_status import LightStatus
from smalldata_stream.detectors.phase_cavity import PhaseCavity
from smalldata_stream.detectors.qadc import Qadc
from smalldata_stream.detectors.scan import Scan
from smalldata_stream.detectors.timetool import TimeTool
from smalldata_stream.detectors.timing import Timing
from smalldata_stream.detectors.usdusb import Usdusb
from smalldata_stream.detectors.xtcav import Xtcav
from smalldata_stream.graph import Graph
from smalldata_stream.run import RunInfo

EPICS = (
    "atten_trans1", "atten_trans3", "fee_Attenuator_transmission", "lens_energy", "lens_z",
    "BeamMonitor_target", "Dg1Ipm_target", "lxt", "lxt_fs_tgt", "lxt_fast", "lxt_fast_mot",
    "txt", "txt_mot",
)  # fmt: skip

DEFAULTS: list[DefaultDetector] = [
    # Beam to the hard X-ray hutches is 137; the laser comes with 203, before LCLS-II's DAQ
    # it skipped a shot with 204.
    LightStatus(timing="timing", xray_required=[137], laser_required=[203]),
    LightStatus(timing=("evr0", "evr1", "evr2"), xray_required=[137], laser_excluded=[204]),
    Timing(),
    Scan(),
    Epics(EPICS),
    Damage(),
    # Since the DAQ of LCLS-II.
    Bmmon("MfxDg1BmMon"),
    Bmmon("MfxDg2BmMon"),
    Ebeam("ebeamh"),
    PhaseCavity(("pcav", "PhaseCavity"), name="pcav"),
    GasDetector(("gasdet", "FEEGasDetEnergy"), name="gasdet"),
    Qadc("qadc_ch0"),
    Qadc("qadc_ch1"),
    FeeSpec(),
    TimeTool(("alvium_tt", "opal_tt", "TTSPEC", "epics")),
    Usdusb("MfxUsbEncoder01", name="enc"),
    # Before, and in runs that were converted.
    Ebeam(("ebeam", "EBeam"), name="ebeam"),
    Ipm("MFX-DG1-BMMON", name="ipm_dg1"),
    Ipm("MFX-DG2-BMMON", name="ipm_dg2"),
    Acromag("MFX-AIN-01"),
    FeeSpec("FEE-SPEC0", name="feeBld"),
    Usdusb("XRT-USB-ENCODER-01", name="xrt_enc"),
    Usdusb("MFX-USB-ENCODER-01", name="enc"),
    Xtcav(),
]


def graph(g: Graph, run: RunInfo) -> None:
    """What every run of MFX writes."""
    g.defaults("mfx")
