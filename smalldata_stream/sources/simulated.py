"""A run in memory, made up from a script: what tests are written with.

Every value is a function of the number of the event, so that a test knows what must come
out; and the script says what goes wrong.

>>> from smalldata_stream.batch import BatchLimits, Signal
>>> script = Script(events=4, items=(Missing("gmd", event=2),))
>>> energy = Signal("gmd", "raw", "energy")
>>> run, = SimulatedSource(script).runs()
>>> batch, = run.batches([energy], BatchLimits())
>>> batch.columns[energy].values, batch.columns[energy].mask
(array([1. , 1.1, 1.3]), array([ True,  True, False,  True]))
>>> script.values(energy, 3)
1.3
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from smalldata_stream.batch import (
    STRING,
    Batch,
    BatchLimits,
    Column,
    Frames,
    Ragged,
    Signal,
    Status,
    Values,
)
from smalldata_stream.errors import SourceError, did_you_mean
from smalldata_stream.protocols import Fault
from smalldata_stream.run import DetectorInfo, FieldInfo, RunInfo
from smalldata_stream.sources.simulated_detectors import DETECTORS, ScriptedDetector


@dataclass(frozen=True, slots=True)
class Missing:
    """The detector has nothing to say in this event."""

    detector: str
    event: int


@dataclass(frozen=True, slots=True)
class Damaged:
    """The detector's contribution to this event is damaged."""

    detector: str
    event: int


@dataclass(frozen=True, slots=True)
class EndStep:
    """A step of the scan ends with an event, and the next begins."""

    after: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The event was there and cannot be delivered; a fault counts it."""

    event: int
    why: str = "the event is damaged"


@dataclass(frozen=True, slots=True)
class Cut:
    """The data stop after an event; nobody knows how many there were."""

    after: int


Item: TypeAlias = Missing | Damaged | EndStep | Lost | Cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a simulated run does.

    Events are numbered from 0. ``detectors`` are those of
    `smalldata_stream.sources.simulated_detectors` or a test's own.

    Raises
    ------
    ValueError
        If an item names a detector or an event that is not in the run.
    """

    events: int = 40
    items: tuple[Item, ...] = ()
    exp: str = "simtut26"
    number: int = 1
    detectors: Mapping[str, ScriptedDetector] = field(default_factory=lambda: DETECTORS)

    def __post_init__(self) -> None:
        for item in self.items:
            event = item.after if isinstance(item, EndStep | Cut) else item.event
            if not 0 <= event < self.events:
                raise ValueError(f"{item}: the run has the events 0 to {self.events - 1}")
            if isinstance(item, Missing | Damaged) and item.detector not in self.detectors:
                raise ValueError(f"{item}: {did_you_mean(item.detector, self.detectors)}")

    def timestamp(self, event: int) -> int:
        """The timestamp of an event: 100 events per second."""
        return 1_000_000 + event // 100 << 32 | event % 100 * 10_000_000

    def step(self, event: int) -> int:
        """The scan step of an event."""
        return sum(isinstance(item, EndStep) and item.after < event for item in self.items)

    def status(self, detector: str, event: int) -> Status:
        """The state of a detector in an event."""
        if Damaged(detector, event) in self.items:
            return Status.DAMAGED
        there = self.detectors[detector].there(event)
        return (
            Status.OK
            if there and Missing(detector, event) not in self.items
            else (Status.MISSING)
        )

    def values(self, signal: Signal, event: int) -> Any:
        """The value that must come out, None where there must be a gap."""
        if self.status(signal.detector, event) is not Status.OK:
            return None
        detector = self.detectors[signal.detector]
        number = self.step(event) if detector.by_step else event
        return detector.fields[signal[1:]][1](number)

    def delivered(self) -> list[int]:
        """Numbers of the events that come out."""
        lost = {item.event for item in self.items if isinstance(item, Lost)}
        return [event for event in range(self.end()) if event not in lost]

    def end(self) -> int:
        """Number of events up to where the data stop."""
        cuts = [item.after + 1 for item in self.items if isinstance(item, Cut)]
        return min([self.events, *cuts])


