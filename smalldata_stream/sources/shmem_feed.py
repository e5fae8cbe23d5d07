"""Parts as they come from the child, and where one run ends and the next begins."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.errors import SourceError
from smalldata_stream.sources.shmem_losses import BROKEN, DROPPED, GONE, NO_END, STRAY
from smalldata_stream.sources.shmem_messages import (
    ALL,
    NEWEST,
    Connected,
    Events,
    Full,
    Gone,
    Looking,
    Opened,
    Part,
    Transition,
)
from smalldata_stream.sources.shmem_process import Patience, ShmemProcess
from smalldata_stream.xtc2.format import (
    DGRAM,
    DGRAM_BYTES,
    Bytes,
    Service,
    gather,
    service_of,
)
from smalldata_stream.xtc2.index import ROW

LOG = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_CATCH_UP_SECONDS = 60.0
"""A reader that had to make itself ready has so long to catch up."""

_ANEW_SECONDS = 6.0
"""psana's client can hang on what a killed server has left; then one is started anew."""


def service_of_raw(raw: bytes) -> Service:
    """What a datagram is."""
    return Service(raw[11] & 15)


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """Events in one slab: its bytes and an index row for each; see `Events`."""

    slab: int
    since: float
    buffer: Bytes
    rows: NDArray[Any]

    @property
    def count(self) -> int:
        """Number of the events."""
        return len(self.rows)


Arrival: TypeAlias = Arrived | Gone | Transition


def arrived(part: Events, buffer: Bytes) -> Arrived:
    """The index rows of events that have come."""
    places = np.frombuffer(part.places, np.int64).reshape(-1, 2)
    header = gather(buffer, places[:, 0], DGRAM_BYTES).view(DGRAM)[:, 0]
    rows = np.zeros(len(places), ROW)
    rows["timestamp"], rows["offset"] = header["timestamp"], places[:, 0]
    rows["size"], rows["file"] = places[:, 1], part.slab
    rows["service"] = service_of(header["env"])
    return Arrived(part.slab, part.since, buffer, rows)


@dataclass(slots=True)
class Head:
    """The beginning of a run: its transitions from Configure on, and its first events.

    ``end`` is why there is nothing more, where that is known already.
    """

    transitions: list[bytes]
    events: list[Arrived] = field(default_factory=list)
    end: str | None = None

    @property
    def count(self) -> int:
        """Number of the events."""
        return sum(part.count for part in self.events)

    @property
    def nbytes(self) -> int:
        """Bytes of the events."""
        return sum(int(part.rows["size"].sum(dtype=np.int64)) for part in self.events)


