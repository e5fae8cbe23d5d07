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

    Runs converted from LCLS-I may carry what psana made of the camera's images: all of its
    results under psana's names, or one profile per bunch (``time_0``, ``power_0`` ...).
    That is written. It is not made from the images here. psana's module for it needs a dark
    and a lasing-off reference from the calibration database, OpenCV and scikit-learn; that
    of psana 4.3.4 cannot be imported beside numpy 2, and cannot make a lasing-off reference
    with scikit-learn 1.4 or newer. A run that has images alone is said to have no profile.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "t": Output("time axis of the profile", "fs", shape="(samples,)"),
        "time*": Output("time axis of the profile", "fs", shape="(samples,)"),
        "powerAgreement": Output("how well the profiles of two methods agree"),
        "powerrawERMS": Output("power by the energy spread, not normalised"),
        "power*": Output("power of the X-rays", "GW", shape="(samples,)"),
        "agreement": Output("how well the profiles of two methods agree"),
        "pulse*": Output("properties of the pulse"),
        "success": Output("how far psana came with the image", dtype="int64"),
        "arSize*": Output("samples of the profile", dtype="int64"),
        "bunchdelay*": Output("delay of each bunch after the first", "fs"),
        "bunchenergydiff*": Output("energy of each bunch above the first", "MeV"),
        "xrayenergy": Output("pulse energy, of the gas detector", "J"),
        "lasingenergyperbunch*": Output("pulse energy of each bunch", "J"),
        "lasingECurrent": Output("electrons per second of the shot", "1/s"),
        "nolasingECurrent": Output("electrons per second of the reference", "1/s"),
        "lasingE*": Output("energy, mean or spread, of the slices of the shot", "MeV"),
        "nolasingE*": Output("energy, mean or spread, of those of the reference", "MeV"),
        "num_bunches": Output("number of bunches", dtype="int64"),
        "groupnum": Output("which of the reference's groups was taken", dtype="int32"),
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
                "psana.xtcav of LCLS-I makes one, with the references of its calibration "
                "database",
            )
        return Reading(parts=tuple(parts), config=self.config(info))
