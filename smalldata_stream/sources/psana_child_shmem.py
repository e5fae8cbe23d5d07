"""The process that owns psana's shared-memory client: copies each datagram out at once.

Started by `smalldata_stream.sources.shmem_process`, never by hand. It never waits for its
parent: when there is no room for a new event, the oldest that wait to be fetched are given
up, a slab at a time, and so are those that have waited too long when others came after
them; they are counted. Transitions are kept apart and never given up.
"""

from __future__ import annotations

import importlib
import importlib.util
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
import types
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smalldata_stream.errors import PsanaError
from smalldata_stream.sources import psana_wire as wire
from smalldata_stream.sources.dies_with_parent import die_with_parent
from smalldata_stream.sources.shmem_messages import (
    ALIGNMENT,
    FEWEST_SLABS,
    NEWEST,
    Connected,
    Events,
    Full,
    Gone,
    Looking,
    Opened,
    Parcel,
    Part,
    Transition,
    divide,
)
from smalldata_stream.xtc2.format import (
    SIZE_OUTSIDE_EXTENT,
    XTC_BYTES,
    Service,
)

_HEADER = struct.Struct("<8xI8xI")
"""Environment and extent in the header of a datagram."""

_FIRST_EVENT = int(Service.L1_ACCEPT_END_OF_BATCH)
"""Services below it are transitions."""

_RETRY_SECONDS = 0.2


def main() -> None:
    """Do as the arguments say: socket, memory file, tag, bytes, stale seconds."""
    die_with_parent()
    talk, memory, tag, nbytes, stale_seconds = sys.argv[1:]
    outbox = Outbox(int(memory), int(nbytes), float(stale_seconds))
    sender = threading.Thread(
        target=outbox.serve, args=[socket.socket(fileno=int(talk))], daemon=True
    )
    sender.start()
    client_class = load_client()
    client = _connect(client_class, tag, outbox)
    outbox.put(Connected())
    _receive(client, outbox)
    outbox.put(Gone())
    # psana's connect keeps Python's lock and may hang, so that what waits here could never
    # be sent: the next server is for the next child.
    while True:
        signal.pause()


def load_client() -> Any:
    """``psana.shmem.PyShmemClient``.

    The extension module is loaded without the package around it, which would initialise
    MPI, take a second, and leave a file in /dev/shm when it is killed. Raises `PsanaError`.
    """
    spec = importlib.util.find_spec("psana")
    if spec is None or spec.submodule_search_locations is None:
        raise PsanaError("psana is not installed")
    package = types.ModuleType("psana")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["psana"] = package
    return importlib.import_module("psana.shmem").PyShmemClient


def _connect(client_class: Any, tag: str, outbox: Outbox) -> Any:
    """A client that is connected, as soon as there is a server."""
    while True:
        client = client_class()
        try:
            if int(client.connect(tag, 0)) == 0:
                return client
        except (AssertionError, MemoryError):
            pass  # psana's words for a server that is not there yet
        del client
        outbox.put(Looking())
        time.sleep(_RETRY_SECONDS)


def _receive(client: Any, outbox: Outbox) -> None:
    """Copy out what the server hands out until it is gone."""
    where = {
        "index": -1,
        "size": 0,
        "cli_cptr": None,
        "eventSkipped": False,
        "transitionsOnly": False,
    }
    while True:
        view = client.get(where)
        if view is None:
            return
        # numpy.asarray would take apart the view's format, in Python, for each event.
        outbox.take(np.frombuffer(view, np.uint8).data)
        client.freeByIndex(where["index"], where["size"])


