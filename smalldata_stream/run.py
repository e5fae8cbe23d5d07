"""What a run holds: its experiment and number, its detectors and their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smalldata_stream.batch import Signal
from smalldata_stream.errors import SourceError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldInfo:
    """One field of a detector's algorithm.

    Attributes
    ----------
    dtype
        numpy dtype of the values as they reach the graph; `STRING` for text.
    rank
        Number of dimensions of one event's value, segments stacked.
    shape
        Shape of one event's value; None where it is not known before the first event, or
        varies.
    variable
        True where the length varies from event to event (values are then `Ragged`).
    frame
        True where values come as `Frames`, not stacked (64 kB per event and more).
    """

    dtype: np.dtype[Any]
    rank: int = 0
    shape: tuple[int, ...] | None = None
    variable: bool = False
    frame: bool = False
    unit: str = ""
    long_name: str = ""
    enum: Mapping[int, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorInfo:
    """A detector as the run describes it.

    ``fields`` is by (algorithm, field); ``versions`` by algorithm. EPICS variables are the
    fields of the detector ``epics``, scan variables those of ``scan``: each event has the
    value that was in force. ``serial`` has the serial numbers of the segments, joined with
    ``_``, as the calibration database knows them. ``config`` has what Configure says of the
    detector, by (algorithm, field); one value, or a tuple with one per segment.
    """

    name: str
    type: str
    fields: Mapping[tuple[str, str], FieldInfo]
    versions: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    segments: tuple[int, ...] = (0,)
    serial: str = ""
    config: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    recorded: Mapping[tuple[str, str], FieldInfo] | None = field(
        default=None, compare=False, repr=False
    )

    def signals(self) -> Iterator[Signal]:
        """Every field as a signal, in the order of the data."""
        return (Signal(self.name, *key) for key in self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What is known of a run before its first event.

    Attributes
    ----------
    exp, number
        Experiment and run number as the data say; ``""`` and 0 where they do not.
    begin
        Timestamp of the first transition or event.
    source
        Where the data come from, for people and for the record.
    events
        Number of events, where it is known beforehand.
    """

    exp: str
    number: int
    detectors: Mapping[str, DetectorInfo]
    begin: int = 0
    source: str = ""
    events: int | None = None

    def detector(self, name: str) -> DetectorInfo:
        """The detector ``name``; SourceError with near spellings if there is none."""
        if name not in self.detectors:
            raise SourceError(
                f"no detector {name!r} in run {self.number}; "
                + did_you_mean(name, self.detectors)
            )
        return self.detectors[name]
