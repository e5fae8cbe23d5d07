"""Damage: which detectors were there and undamaged, in each event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smalldata_stream.detectors.default import Reading
from smalldata_stream.detectors.fields import Output, Outputs
from smalldata_stream.run import RunInfo

SLOW = ("epics", "scan")
"""Not read out event by event: they have no damage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """For every detector of the run, whether it was there and undamaged.

    It comes from what the DAQ says, not from the values: one that looks like a fill value
    is no damage. Detectors that the graph reads have it without this word.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "*": Output("1 where the detector is there and undamaged", dtype="bool")
    }

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""
        return "damage"

    def read(self, run: RunInfo) -> Reading:
        """Every detector that is read out."""
        every = (name for name in run.detectors if name not in SLOW)
        return Reading(damage=tuple(every))
