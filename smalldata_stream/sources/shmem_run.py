"""One run that comes in shared memory: as an index of slabs, read like a file."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.errors import SourceError
from smalldata_stream.protocols import Fault, Queue
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.files_describe import describe_run
from smalldata_stream.sources.files_events import EventTable
from smalldata_stream.sources.files_reader import RunReader, check_signals
from smalldata_stream.sources.files_runs import StreamRun
from smalldata_stream.sources.files_stream import MappedFile, Stream
from smalldata_stream.sources.shmem_feed import Arrived, Feed, Head
from smalldata_stream.sources.shmem_losses import DROPPED, EARLY, LATE, TWICE, Losses
from smalldata_stream.sources.shmem_messages import MOST_SLABS, Gone, Transition
from smalldata_stream.timestamps import nanoseconds
from smalldata_stream.xtc2.describe import Description, completed, unknown
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import Bytes, Service
from smalldata_stream.xtc2.index import walk_headers

_TRANSITIONS = MOST_SLABS
"""Number of the transitions among the files of the stream; the others are slabs."""

_PAUSE_SECONDS = 0.03
"""Events that come within so much time come in one parcel, while others wait already."""

_LOOK_SECONDS = 1.0
"""Time between two looks for new shapes in events that are not larger than all before."""

_NOTHING: Bytes = np.empty(0, np.uint8)


@dataclass(slots=True)
class Memory(MappedFile):
    """Bytes that are no file, in the place of one."""

    def refresh(self) -> bool:
        """There is nothing behind it that could grow."""
        return False


@dataclass(slots=True)
class ShmemRun:
    """One run; implements `smalldata_stream.protocols.Run`.

    A batch is closed by the limits, by the end of the run, and before too much of the
    shared memory waits in it. Frames are views of the memory that the child has copied
    them to; while one is in use, so is its slab.
    """

    feed: Feed
    head: Head
    losses: Losses
    alone: bool = True
    _log: FaultLog = field(default_factory=FaultLog)
    _stream: Stream = field(init=False)
    _description: Description = field(init=False)
    _info: RunInfo = field(init=False)
    _rows: list[NDArray[Any]] = field(default_factory=list)
    _since: float = 0.0
    _begin: int = 0
    _last: int = -1
    _pauses: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    _enables: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(1, np.uint64))
    _end: str | None = None
    _reader: RunReader | None = None
    _unknown: set[Signal] = field(default_factory=set)
    _largest: int = 0
    _look_due: float = 0.0
    _used: bool = False
    _new_signals: bool = True

    def __post_init__(self) -> None:
        self._stream = self._new_stream(self._log)
        others = self._take_transitions(self.head.transitions)
        for one in self.head.events:
            self._add(one)
        part = StreamRun.of(
            self._stream, np.concatenate([others, *(one.rows for one in self.head.events)])
        )
        self._description = describe_run([part], self._log)
        self._unknown = unknown(self._description)
        self._largest = max((int(r["size"].max()) for r in self._rows), default=0)
        begun = part.transitions(Service.BEGIN_RUN)["timestamp"]
        self._begin = int(begun[0]) if len(begun) else 0
        exp, number = part.told or ("", 0)
        self._info = RunInfo(
            exp=exp,
            number=number,
            detectors=self._description.detectors,
            begin=part.begin,
            source=self.feed.where,
        )
        self._finish(self.head.end)
        self._count()

    def _new_stream(self, log: FaultLog) -> Stream:
        path = Path(self.feed.where)
        files: list[MappedFile] = [Memory(path) for _ in range(MOST_SLABS + 1)]
        return Stream(path, log, files)

    def _look_again(self) -> None:
        """Learn the shapes of detectors that have not shown themselves until now."""
        rows = np.concatenate(self._rows)
        largest, now = int(rows["size"].max()), time.monotonic()
        if largest <= self._largest and now < self._look_due:
            return
        self._largest, self._look_due = max(self._largest, largest), now + _LOOK_SECONDS
        log = FaultLog()  # what is wrong was told the first time
        stream = self._new_stream(log)
        begin = b"".join(self.head.transitions)
        stream.files[_TRANSITIONS].buffer = np.frombuffer(begin, np.uint8)
        others = walk_headers(stream.files[_TRANSITIONS].buffer, 0, _TRANSITIONS).rows
        stream.extend(others)
        stream.files[:MOST_SLABS] = self._stream.files[:MOST_SLABS]
        seen = describe_run([StreamRun.of(stream, np.concatenate([others, rows]))], log)
        self.learn(seen)

    @property
    def description(self) -> Description:
        """What is known of the data of the run."""
        return self._description

    def learn(self, description: Description) -> None:
        """Take over the shapes that events which did not come here have shown."""
        more = completed(self._description, description)
        if unknown(more) == self._unknown:
            return
        self._description, self._unknown = more, unknown(more)
        self._info = replace(self._info, detectors=more.detectors)
        if self._reader is not None:
            self._reader.describe(more)

    @property
    def info(self) -> RunInfo:
        """What the run holds, as far as its events have shown it.

        It is another object once they have shown the shape of something more.
        """
        return self._info

    @property
    def faults(self) -> Sequence[Fault]:
        """What was lost so far, and damage met; counts grow while the run goes on."""
        return [*self.losses.faults(), *self._log.faults()]

    @property
    def queue(self) -> Queue:
        """The events that wait to be given, and those that were given up while they did."""
        waiting = self.feed.waiting + sum(len(rows) for rows in self._rows)
        return Queue(waiting, self.losses.counts[DROPPED])

    @property
    def behind(self) -> bool:
        """Whether the reader has yet to catch up with what came when it was not ready."""
        return self.feed.catching_up

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._end is not None

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        """The events as they come; ends with the run, or when the server goes away.

        Raises `SourceError` for a signal that the run has not got.
        """
        if self._used:
            raise SourceError("the batches of a run can be asked for once")
        self._used = True
        check_signals(self._info, signals)
        return self._batches(signals, limits)

    def ask(self, signals: Collection[Signal]) -> None:
        """Read these signals from the next batch on; raises `SourceError` as `batches`."""
        check_signals(self._info, signals)
        self._new_signals = True
        self.feed.wait_for_reader()
        if self._reader is not None:
            self._reader.ask(signals)

    def _batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        reader = RunReader(
            self._description, [self._stream], signals, self._log, askable=True
        )
        self._reader = reader
        reader.take_transitions(self._stream, self._stream.rows)
        while True:
            if self._due(limits):
                if self._unknown:
                    self._look_again()
                new, self._new_signals = self._new_signals, False
                if new:  # kernels may be compiled for them now ...
                    self.feed.wait_for_reader()
                yield from reader.batches(self._table(), limits)
                if new:  # ... and there is as much time afterwards for what came meanwhile
                    self.feed.wait_for_reader()
                reader.forget(max(self._last, 0))
                self._forget()
            if self.ended:
                return
            self._receive(reader, self._left(limits))

    def enabled(self, timestamps: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """For each event the Enable before it, the same for all clients of a server.

        Between two events with the same Enable one that is missing was lost.
        """
        at = np.searchsorted(self._enables, timestamps, side="right") - 1
        return self._enables[at]

    def skip(self) -> None:
        """Go to the end of the run; what comes until then is given up."""
        while not self.ended:
            arrival = self.feed.next()
            if isinstance(arrival, Gone | Transition):
                self._end = self.feed.ends(arrival)
        self._forget()

    def _receive(self, reader: RunReader, seconds: float | None) -> None:
        if self._rows and seconds is not None and self.feed.idle:
            # What comes meanwhile comes at once: asking for each event costs more than it.
            pause = min(max(seconds, 0.0), _PAUSE_SECONDS)
            time.sleep(pause)
            seconds = max(seconds - pause, 0.0)
        arrival = self.feed.next(seconds)
        self._count()
        if isinstance(arrival, Arrived):
            self._add(arrival)
        elif arrival is not None:
            self._finish(self.feed.ends(arrival))
            if isinstance(arrival, Transition) and not self._end:
                reader.take_transitions(self._stream, self._take_transitions([arrival.raw]))
                self._stream.rows = self._stream.rows[:0]  # there is no end to them

    def _count(self) -> None:
        """Take over what the feed has counted."""
        self.losses.counts += self.feed.counts
        self.feed.counts.clear()

    def _finish(self, end: str | None) -> None:
        self._end = end
        if end:
            self.losses.counts[end] += 1

    def _add(self, part: Arrived) -> None:
        if not self._rows:
            self._since = part.since
        self._stream.files[part.slab].buffer = part.buffer
        self._rows.append(part.rows)

    def _take_transitions(self, raws: Sequence[bytes]) -> NDArray[Any]:
        """Index rows of transitions, which are all that is kept of them."""
        buffer = np.frombuffer(b"".join(raws), np.uint8)
        self._stream.files[_TRANSITIONS].buffer = buffer
        rows = walk_headers(buffer, 0, _TRANSITIONS).rows
        self._stream.extend(rows)
        self._pauses = with_more(self._pauses, rows, Service.DISABLE)
        self._enables = with_more(self._enables, rows, Service.ENABLE)
        return rows

    def _due(self, limits: BatchLimits) -> bool:
        """Whether the events that wait have to be given now."""
        if not self._rows:
            return False
        if self.ended:
            return True
        waiting = sum(len(rows) for rows in self._rows)
        nbytes = sum(int(rows["size"].sum(dtype=np.int64)) for rows in self._rows)
        if waiting >= limits.events or nbytes >= min(limits.bytes, self.feed.memory // 4):
            return True
        left = self._left(limits)
        return left is not None and left <= 0 and self.feed.idle

    def _left(self, limits: BatchLimits) -> float | None:
        """Seconds until the events that wait are too old."""
        if not self._rows or limits.seconds is None:
            return None
        return self._since + limits.seconds - time.monotonic()

    def _table(self) -> EventTable:
        """The events that wait, in order of time; those that have no place are counted."""
        rows = np.concatenate(self._rows)
        rows = rows[np.argsort(rows["timestamp"], kind="stable")]
        times = rows["timestamp"]
        twice, late = np.zeros((2, len(rows)), bool)
        if self._last >= 0:
            twice, late = times == np.uint64(self._last), times < np.uint64(self._last)
        twice[1:] |= times[1:] == times[:-1]
        early = times < np.uint64(self._begin)
        counts = self.losses.counts
        counts[TWICE] += int(np.count_nonzero(twice & ~early & ~late))
        counts[EARLY] += int(np.count_nonzero(early))
        counts[LATE] += int(np.count_nonzero(late & ~early))
        rows = rows[~(twice | early | late)]
        if self.alone:
            self._look_for_gaps(rows["timestamp"])
        elif len(rows):
            self._last = int(rows["timestamp"][-1])
        return EventTable(rows["timestamp"], [rows], [None])

    def _look_for_gaps(self, timestamps: NDArray[np.uint64]) -> None:
        if not len(timestamps):
            return
        last = timestamps[:1] if self._last < 0 else np.array([self._last], np.uint64)
        times = np.concatenate([last, timestamps])
        step = np.searchsorted(self._pauses, times)
        together = step[1:] == step[:-1]
        self.losses.gaps.add(np.diff(nanoseconds(times))[together])
        self._last = int(timestamps[-1])
        self._pauses = self._pauses[step[-1] :]

    def _forget(self) -> None:
        """Give the slabs back, as far as nothing else refers to them."""
        self._rows = []
        for file in self._stream.files[:MOST_SLABS]:
            file.buffer = _NOTHING
        self.head.events.clear()


def with_more(
    times: NDArray[np.uint64], rows: NDArray[Any], service: Service
) -> NDArray[np.uint64]:
    """``times``, in order, with those of the transitions of a kind among ``rows``."""
    more = rows["timestamp"][rows["service"] == service]
    return np.union1d(times, more) if len(more) else times
