"""The gas detectors before and after the attenuator: energy of each pulse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import Names, OneDetector
from smalldata_stream.detectors.fields import Output, Outputs


def _gas(where: str, also: str) -> Output:
    return Output(f"pulse energy, {where}", "mJ", also=(also,))


@dataclass(frozen=True, slots=True)
class GasDetector(OneDetector):
    """Energy of the pulses before and after the gas attenuator, six readings."""

    OUTPUTS: ClassVar[Outputs] = {
        "f11ENRC": _gas("before the attenuator, tube 1", "f_11_ENRC"),
        "f12ENRC": _gas("before the attenuator, tube 2", "f_12_ENRC"),
        "f21ENRC": _gas("after the attenuator, tube 1", "f_21_ENRC"),
        "f22ENRC": _gas("after the attenuator, tube 2", "f_22_ENRC"),
        "f63ENRC": _gas("after the attenuator, tube 1, for small signals", "f_63_ENRC"),
        "f64ENRC": _gas("after the attenuator, tube 2, for small signals", "f_64_ENRC"),
    }

    detector: Names = "gasdet"