@dataclass(slots=True)
class Outbox:
    """Datagrams that wait to be fetched, in slabs of the memory file ``memory``."""

    memory: int
    nbytes: int
    stale_seconds: float
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _change: threading.Condition = field(init=False)
    _waiting: bool = False
    _parts: deque[Part] = field(default_factory=deque)
    _dropped: int = 0
    _broken: int = 0
    _division: Opened | None = None
    _mapped: memoryview = field(default_factory=lambda: memoryview(b""))
    _free: deque[int] = field(default_factory=deque)
    _fetched: set[int] = field(default_factory=set)
    _current: int = -1
    _begin: int = 0
    _end: int = 0

    def __post_init__(self) -> None:
        self._change = threading.Condition(self._lock)

    def put(self, part: Part) -> None:
        """Add a part; wakes the sender."""
        with self._lock:
            self._parts.append(part)
            self._wake()

    def _wake(self) -> None:
        if self._waiting:
            self._change.notify()

    def take(self, buffer: memoryview) -> None:
        """Copy the datagram at the beginning of one of the server's buffers.

        This is what each event costs: it looks at few things, and calls few functions.
        """
        if self._division is None:
            self._open(len(buffer))
        env, extent = _HEADER.unpack_from(buffer)
        size = extent + SIZE_OUTSIDE_EXTENT
        whole = extent >= XTC_BYTES and size <= len(buffer)
        if whole and env >> 24 & 15 < _FIRST_EVENT:
            self.put(Transition(bytes(buffer[:size])))
            return
        with self._lock:
            if not whole:
                self._broken += 1
            elif self._room(size):
                self._add(buffer, size)
            else:
                self._dropped += 1
            if self._waiting:
                self._change.notify()

    def _add(self, buffer: memoryview, size: int) -> None:
        end = self._end
        begin = self._begin + end
        self._mapped[begin : begin + size] = buffer[:size]
        parts = self._parts
        last = parts[-1] if parts else None
        if type(last) is not Events or last.slab != self._current:
            last = Events(self._current, time.monotonic(), array("q"))
            parts.append(last)
        last.places.append(end)
        last.places.append(size)
        self._end = end + size + -size % ALIGNMENT

    def _room(self, size: int) -> bool:
        """Whether the current slab has room for an event, now or after a change."""
        assert self._division is not None
        if self._current >= 0:
            if self._end + size <= self._division.slab_bytes:
                return True
            self._parts.append(Full(self._current))
            self._current = -1
        if not self._free:
            self._give_up_oldest()
        if not self._free:
            return False
        self._current, self._end = self._free.popleft(), 0
        self._begin = self._current * self._division.slab_bytes
        return True

    def _open(self, buffer_bytes: int) -> None:
        self._division = divide(self.nbytes, buffer_bytes)
        total = self._division.slabs * self._division.slab_bytes
        os.truncate(self.memory, total)
        self._mapped = memoryview(mmap.mmap(self.memory, total))
        self._free.extend(range(self._division.slabs))
        self.put(self._division)

    def _give_up_oldest(self) -> None:
        """Forget the events of the oldest slab that the parent has seen nothing of."""
        waiting = (one.slab for one in self._parts if isinstance(one, Events))
        oldest = next((slab for slab in waiting if slab not in self._fetched), None)
        if oldest is None:
            return
        kept: deque[Part] = deque()
        for part in self._parts:
            if isinstance(part, Events) and part.slab == oldest:
                self._dropped += part.count
            elif not (isinstance(part, Full) and part.slab == oldest):
                kept.append(part)
        self._parts = kept
        self._free.append(oldest)

    def serve(self, talk: socket.socket) -> None:
        """Answer every request of the parent as soon as there is something to say.

        A request is one of `shmem_messages.NEWEST` and `ALL`, and the slabs that the parent
        has done with, one byte each.
        """
        try:
            while request := talk.recv(1 + 255):
                wire.send(talk, self._parcel(request[:1], request[1:]))
        except OSError:
            pass  # the parent has had enough
        os._exit(0)

    def _parcel(self, which: bytes, done: bytes) -> Parcel:
        with self._change:
            self._fetched.difference_update(done)
            self._free.extendleft(
                done
            )  # what was used last is used next: it is in the cache
            while not (self._parts or self._dropped or self._broken):
                self._waiting = True
                self._change.wait()
                self._waiting = False
            if which == NEWEST:
                self._give_up_stale()
            parts = tuple(self._some())
            waiting = sum(part.count for part in self._parts if isinstance(part, Events))
            parcel = Parcel(parts, self._dropped, self._broken, waiting)
            self._dropped = self._broken = 0
        return parcel

    def _give_up_stale(self) -> None:
        """Forget events that have waited too long, but for those that came last."""
        limit = time.monotonic() - self.stale_seconds
        events = [part for part in self._parts if isinstance(part, Events)]
        stale = [part for part in events[:-1] if part.since < limit]
        if stale:
            self._dropped += sum(part.count for part in stale)
            gone = set(map(id, stale))
            self._parts = deque(part for part in self._parts if id(part) not in gone)

    def _some(self) -> Iterator[Part]:
        """The parts that go with one parcel: the others can still be given up."""
        slabs = self._division.slabs if self._division is not None else 1
        left = max(1, slabs // FEWEST_SLABS)
        while self._parts and (left or not isinstance(self._parts[0], Events)):
            part = self._parts.popleft()
            if isinstance(part, Events):
                left -= 1
                self._fetched.add(part.slab)
            elif isinstance(part, Full):
                self._fetched.add(part.slab)
            yield part


if __name__ == "__main__":
    main()
