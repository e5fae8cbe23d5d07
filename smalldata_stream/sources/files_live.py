"""Growing files: read what is there, wait for more, end at EndRun.

`smalldata_stream.sources.files_wait` waits for the run to be there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.errors import CorruptData, SourceError
from smalldata_stream.protocols import Fault
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.fallback import unknown_in
from smalldata_stream.sources.files_blocks import GrowingBlocks
from smalldata_stream.sources.files_describe import describe_run
from smalldata_stream.sources.files_events import EventTable, build_events
from smalldata_stream.sources.files_reader import RunReader, check_signals
from smalldata_stream.sources.files_runs import StreamRun, begin_of, identity
from smalldata_stream.sources.files_stream import (
    GROWING,
    MappedFile,
    Stream,
    chunk_named,
    next_chunk,
)
from smalldata_stream.xtc2.describe import Description
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import Service
from smalldata_stream.xtc2.index import ROW, walk_headers

LOG = logging.getLogger(__name__)
LIVE_BLOCK_EVENTS = 128
NEVER = int(np.iinfo(np.uint64).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFiles:
    """How to wait for data at the end of files that are being written.

    Attributes
    ----------
    silence_seconds
        After so long without a byte in a stream that has not ended, reading fails; after so
        long without one that makes sense, the stream ends there, with a fault.
    poll_seconds
        Time between looks at the files.
    """

    silence_seconds: float = 60.0
    poll_seconds: float = 0.2

    def __post_init__(self) -> None:
        if self.silence_seconds <= 0 or self.poll_seconds <= 0:
            raise ValueError(f"times to wait are above zero, not {self}")


@dataclass(slots=True)
class GrowingStream:
    """A stream whose files grow; ``rows`` are those not handed on yet.

    It is ``garbled`` where it goes on with what is no datagram. That is waited for, too: on
    a file system of several machines bytes may be zero before they are what was written.
    """

    stream: Stream
    growing: bool
    ended: bool = False
    heard: float = field(default_factory=time.monotonic)
    seen: int = 0
    problem: str = ""
    garbled: bool = False
    rows: NDArray[Any] = field(default_factory=lambda: np.empty(0, ROW))
    _named: str | None = None

    def poll(self) -> NDArray[Any]:
        """Further rows, and note whether the stream has come to its end."""
        if self.ended:
            return np.empty(0, ROW)
        file = self.stream.files[-1]
        grown = file.refresh()
        found = self._walk(file, grown=grown)
        following = next_chunk(self.stream, self._named)
        if following is not None and file.refresh():
            # Its last bytes came after the look at it, and before the next file was made.
            grown = True
            found = np.concatenate([found, self._walk(file, grown=True)])
        closed = self.growing and not grown and not file.path.name.endswith(GROWING)
        whole = file.walked == len(file.buffer)
        if following is not None and (whole or closed) and not self.ended:
            self._tell_problem()
            self.stream.files.append(MappedFile(following))
            more = self._walk(self.stream.files[-1], grown=True)
            found = np.concatenate([found, more])
        elif closed and not self._expects_more():
            self.end_here()
        return found

    def end_here(self) -> None:
        """Read no further."""
        self.ended = True
        self._tell_problem()

    def _tell_problem(self) -> None:
        """What is left of a file, and is no datagram, is a fault."""
        if self.problem:
            file = self.stream.files[-1]
            what = f"{self.problem}; nothing is read from there on"
            self.stream.faults.add(str(file.path), file.walked, what, 1)

    def _expects_more(self) -> bool:
        """Whether a further file was announced that is not there yet."""
        here = [file.path.name.removesuffix(GROWING) for file in self.stream.files]
        return self._named is not None and self._named not in here

    def _walk(self, file: MappedFile, *, grown: bool) -> NDArray[Any]:
        walked = walk_headers(file.buffer, file.walked, len(self.stream.files) - 1)
        file.walked, self.problem = walked.end, walked.problem
        self.garbled = bool(walked.problem) and not walked.short
        if grown and not self.garbled:
            self.heard = time.monotonic()
        try:
            self.stream.extend(walked.rows)
        except CorruptData as error:
            if not self.stream.configurations:
                raise
            self.stream.faults.add(str(error.path), error.offset, error.what, 1)
            self.ended = True
        found, self.stream.rows = self.stream.rows, self.stream.rows[:0].copy()
        if len(found):
            self.seen = max(self.seen, int(found["timestamp"].max()))
            self.ended |= bool((found["service"] == Service.END_RUN).any())
            self._named = chunk_named(self.stream, found) or self._named
        self.rows = np.concatenate([self.rows, found])
        return found

    def take(self, until: int) -> NDArray[Any]:
        """Rows of the events up to a time; they are not kept."""
        ready = self.rows["timestamp"] <= until
        taken, self.rows = self.rows[ready], self.rows[~ready]
        events: NDArray[Any] = taken[taken["service"] >= Service.L1_ACCEPT_END_OF_BATCH]
        return events


def raise_if_silent(
    streams: Sequence[GrowingStream], live: LiveFiles, looked: float
) -> None:
    """Raise SourceError for a stream that has not ended and from which nothing comes.

    One from which no sense comes ends. ``looked`` is when the last look at the files began:
    what it took is no silence.
    """
    for one in streams:
        if one.ended or looked - one.heard <= live.silence_seconds:
            continue
        if one.garbled and one.stream.configurations:
            one.end_here()
            continue
        file = one.stream.files[-1]
        end = f"; what is there at its end: {one.problem}" if one.problem else ""
        raise SourceError(
            f"{file.path}: nothing new for {live.silence_seconds:g} s and no EndRun "
            f"(read up to byte {file.walked} of {len(file.buffer)}{end})"
        )


@dataclass(slots=True)
class LiveRun:
    """A run that is being written; implements `smalldata_stream.protocols.Run`.

    An event is given once every stream has come to its time, so all of it is there.
    """

    growing: Sequence[GrowingStream]
    live: LiveFiles
    log: FaultLog
    _description: Description = field(init=False)
    _info: RunInfo = field(init=False)
    _used: bool = False
    _given: int | None = None

    def __post_init__(self) -> None:
        parts = [StreamRun.of(one.stream, one.rows) for one in self.growing]
        self._description = describe_run(parts, self.log)
        exp, number = identity(parts)
        self._info = RunInfo(
            exp=exp,
            number=number,
            detectors=self._description.detectors,
            begin=begin_of(parts),
            # The names they have in the end: a job that is resumed may find those.
            source="growing files: "
            + ", ".join(str(one.stream.path).removesuffix(GROWING) for one in self.growing),
        )
        for name, words in unknown_in(self._description).items():
            what = "its fields are those of the data alone, as psana reads no growing files"
            LOG.warning("%s (%s): not known here; %s", name, words, what)

    @property
    def info(self) -> RunInfo:
        """What the run holds, as far as its first events show it."""
        return self._info

    @property
    def faults(self) -> Sequence[Fault]:
        """Damage met so far, added up by file and kind."""
        return self.log.faults()

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        """The events in order of time as they come; ends when every stream has ended.

        Raises `SourceError` when a stream falls silent, after what is there was given.
        """
        reader = self._reader(signals, self.log)
        return (b for table in self._tables(reader) for b in reader.batches(table, limits))

    def blocks(self, signals: Collection[Signal], limits: BatchLimits) -> GrowingBlocks:
        """The run in blocks, for several readers; see `protocols.Divisible`.

        Each reader follows the files itself; a block is read while its events come.
        """
        damage = FaultLog()
        reader = self._reader(signals, damage)
        return GrowingBlocks(
            reader, self._tables(reader), limits, damage, size=LIVE_BLOCK_EVENTS
        )

    def _reader(self, signals: Collection[Signal], log: FaultLog) -> RunReader:
        if self._used:
            raise SourceError("the batches of a run can be asked for once")
        self._used = True
        check_signals(self._info, signals)
        streams = [one.stream for one in self.growing]
        return RunReader(self._description, streams, signals, log)

    def _tables(self, reader: RunReader) -> Iterator[EventTable]:
        """The events as they are complete."""
        for one in self.growing:
            reader.take_transitions(one.stream, one.rows)
            one.heard = time.monotonic()  # silence is counted while somebody listens
        while True:
            asked = time.monotonic()
            yield self._complete()
            for one in self.growing:
                one.heard += time.monotonic() - asked
            if all(one.ended for one in self.growing):
                return
            time.sleep(self.live.poll_seconds)
            looked = time.monotonic()
            for one in self.growing:
                reader.take_transitions(one.stream, one.poll())
            try:
                raise_if_silent(self.growing, self.live, looked)
            except SourceError:
                yield self._complete(everything=True)
                raise

    def _complete(self, *, everything: bool = False) -> EventTable:
        """The events that all streams have passed."""
        until = min((one.seen for one in self.growing if not one.ended), default=NEVER)
        rows = [
            (str(one.stream.path), self._in_time(one, NEVER if everything else until))
            for one in self.growing
        ]
        table = build_events(rows, self.log)
        if len(table.timestamps):
            self._given = int(table.timestamps[-1])
        return table

    def _in_time(self, one: GrowingStream, until: int) -> NDArray[Any]:
        """Events of a stream up to a time; those the others have passed are lost."""
        rows = one.take(until)
        if self._given is None:
            return rows
        late = rows["timestamp"] <= np.uint64(self._given)
        if late.any():
            count, where = int(late.sum()), int(rows["offset"][np.argmax(late)])
            what = f"{count} datagrams older than events given before"
            self.log.add(str(one.stream.path), where, what, 1, events=count)
        kept: NDArray[Any] = rows[~late]
        return kept
