"""The X-band cavity (XTCAV): power of the X-rays over time, shot by shot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import (
    Names,
    NotInRun,
    OneDetector,
    Part,
    Reading,
    small_fields,
)
from smalldata_stream.detectors.fields import Output, Outputs, output_of, spec_of
from smalldata_stream.run import RunInfo


@dataclass(frozen=True, slots=True)
class Xtcav(OneDetector):
    """The power profile, where the data have it.

    Runs converted from LCLS-I may carry what psana made of the camera's images; that is
    written. It is not made from the images here: psana's module for it needs a dark and a
    lasing-off reference in the calibration database and a computer-vision library that
    psana does not install. A run that has images alone is said to have no profile.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "time*": Output("time axis of the profile", "fs", shape="(samples,)"),
        "power*": Output("power of the X-rays", "GW", shape="(samples,)"),
        "agreement": Output("how well the profiles of two methods agree"),
        "pulse*": Output("properties of the pulse"),
    }

    detector: Names = "xtcav"

    def read(self, run: RunInfo) -> Reading:
        """The profile as the data have it."""
        info = self.find(run)
        parts = []
        for signal, one in small_fields(info):
            known = output_of(self.OUTPUTS, signal.field)
            if known is not None:
                name = f"var_{signal.field}" if one.variable else signal.field
                parts.append(Part(inputs=(signal,), outputs={name: spec_of(one, known)}))
        if not any(part.inputs[0].field.startswith("power") for part in parts):
            raise NotInRun(
                f"{info.name} has images and no power profile in this run",
                "make it with psana.xtcav and its references, which need the calibration "
                "database",
            )
        return Reading(parts=tuple(parts), config=self.config(info))
