"""An encoder: where a motor is, in each event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from smalldata_stream.batch import Values
from smalldata_stream.detectors.default import (
    Names,
    OneDetector,
    Part,
    Reading,
    handed_on,
    scalar,
)
from smalldata_stream.detectors.fields import Output, Outputs
from smalldata_stream.run import RunInfo


@dataclass(frozen=True, slots=True)
class Encoder(OneDetector):
    """Position and counts of an encoder; of an interpolating one, both kinds of them.

    ``value`` is counts * scale / denominator of the data, in the unit that the controls
    group set up (mm, or urad for rotations). Fields that the data have as read (``raw``)
    and as interpolated to the time of the event are ``raw_value``, ``interpolated_value``
    and so on.

    Parameters
    ----------
    scale, offset
        ``value`` becomes value * scale + offset.
    unit
        Of what comes out.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "value": Output("position", "mm"),
        "raw_value": Output("position as last read", "mm"),
        "interpolated_value": Output("position at the time of the event", "mm"),
        "*": Output("", dtype="as the data say", shape="as the data say"),
    }

    detector: Names = "encoder"
    _: KW_ONLY
    scale: float = 1.0
    offset: float = 0.0
    unit: str = "mm"

    def read(self, run: RunInfo) -> Reading:
        """Every field; positions scaled where that is asked for."""
        info = self.find(run)
        interpolating = "interpolated" in info.versions
        parts = []
        for part in handed_on(info, self.OUTPUTS, prefix=interpolating):
            ((name, _),) = part.outputs.items()
            if part.inputs[0].field == "value":
                known = self.OUTPUTS.get(name, self.OUTPUTS["value"])
                compute = partial(_scaled, name, self.scale, self.offset)
                spec = scalar(known.says, self.unit)
                parts.append(
                    Part(inputs=part.inputs, outputs={name: spec}, compute=compute)
                )
            else:
                parts.append(part)
        return Reading(parts=tuple(parts), config=self.config(info))


def _scaled(name: str, scale: float, offset: float, value: Any) -> Mapping[str, Values]:
    return {name: np.asarray(value, np.float64) * scale + offset}
