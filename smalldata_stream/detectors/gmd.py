"""The gas monitor detector: energy and position of each pulse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import Names, OneDetector
from smalldata_stream.detectors.fields import Output, Outputs

GAS_MONITOR: Outputs = {
    "energy": Output("pulse energy", "mJ"),
    "millijoulesperpulse": Output("pulse energy", "mJ", "float32"),
    "xpos": Output("position of the beam, x", "mm"),
    "ypos": Output("position of the beam, y", "mm"),
    "POSY": Output("position of the beam, y", "mm", "float32"),
    "avgIntensity": Output("average intensity"),
    "rmsElectronSum": Output("rms of the electron signal, summed", dtype="int64"),
    "electron*BkgNoiseAvg": Output("mean noise of an electron signal", dtype="int16"),
    "RMS_E*": Output("rms of an electron signal", dtype="float32"),
}
"""Fields of gmd and xgmd, of all versions of their data."""


@dataclass(frozen=True, slots=True)
class Gmd(OneDetector):
    """Pulse energy and position from the ions of a gas, before the attenuator."""

    OUTPUTS: ClassVar[Outputs] = GAS_MONITOR

    detector: Names = "gmd"
