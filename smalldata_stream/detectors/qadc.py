"""A fast digitizer (QADC) whose DAQ reduces each trace to a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import OneDetector
from smalldata_stream.detectors.fields import Output, Outputs


@dataclass(frozen=True, slots=True)
class Qadc(OneDetector):
    """Every field of a channel of the digitizer, as the DAQ reduced it."""

    OUTPUTS: ClassVar[Outputs] = {
        "*": Output("", dtype="as the data say", shape="as the data say")
    }
