"""The scan: where its motors are, and which step it is at (control)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from smalldata_stream.detectors.default import (
    STEP,
    Part,
    Reading,
    find,
    handed_on,
)
from smalldata_stream.detectors.fields import Output, Outputs
from smalldata_stream.protocols import Spec
from smalldata_stream.run import RunInfo

DOCSTRING = "step_docstring"
"""The DAQ's own description of a step; it is long, and the same for all its events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Every variable of the scan, and the number of the step of each event.

    ``varStep`` counts the steps from 0, also where the motors come back to a position. An
    event before the first step is a gap.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "varStep": Output("number of the scan step, from 0", dtype="int32"),
        "step_value": Output("number of the step as the DAQ counts it"),
        "lxt": Output("delay of the laser", "s"),
        "*": Output("", dtype="as the data say", shape="as the data say"),
    }

    name: str = "scan"

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""
        return self.name

    def read(self, run: RunInfo) -> Reading:
        """All but the description of the step."""
        info = find(run, "scan")
        parts = [
            part
            for part in handed_on(info, self.OUTPUTS)
            if part.inputs[0].field != DOCSTRING
        ]
        spec = Spec(dtype=np.dtype(np.int32), long_name=self.OUTPUTS["varStep"].says)
        parts.append(Part(inputs=(STEP,), outputs={"varStep": spec}))
        return Reading(parts=tuple(parts), config={"detname": info.name})
