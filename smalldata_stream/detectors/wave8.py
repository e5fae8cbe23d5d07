"""A wave8 digitizer: eight diodes, their integrals, and their traces (fim, w8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import OneDetector, Part, Reading
from smalldata_stream.detectors.fields import Output, Outputs, output_of, spec_of
from smalldata_stream.run import DetectorInfo, RunInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave8(OneDetector):
    """Integrals and bases of eight channels, as the digitizer computes them.

    Parameters
    ----------
    raw
        Write the traces, too.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "integral_all": Output("integrals of all channels", "", "int64", "(8,)"),
        "base_all": Output("bases of all channels", "ADU", "int64", "(8,)"),
        "integral_*": Output("integral of a channel, above its base", "", "int32"),
        "base_*": Output("base of a channel", "ADU", "uint16"),
        "integral": Output("integral of the diodes together, by the digitizer"),
        "posX": Output("position of the beam, x, by the digitizer"),
        "posY": Output("position of the beam, y, by the digitizer"),
        "itrigCount": Output("number of the trigger", dtype="uint16"),
        "raw_all": Output("traces; only with raw=True", "ADU", "uint16", "(8, samples)"),
        "raw_*": Output(
            "trace of a channel, where they differ in length", "ADU", "uint16", "(samples,)"
        ),
        "ch*": Output("trace of a channel, of LCLS-I", "ADU", "uint16", "(samples,)"),
        "*": Output("", dtype="as the data say", shape="as the data say"),
    }

    raw: bool = False

    def read(self, run: RunInfo) -> Reading:
        """The reduced values, and the traces where they are asked for."""
        info = self.find(run)
        return Reading(parts=tuple(self._parts(info)), config=self.config(info))

    def _parts(self, info: DetectorInfo) -> Iterator[Part]:
        together = any(name == "raw_all" for _, name in info.fields)
        for signal in info.signals():
            one = info.fields[signal[1:]]
            named = signal.field.startswith(("raw_", "ch"))
            trace = named and one.rank > 0
            if signal.field.startswith("_") or (trace and not self.raw):
                continue
            if trace and together and signal.field != "raw_all":
                continue
            name = f"var_{signal.field}" if one.variable else signal.field
            known = output_of(self.OUTPUTS, signal.field) if trace or not named else None
            yield Part(inputs=(signal,), outputs={name: spec_of(one, known)})
