"""Event building: the streams of a run as one sequence of datagrams, byte by byte.

The server reads one stream of datagrams, so contributions with equal timestamps become one
datagram. Each stream numbers its names ids for itself; here they are numbered anew.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.errors import SourceError
from smalldata_stream.sources.files_events import ABSENT, EventTable, build_events
from smalldata_stream.sources.files_runs import StreamRun
from smalldata_stream.sources.files_stream import Stream
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import (
    DGRAM_BYTES,
    HEADER,
    NAMES_ID_MASK,
    XTC_BYTES,
    Bytes,
    Service,
    TypeId,
)
from smalldata_stream.xtc2.index import ROW
from smalldata_stream.xtc2.names import Malformed, Names, children
from smalldata_stream.xtc2.recipes import Kind, kind_of
from smalldata_stream.xtc2.walk import walk

_DGRAM = struct.Struct("<QIIHHI")
_NAMES_PER_NODE = 256
_OF_FILES = ("smdinfo", "chunkinfo")
"""What is said of files and not of the run."""

_PLAYED = range(Service.BEGIN_RUN, Service.SLOW_UPDATE + 1)
"""Transitions that the server passes on; Configure goes its own way."""


class Item(NamedTuple):
    """One datagram of a built run; ``make`` gives its bytes."""

    timestamp: int
    service: Service
    make: Callable[[], bytes]


def datagram(timestamp: int, env: int, damage: int, payload: bytes) -> bytes:
    """A datagram with ``payload`` as its children.

    >>> len(datagram(1, 12 << 24, 0, b"abc"))
    27
    """
    head = _DGRAM.pack(timestamp, env, 0, damage, TypeId.PARENT, XTC_BYTES + len(payload))
    return head + payload


def bare(timestamp: int, service: Service) -> Item:
    """A transition without contents."""
    return Item(timestamp, service, partial(datagram, timestamp, service << 24, 0, b""))


@dataclass(slots=True)
class BuiltRun:
    """One run of several streams as one; ``skipped`` contributions made no sense."""

    parts: Sequence[StreamRun]
    skipped: int = 0
    _tables: list[dict[int, int]] = field(default_factory=list)
    _events: EventTable = field(init=False)
    _patches: list[_Patches] = field(init=False)
    configure: bytes = b""

    def __post_init__(self) -> None:
        for part in self.parts:
            if len(part.configurations) > 1:
                raise SourceError(
                    f"{part.stream.path}: a Configure within a run cannot be played"
                )
        self.configure = self._configure()
        self._events = build_events(
            [(str(part.stream.path), part.events) for part in self.parts], FaultLog()
        )
        self._patches = [
            _Patches.of(part.stream, rows, table)
            for part, rows, table in zip(
                self.parts, self._events.rows, self._tables, strict=True
            )
        ]
        self.skipped = sum(int(one.bad.sum()) for one in self._patches)

    @property
    def largest(self) -> int:
        """An upper bound of the bytes of a datagram."""
        sizes = [
            int(rows["size"].max(initial=0))
            for part in self.parts
            for rows in (part.events, part.others)
        ]
        return max(len(self.configure), sum(sizes), DGRAM_BYTES)

    @property
    def count(self) -> int:
        """Number of events."""
        return len(self._events.timestamps)

    def events(self) -> Iterator[Item]:
        """The events in order of time."""
        for number, timestamp in enumerate(self._events.timestamps.tolist()):
            yield Item(timestamp, Service.L1_ACCEPT, partial(self._event, number))

    def _event(self, number: int) -> bytes:
        """The datagram of one event: what its streams say, one after the other."""
        timestamp = int(self._events.timestamps[number])
        env, damage, payloads = Service.L1_ACCEPT << 24, 0, []
        for rows, where, patches in zip(
            self._events.rows, self._events.where, self._patches, strict=True
        ):
            row = number if where is None else int(where[number])
            if row == ABSENT or patches.bad[row]:
                continue
            raw = patches.stream.file(int(rows["file"][row])).buffer
            start = int(rows["offset"][row])
            _, env, _, hurt, _, _ = _DGRAM.unpack(
                raw[start : start + DGRAM_BYTES].tobytes()
            )
            payload = raw[start + DGRAM_BYTES : start + int(rows["size"][row])].copy()
            # The damage of one stream must not spread over the others.
            alone = len(self.parts) == 1
            patches.apply(row, payload, 0 if alone else hurt)
            damage |= hurt if alone else 0
            payloads.append(payload.tobytes())
        return datagram(timestamp, env, damage, b"".join(payloads))

    def transitions(self) -> Iterator[Item]:
        """The transitions but Configure; those of one moment in several streams are one."""
        found: dict[tuple[int, int], list[tuple[int, NDArray[np.void]]]] = {}
        for number, part in enumerate(self.parts):
            for row in part.others:
                service = int(row["service"])
                if service not in _PLAYED:
                    continue
                once = service in (Service.BEGIN_RUN, Service.END_RUN)
                key = (0 if once else int(row["timestamp"]), service)
                found.setdefault(key, []).append((number, np.array([row], ROW)))
        for (_, service), rows in found.items():
            times = [int(row["timestamp"][0]) for _, row in rows]
            timestamp = max(times) if service == Service.END_RUN else min(times)
            payload = b"".join(self._contents(number, row) for number, row in rows)
            raw = datagram(timestamp, service << 24, 0, payload)
            yield Item(timestamp, Service(service), partial(bytes, raw))

    def _configure(self) -> bytes:
        known: set[tuple[object, ...]] = set()
        count = 0
        payloads: list[bytes] = []
        begin = min(part.begin for part in self.parts)
        for number, part in enumerate(self.parts):
            table: dict[int, int] = {}
            configuration = part.stream.configurations[part.configuration]
            for names in configuration.names.values():
                same = _same(names)
                if names.detector in _OF_FILES:
                    continue
                if kind_of(names) is not Kind.EVENT and same in known:
                    continue  # what every stream says is said once
                known.add(same)
                node, index = divmod(count, _NAMES_PER_NODE)
                table[names.id] = (node + 1) << 8 | index
                count += 1
            self._tables.append(table)
            row = np.array([part.stream.configure_rows[part.configuration]], ROW)
            payloads.append(self._contents(number, row))
        return datagram(begin, Service.CONFIGURE << 24, 0, b"".join(payloads))

    def _contents(self, number: int, row: NDArray[np.void]) -> bytes:
        """The contents of a transition of one stream, with the new names ids."""
        stream, table = self.parts[number].stream, self._tables[number]
        buffer = stream.file(int(row["file"][0])).buffer
        start, size = int(row["offset"][0]), int(row["size"][0])
        pieces = []
        try:
            for at, src, damage, kind, extent in children(
                buffer, start + DGRAM_BYTES, start + size
            ):
                new = table.get(src & NAMES_ID_MASK)
                if new is not None:
                    src = src & ~NAMES_ID_MASK | new
                    pieces.append(HEADER.pack(src, damage, kind, extent))
                    pieces.append(buffer[at + XTC_BYTES : at + extent].tobytes())
        except Malformed:
            self.skipped += 1
        return b"".join(pieces)


def _same(names: Names) -> tuple[object, ...]:
    return (names.detector, names.type, names.algorithm, names.segment, names.fields)


@dataclass(slots=True)
class _Patches:
    """Where in the events of a stream names ids stand, and what goes there."""

    stream: Stream
    bad: NDArray[np.bool_]
    first: NDArray[np.int64]
    places: NDArray[np.int64]
    ids: NDArray[np.uint32]

    @classmethod
    def of(cls, stream: Stream, rows: NDArray[np.void], table: dict[int, int]) -> _Patches:
        """The patches of ``rows``, places counted from the first child."""
        bad = np.zeros(len(rows), bool)
        events, places, ids = [], [], []
        for block in stream.blocks(rows, np.arange(len(rows))):
            found = walk(block.buffer, block.starts, block.sizes, set(table))
            bad[block.events[found.bad]] = True
            for names_id, sent in found.sent.items():
                events.append(block.events[sent.rows])
                places.append(sent.starts - block.starts[sent.rows] - DGRAM_BYTES)
                ids.append(np.full(len(sent.rows), table[names_id], np.uint32))
        event = np.concatenate([np.empty(0, np.int64), *events])
        order = np.argsort(event, kind="stable")
        first = np.searchsorted(event[order], np.arange(len(rows) + 1))
        place = np.concatenate([np.empty(0, np.int64), *places])[order]
        new = np.concatenate([np.empty(0, np.uint32), *ids])[order]
        return cls(stream, bad, first, place, new)

    def apply(self, row: int, payload: Bytes, damage: int) -> None:
        """Write the new names ids into the children of an event, and add damage."""
        view = payload.data
        for at in range(int(self.first[row]), int(self.first[row + 1])):
            place = int(self.places[at])
            src, hurt, contains, extent = HEADER.unpack_from(view, place)
            src = src & ~NAMES_ID_MASK | int(self.ids[at])
            HEADER.pack_into(view, place, src, hurt | damage, contains, extent)
