"""Event building: events of several streams are those with equal timestamps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import BatchLimits
from smalldata_stream.xtc2.faults import FaultLog

ABSENT = -1
BLOCK_BYTES = 64 << 20
MIN_BLOCK_EVENTS, MAX_BLOCK_EVENTS = 16, 4096


@dataclass(frozen=True, slots=True)
class EventTable:
    """Events in order of time, and per stream the row of each, or ABSENT.

    ``rows`` are the index rows of each stream, in order of time.
    """

    timestamps: NDArray[np.uint64]
    rows: Sequence[NDArray[Any]]
    where: Sequence[NDArray[np.int32] | None]

    def part(
        self, stream: int, begin: int, end: int
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The rows of one stream in events ``begin`` to ``end``, and in which they are."""
        where = self.where[stream]
        if where is None:
            return self.rows[stream][begin:end], np.arange(end - begin)
        there = where[begin:end]
        have = np.flatnonzero(there != ABSENT)
        return self.rows[stream][there[have]], have

    @property
    def block_size(self) -> int:
        """Events of a block: a power of two, so that it begins with a chunk of the output.

        It follows from the mean size of an event.
        """
        events = max(1, len(self.timestamps))
        nbytes = sum(int(rows["size"].sum(dtype=np.int64)) for rows in self.rows)
        fitting = max(1, BLOCK_BYTES * events // max(1, nbytes))
        return max(MIN_BLOCK_EVENTS, min(MAX_BLOCK_EVENTS, 1 << fitting.bit_length() - 1))

    def since(self, timestamp: int) -> int:
        """The number of the first event that is not before ``timestamp``."""
        return int(np.searchsorted(self.timestamps, np.uint64(timestamp)))

    def cut(
        self,
        limits: BatchLimits,
        weights: Sequence[tuple[int, bool]],
        begin: int = 0,
        stop: int | None = None,
    ) -> Iterator[tuple[int, int]]:
        """(begin, end) of batches within ``limits``, of the events ``begin`` to ``stop``.

        ``weights`` has, per stream, the bytes of a contribution, and whether the size of
        the datagram comes on top of it.
        """
        stop = len(self.timestamps) if stop is None else min(stop, len(self.timestamps))
        while begin < stop:
            end = min(begin + limits.events, stop)
            nbytes = np.zeros(end - begin, np.int64)
            for stream, (fixed, with_size) in enumerate(weights):
                rows, have = self.part(stream, begin, end)
                nbytes[have] += rows["size"] + np.int64(fixed) if with_size else fixed
            fitting = int(np.searchsorted(np.cumsum(nbytes), limits.bytes, side="right"))
            end = min(end, begin + max(1, fitting))
            yield begin, end
            begin = end


def build_events(
    streams: Sequence[tuple[str, NDArray[Any]]], faults: FaultLog
) -> EventTable:
    """The events of (name, rows of events) of each stream."""
    rows = [_in_time_order(name, events, faults) for name, events in streams]
    if len(rows) == 1:
        return EventTable(rows[0]["timestamp"], rows, [None])
    times = [one["timestamp"] for one in rows]
    timestamps = np.unique(np.concatenate([np.empty(0, np.uint64), *times]))
    where: list[NDArray[np.int32] | None] = []
    for mine in times:
        if len(mine) == len(timestamps):
            where.append(None)
            continue
        place = np.full(len(timestamps), ABSENT, np.int32)
        place[np.searchsorted(timestamps, mine)] = np.arange(len(mine), dtype=np.int32)
        where.append(place)
    return EventTable(timestamps, rows, where)


def _in_time_order(name: str, rows: NDArray[Any], faults: FaultLog) -> NDArray[Any]:
    """``rows`` with increasing timestamps; the second of two equal ones is a fault."""
    time = rows["timestamp"]
    if (time[1:] > time[:-1]).all():
        return rows
    rows = rows[np.argsort(time, kind="stable")]
    time = rows["timestamp"]
    again = np.append(False, time[1:] == time[:-1])
    if again.any():
        count = int(again.sum())
        what = f"{count} datagrams with the timestamp of another one"
        faults.add(name, int(rows["offset"][np.argmax(again)]), what, 1, events=count)
    kept: NDArray[Any] = rows[~again]
    return kept