class SimulatedSource:
    """A source of runs without files, one per script."""

    def __init__(self, *scripts: Script):
        """Without a script, one run of 40 events in which nothing goes wrong."""
        self.scripts = scripts or (Script(),)

    def runs(self) -> Iterator[SimulatedRun]:
        """One run per script."""
        return map(SimulatedRun, self.scripts)


class SimulatedRun:
    """The run of a script."""

    def __init__(self, script: Script):
        self.script = script
        self._faults: list[Fault] = []
        self._used = False

    @property
    def info(self) -> RunInfo:
        """Detectors and fields; the number of events unless the data are cut."""
        script = self.script
        return RunInfo(
            exp=script.exp,
            number=script.number,
            detectors={
                name: _describe(name, one) for name, one in script.detectors.items()
            },
            begin=script.timestamp(0),
            source="script",
            events=script.events if script.end() == script.events else None,
        )

    @property
    def faults(self) -> Sequence[Fault]:
        """What was lost so far."""
        return tuple(self._faults)

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        """The events of the script; see `smalldata_stream.protocols.Run`."""
        for signal in signals:
            fields = self.info.detector(signal.detector).fields
            if signal[1:] not in fields:
                known = [str(Signal(signal.detector, *key)) for key in fields]
                raise SourceError(f"no field {signal}; {did_you_mean(str(signal), known)}")
        if self._used:
            raise SourceError("the batches of a run can be asked for once")
        self._used = True
        return self._batches(tuple(dict.fromkeys(signals)), limits)

    def _batches(self, signals: Sequence[Signal], limits: BatchLimits) -> Iterator[Batch]:
        events: list[int] = []
        held = 0
        for event in self.script.delivered():
            size = sum(np.asarray(self.script.values(s, event)).nbytes for s in signals)
            if events and (len(events) == limits.events or held + size > limits.bytes):
                yield self._batch(signals, events)
                events, held = [], 0
            events.append(event)
            held += size
        if events:
            yield self._batch(signals, events)
        self._faults += _faults(self.script)

    def _batch(self, signals: Sequence[Signal], events: Sequence[int]) -> Batch:
        script = self.script
        detectors = dict.fromkeys(signal.detector for signal in signals)
        return Batch(
            np.array([script.timestamp(event) for event in events], np.uint64),
            np.array([script.step(event) for event in events], np.int32),
            {signal: self._column(signal, events) for signal in signals},
            {
                name: np.array([script.status(name, e) for e in events], np.uint8)
                for name in detectors
            },
        )

    def _column(self, signal: Signal, events: Sequence[int]) -> Column:
        values = [self.script.values(signal, event) for event in events]
        info = self.script.detectors[signal.detector].fields[signal[1:]][0]
        there = np.array([value is not None for value in values])
        return Column(_together([v for v in values if v is not None], info), there)


def _together(values: Sequence[Any], info: FieldInfo) -> Values:
    if info.frame:
        return Frames(values, shape=info.shape, dtype=info.dtype)
    if info.variable:
        return Ragged.of(values, info.dtype)
    if info.dtype == STRING:
        return np.array(values, STRING)
    return np.array(values, info.dtype).reshape(len(values), *(info.shape or ()))


def _faults(script: Script) -> Iterator[Fault]:
    for item in script.items:
        if isinstance(item, Lost) and item.event < script.end():
            yield Fault(f"event {item.event} of the script", item.why, events=1)
        if isinstance(item, Cut) and item.after == script.end() - 1:
            yield Fault(f"after event {item.after} of the script", "the data stop here")


def _describe(name: str, detector: ScriptedDetector) -> DetectorInfo:
    return DetectorInfo(
        name=name,
        type=detector.type,
        fields={key: info for key, (info, _) in detector.fields.items()},
        versions={algorithm: (1, 0, 0) for algorithm, _ in detector.fields},
    )
