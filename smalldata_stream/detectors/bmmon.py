"""A beam monitor: intensity and position of the beam from diodes behind a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import OneDetector
from smalldata_stream.detectors.fields import Output, Outputs


@dataclass(frozen=True, slots=True)
class Bmmon(OneDetector):
    """Intensity, position and peak heights of a beam monitor, under the names of LCLS-II.

    `Ipm` gives the same detector under the names of LCLS-I (sum, xpos, ypos, channels).
    """

    OUTPUTS: ClassVar[Outputs] = {
        "totalIntensityJoules": Output("pulse energy", "J", also=("TotalIntensity",)),
        "xPositionMeters": Output("position of the beam, x", "m", also=("X_Position",)),
        "yPositionMeters": Output("position of the beam, y", "m", also=("Y_Position",)),
        "peakAmplitude": Output(
            "height of the peak in each channel", shape="(16,)", also=("peakA",)
        ),
        "peakTime": Output(
            "time of the peak in each channel", "samples", "uint16", "(16,)", ("peakT",)
        ),
    }
