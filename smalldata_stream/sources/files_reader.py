"""From a table of events to batches: one reader for finished and for growing files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Batch, BatchLimits, Signal, Status
from smalldata_stream.errors import SourceError, did_you_mean
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.files_events import EventTable
from smalldata_stream.sources.files_stream import Stream
from smalldata_stream.xtc2.decode import Decoder
from smalldata_stream.xtc2.describe import Description
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import Service
from smalldata_stream.xtc2.inforce import InForce
from smalldata_stream.xtc2.recipes import Kind
from smalldata_stream.xtc2.transitions import Block

SETTLE_EVENTS = 4096


@dataclass(slots=True)
class RunReader:
    """Decodes chosen signals of the streams of one run.

    ``askable``: the values in force of all signals are followed, so that others can be
    chosen at any time.
    """

    description: Description
    streams: Sequence[Stream]
    signals: Collection[Signal]
    faults: FaultLog
    askable: bool = False
    _decoder: Decoder = field(init=False)
    _in_force: InForce = field(init=False)
    _begun: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    def __post_init__(self) -> None:
        self.ask(self.signals)
        followed = self.description.recipes if self.askable else self.signals
        self._in_force = InForce(self.description, followed, self.faults)

    def ask(self, signals: Collection[Signal]) -> None:
        """Decode these signals from the next batch on."""
        self.signals = list(dict.fromkeys(signals))
        self._decoder = Decoder(self.description, self.signals, self.faults)

    def describe(self, description: Description) -> None:
        """Go by a description that knows more, from the next batch on."""
        self.description = description
        self.ask(self.signals)

    def forget(self, timestamp: int) -> None:
        """No event before ``timestamp`` will come any more."""
        self._in_force.forget(timestamp)

    def take_transitions(self, stream: Stream, rows: NDArray[Any]) -> None:
        """Note the steps and slow values among further rows of a stream."""
        for service, kind in (
            (Service.SLOW_UPDATE, Kind.SLOW),
            (Service.BEGIN_STEP, Kind.STEP),
        ):
            some = rows[rows["service"] == service]
            self._in_force.add(stream.blocks(some, np.arange(len(some))), kind)
        steps = rows["timestamp"][rows["service"] == Service.BEGIN_STEP]
        if len(steps):
            self._begun = np.union1d(self._begun, steps)

    def batches(
        self,
        table: EventTable,
        limits: BatchLimits,
        begin: int = 0,
        stop: int | None = None,
    ) -> Iterator[Batch]:
        """The events ``begin`` to ``stop`` of ``table`` within ``limits``."""
        weights = [self._decoder.weight(one.configurations) for one in self.streams]
        for first, end in table.cut(limits, weights, begin, stop):
            yield self._batch(table, first, end)

    def settle(self, table: EventTable, begin: int, stop: int) -> None:
        """Find shapes that only the first value says, in the events ``begin`` to ``stop``.

        Without this a reader that begins in the middle of a run might settle for another
        shape than one that began before.
        """
        for first in range(begin, stop, SETTLE_EVENTS):
            if not self._decoder.unsettled:
                return
            end = min(stop, first + SETTLE_EVENTS)
            self._decoder.settle(self._blocks(table, first, end), end - first)

    def _blocks(self, table: EventTable, begin: int, end: int) -> list[Block]:
        return [
            block
            for number, stream in enumerate(self.streams)
            for block in stream.blocks(*table.part(number, begin, end))
        ]

    def _batch(self, table: EventTable, begin: int, end: int) -> Batch:
        timestamps = table.timestamps[begin:end]
        columns, status = self._decoder.decode(self._blocks(table, begin, end), end - begin)
        slow = self._in_force.columns(timestamps, self.signals)
        for detector in {signal.detector for signal in slow} - set(status):
            masks = [c.mask for signal, c in slow.items() if signal.detector == detector]
            there = np.logical_or.reduce(masks)
            status[detector] = np.where(there, Status.OK, Status.MISSING).astype(np.uint8)
        columns |= slow
        steps = np.searchsorted(self._begun, timestamps, side="right") - 1
        in_order = {signal: columns[signal] for signal in self.signals}
        return Batch(timestamps, steps.astype(np.int32), in_order, status)


def check_signals(info: RunInfo, signals: Collection[Signal]) -> None:
    """Raise SourceError, with near spellings, for a signal that a run has not got."""
    for signal in signals:
        detector = info.detector(signal.detector)
        recorded = detector.recorded or {}  # looking at the others may start psana
        key = (signal.algorithm, signal.field)
        if key not in recorded and key not in detector.fields:
            known = [".".join(key) for key in detector.fields]
            asked = f"{signal.algorithm}.{signal.field}"
            raise SourceError(f"no signal {signal}; " + did_you_mean(asked, known))
