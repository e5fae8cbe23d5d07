"""The spectrometer in the front-end enclosure: a spectrum of every pulse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import Names, OneDetector
from smalldata_stream.detectors.fields import Output, Outputs


@dataclass(frozen=True, slots=True)
class FeeSpec(OneDetector):
    """The spectrum and its peaks; the peaks of an event are of any number."""

    OUTPUTS: ClassVar[Outputs] = {
        "hproj": Output("spectrum", dtype="int32", shape="(width,)"),
        "com": Output("centre of mass of the spectrum", "pixel"),
        "comRaw": Output("centre of mass without background subtraction", "pixel"),
        "baseline": Output("background below the spectrum"),
        "integral": Output("integral of the spectrum"),
        "width": Output("columns of the spectrum", "pixel", "uint32"),
        "hproj_y1": Output("first row of the camera in the spectrum", "pixel", "uint32"),
        "hproj_y2": Output("last row of the camera in the spectrum", "pixel", "uint32"),
        "nPeaks": Output("number of peaks", dtype="uint32"),
        "var_peakPos": Output("position of each peak", "pixel", shape="(peaks,)"),
        "var_peakHeight": Output("height of each peak", shape="(peaks,)"),
        "var_FWHM": Output("width of each peak", "pixel", "int32", "(peaks,)"),
    }

    detector: Names = "feespec"
