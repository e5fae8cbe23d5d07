"""The second gas monitor detector, after the gas attenuator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import Names, OneDetector
from smalldata_stream.detectors.fields import Outputs
from smalldata_stream.detectors.gmd import GAS_MONITOR


@dataclass(frozen=True, slots=True)
class Xgmd(OneDetector):
    """Pulse energy and position from the ions of a gas, after the attenuator."""

    OUTPUTS: ClassVar[Outputs] = GAS_MONITOR

    detector: Names = "xgmd"