class Feed:
    """All that comes in shared memory, part by part."""

    def __init__(
        self,
        tag: str,
        *,
        memory: int,
        stale_seconds: float,
        timeout: float | None,
    ) -> None:
        """With a ``timeout`` of None a server may be away for ever."""
        self.memory = memory
        self.where = f"shared memory {tag!r}"
        self.counts: Counter[str] = Counter()
        self._tag, self._timeout = tag, timeout
        self._stale_seconds = stale_seconds
        self._process = ShmemProcess(tag, memory, stale_seconds)
        self._parts: deque[Part] = deque()
        self._back: deque[Arrival] = deque()
        self._away: Patience | None = Patience(timeout)
        self._anew_seconds = _ANEW_SECONDS
        self._anew = Patience(_ANEW_SECONDS)
        self._met = False
        self._configure: list[bytes] = []
        self._fresh = False
        self._catching_up: Patience | None = None
        self._left = 0

    @property
    def waiting(self) -> int:
        """Events that have come and were not asked for yet, when last a parcel came."""
        parts = [*self._parts, *self._back]
        fetched = sum(one.count for one in parts if isinstance(one, Events | Arrived))
        return self._left + fetched

    def wait_for_reader(self) -> None:
        """Give up nothing for its age until the reader has caught up with what waits.

        It makes itself ready now, and may be slow for once; as long as there is memory no
        event is lost for that. It has a minute.
        """
        self._catching_up = Patience(_CATCH_UP_SECONDS)

    @property
    def catching_up(self) -> bool:
        """Whether the reader may be far behind what comes."""
        return self._catching_up is not None

    def _caught_up(self, parts: Sequence[Part]) -> bool:
        """Whether what has come has not waited long."""
        assert self._catching_up is not None
        waited = [time.monotonic() - one.since for one in parts if isinstance(one, Events)]
        young = bool(waited) and max(waited) < self._stale_seconds
        return young or self._catching_up.exhausted

    @property
    def process(self) -> ShmemProcess:
        """The child of now."""
        return self._process

    @property
    def idle(self) -> bool:
        """Whether the next arrival has to be fetched."""
        return not (self._parts or self._back)

    def next(self, seconds: float | None = None) -> Arrival | None:
        """The next arrival; None where none comes in so many seconds.

        Raises `PsanaError` when the child dies.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while (arrival := self._ready()) is None:
            left = None if until is None else max(0.0, until - time.monotonic())
            which = NEWEST if self._catching_up is None else ALL
            parcel = self._process.fetch(left, which)
            if parcel is None:
                return None
            if self._catching_up is not None and self._caught_up(parcel.parts):
                self._catching_up = None
            self.counts[DROPPED] += parcel.dropped
            self.counts[BROKEN] += parcel.broken
            self._left = parcel.waiting
            self._parts.extend(parcel.parts)
        return arrival

    def _ready(self) -> Arrival | None:
        """The next of what has been fetched."""
        if self._back:
            return self._back.popleft()
        slabs = self._process.slabs
        while self._parts:
            part = self._parts.popleft()
            if isinstance(part, Opened):
                slabs.open(part)
            elif isinstance(part, Full):
                slabs.full(part.slab)
            elif isinstance(part, Connected):
                LOG.info("%s: connected", self.where)
                self._met, self._away = True, None
                self._anew_seconds = _ANEW_SECONDS
                self.wait_for_reader()
            elif isinstance(part, Looking):
                self._anew_seconds = _ANEW_SECONDS
                self._anew = Patience(_ANEW_SECONDS)
            elif isinstance(part, Events):
                return arrived(part, slabs.get(part.slab))
            else:
                return part
        return None

    def back(self, arrival: Arrival) -> None:
        """Take back what belongs to the next run."""
        self._back.appendleft(arrival)

    def gone(self) -> None:
        """Note that the server has gone."""
        self._away = Patience(self._timeout)
        self._start_anew()
        self._configure, self._fresh = [], False
        LOG.warning("%s: the server has gone; waiting for one", self.where)

    def _patient(self) -> Arrival | None:
        """The next arrival; None when a server has been away for too long.

        Raises `SourceError` when there never was one.
        """
        if self._away is not None and not self._met and self._timeout is None:
            LOG.warning(
                "%s: waiting until there is a server with a client slot (-c) left",
                self.where,
            )
        while True:
            part = self.next(_LOOK_SECONDS if self._away is not None else None)
            if part is not None:
                return part
            if self._away is None:
                continue
            if self._away.exhausted:
                if self._met:
                    LOG.warning("%s: no server came back", self.where)
                    return None
                raise SourceError(
                    f"{self.where}: no server within {self._timeout:g} s; is shmemServer "
                    f"running with -p {self._tag}, on this machine, and has it a client "
                    "slot (-c) left?"
                )
            if self._anew.exhausted:
                # On a busy machine one may only need longer for its first word.
                self._anew_seconds *= 2
                self._start_anew()

    def _start_anew(self) -> None:
        self._process.close()
        self._process = ShmemProcess(self._tag, self.memory, self._stale_seconds)
        self._parts.clear()
        self._left = 0
        self._anew = Patience(self._anew_seconds)

    def next_run(self, first_events: int, first_seconds: float) -> Head | None:
        """The beginning of the next run; None when there will be none.

        It has its first events, so many or those of so many seconds, for their shapes.
        """
        while (part := self._patient()) is not None:
            if isinstance(part, Gone):
                self.gone()
            elif isinstance(part, Arrived):
                if self._fresh:
                    return self._head(part, first_events, first_seconds)
                self.counts[STRAY] += len(part.rows)
            elif isinstance(part, Transition):
                service = service_of_raw(part.raw)
                if service is Service.CONFIGURE:
                    self._configure, self._fresh = [part.raw], True
                elif service is Service.BEGIN_RUN and self._configure:
                    self._configure.append(part.raw)
                    return self._head(None, first_events, first_seconds)
                elif self._fresh:
                    self._configure.append(part.raw)
        return None

    def _head(self, first: Arrived | None, first_events: int, first_seconds: float) -> Head:
        """Collect the beginning of a run that has begun."""
        head = Head(self._configure.copy(), [] if first is None else [first])
        del self._configure[1:]
        self._fresh = False
        until = None if first is None else time.monotonic() + first_seconds
        while head.end is None and head.count < first_events:
            if head.events and head.nbytes >= self.memory // 4:
                break
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                break
            part = self.next(left)
            if isinstance(part, Arrived):
                head.events.append(part)
                until = until or time.monotonic() + first_seconds
            elif isinstance(part, Transition):
                head.end = self.ends(part)
                if head.end is None:
                    head.transitions.append(part.raw)
            elif isinstance(part, Gone):
                head.end = self.ends(part)
        return head

    def ends(self, part: Gone | Transition) -> str | None:
        """Why the run ends with this part, in a word that is empty if all is well.

        What belongs to the next run is taken back.
        """
        if isinstance(part, Gone):
            self.gone()
            return GONE
        service = service_of_raw(part.raw)
        if service in (Service.CONFIGURE, Service.BEGIN_RUN):
            self.back(part)
            return NO_END
        return "" if service is Service.END_RUN else None

    def close(self) -> None:
        """End the child."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
