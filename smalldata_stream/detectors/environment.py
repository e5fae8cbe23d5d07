"""The environment of a detector: temperatures, humidity and currents that it measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import (
    NotInRun,
    OneDetector,
    Part,
    Reading,
    small_fields,
)
from smalldata_stream.detectors.fields import Output, Outputs, spec_of
from smalldata_stream.run import RunInfo

WORDS = ("temp", "hum", "curr", "volt", "vin", "therm", "env")
"""What the names of such fields have in them, as ``sht31Hum``, ``pwrAnaVin`` (epix10ka)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment(OneDetector):
    """Temperatures and the like of a detector, to ``/<detector>_env/<field>``.

    Only what the DAQ writes with the frames, as it does for an epix10ka. A jungfrau and an
    epix100 send none; their temperatures are EPICS variables: `Epics`.

    Parameters
    ----------
    fields
        Which fields; None for those whose name has temp, hum, curr, volt, vin, therm or env
        in it.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "*": Output("", dtype="as the data say", shape="as the data say")
    }

    fields: tuple[str, ...] | None = None

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""
        return self.name or f"{self.said}_env"

    def read(self, run: RunInfo) -> Reading:
        """The fields of the environment that the data have."""
        info = self.find(run)
        parts = []
        for signal, one in small_fields(info):
            wanted = (
                any(word in signal.field.lower() for word in WORDS)
                if self.fields is None
                else signal.field in self.fields
            )
            if wanted:
                var = "var_" if one.variable else ""
                parts.append(
                    Part(inputs=(signal,), outputs={f"{var}{signal.field}": spec_of(one)})
                )
        met = {part.inputs[0].field for part in parts}
        lacking = tuple(one for one in self.fields or () if one not in met)
        if not parts:
            raise NotInRun(f"{info.name} has no field of its environment in this run")
        return Reading(parts=tuple(parts), config=self.config(info), lacking=lacking)
