"""The phase cavity: when the electrons came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import Names, OneDetector
from smalldata_stream.detectors.fields import Output, Outputs


@dataclass(frozen=True, slots=True)
class PhaseCavity(OneDetector):
    """Arrival time and charge of the electrons, from two cavities."""

    OUTPUTS: ClassVar[Outputs] = {
        "fitTime1": Output("arrival at cavity 1", "ps", also=("fit_time_1",)),
        "fitTime2": Output("arrival at cavity 2", "ps", also=("fit_time_2",)),
        "charge1": Output("charge at cavity 1", "pC", also=("charge_1",)),
        "charge2": Output("charge at cavity 2", "pC", also=("charge_2",)),
    }

    detector: Names = "pcav"
