"""What is known of the fields that the DAQ records; the data do not say their units.

Each is written down with the default detector that it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping

from smalldata_stream.detectors.bmmon import Bmmon
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.encoder import Encoder
from smalldata_stream.detectors.feespec import FeeSpec
from smalldata_stream.detectors.fields import Output, Outputs, output_of
from smalldata_stream.detectors.gas_detector import GasDetector
from smalldata_stream.detectors.gmd import Gmd
from smalldata_stream.detectors.phase_cavity import PhaseCavity
from smalldata_stream.detectors.scan import Scan
from smalldata_stream.detectors.timetool import TimeTool
from smalldata_stream.detectors.timing import Timing
from smalldata_stream.detectors.wave8 import Wave8
from smalldata_stream.detectors.xgmd import Xgmd

KNOWN: Mapping[str, Outputs] = {
    "bmmon": Bmmon.OUTPUTS,
    "ebeam": Ebeam.OUTPUTS,
    "ebeamh": Ebeam.OUTPUTS,
    "encoder": Encoder.OUTPUTS,
    "feespec": FeeSpec.OUTPUTS,
    "gasdet": GasDetector.OUTPUTS,
    "gmd": Gmd.OUTPUTS,
    "opal": TimeTool.OUTPUTS,
    "pcav": PhaseCavity.OUTPUTS,
    "pcavh": PhaseCavity.OUTPUTS,
    "piranha4": TimeTool.OUTPUTS,
    "scan": Scan.OUTPUTS,
    "ts": Timing.OUTPUTS,
    "wave8": Wave8.OUTPUTS,
    "xgmd": Xgmd.OUTPUTS,
}
"""What is known of the fields of the data, by type of detector."""


def known_of(detector_type: str, field: str) -> Output | None:
    """What is known of a field; None where nothing is.

    >>> known_of("gmd", "energy").unit
    'mJ'
    """
    return output_of(KNOWN.get(detector_type, {}), field)
