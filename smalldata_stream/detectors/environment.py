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
from smalldata_stream.detectors.fields import Output, Outputs, output_of, spec_of
from smalldata_stream.errors import did_you_mean
from smalldata_stream.run import RunInfo

UNITS = {"TempC": "degC", "CurrmA": "mA"}
"""What the end of a field's name says of its unit; the others say nothing."""

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

    Raises
    ------
    ValueError
        If ``fields`` is one text.
    """

    OUTPUTS: ClassVar[Outputs] = {
        **{f"*{end}": Output("as the detector measures it", u) for end, u in UNITS.items()},
        "*": Output("", dtype="as the data say", shape="as the data say"),
    }

    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.fields, str):
            raise ValueError(f"fields={self.fields!r}: write a list, [{self.fields!r}]")

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
                name = f"var_{signal.field}" if one.variable else signal.field
                spec = spec_of(one, output_of(self.OUTPUTS, signal.field))
                parts.append(Part(inputs=(signal,), outputs={name: spec}))
        met = {part.inputs[0].field for part in parts}
        lacking = tuple(one for one in self.fields or () if one not in met)
        there = [signal.field for signal, _ in small_fields(info)]
        hint = did_you_mean(lacking[0] if lacking else "", there)
        if not parts:
            raise NotInRun(
                f"{info.name} has no field of its environment in this run"
                + (f" called {' or '.join(map(repr, lacking))}" if lacking else ""),
                f"{hint}; temperatures may be EPICS variables: g.epics(...)",
            )
        return Reading(
            parts=tuple(parts), config=self.config(info), lacking=lacking, hint=hint
        )
