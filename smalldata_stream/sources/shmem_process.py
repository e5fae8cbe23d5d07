"""The child process with psana's shared-memory client, and the memory shared with it."""

from __future__ import annotations

import mmap
import os
import time
import weakref
from collections import deque
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from smalldata_stream.errors import PsanaError
from smalldata_stream.sources import psana_wire as wire
from smalldata_stream.sources.child_process import ChildProcess
from smalldata_stream.sources.shmem_messages import NEWEST, Opened, Parcel
from smalldata_stream.xtc2.format import Bytes

TMO = "PSANA_TESTS_SHMEM_TMO"
"""psana's variable: seconds to look for a server before its client says that none is."""


@dataclass(slots=True)
class Slabs:
    """The shared memory as the parent sees it: read-only, and lent slab by slab.

    A slab is handed out as one array; when that array and all views of it are gone, its
    number is among `done`.
    """

    memory: int
    _mapped: mmap.mmap | None = None
    _slab_bytes: int = 0
    _lent: dict[int, Bytes] = field(default_factory=dict)
    _done: deque[int] = field(default_factory=deque)

    def open(self, division: Opened) -> None:
        """Map the memory, which the child has divided."""
        self._slab_bytes = division.slab_bytes
        total = division.slabs * division.slab_bytes
        self._mapped = mmap.mmap(self.memory, total, prot=mmap.PROT_READ)

    def get(self, slab: int) -> Bytes:
        """The bytes of a slab."""
        if slab not in self._lent:
            assert self._mapped is not None
            begin = slab * self._slab_bytes
            lent = np.frombuffer(self._mapped, np.uint8, self._slab_bytes, begin)
            # Views of an array that owns nothing keep that array: it goes with the last.
            weakref.finalize(lent, self._done.append, slab).atexit = False
            self._lent[slab] = lent
        return self._lent[slab]

    def full(self, slab: int) -> None:
        """Keep a slab no longer than what refers to it."""
        if self._lent.pop(slab, None) is None:
            self._done.append(slab)

    def done(self) -> bytes:
        """Numbers of the slabs that nothing refers to any more, one byte each."""
        return bytes(self._done.popleft() for _ in range(len(self._done)))


class ShmemProcess(ChildProcess):
    """psana's client in a process of its own."""

    def __init__(self, tag: str, memory: int, stale_seconds: float) -> None:
        """``memory`` is the number of bytes that may wait or be in use."""
        shared = os.memfd_create("smalldata_stream")
        super().__init__(
            "psana_child_shmem",
            shared,
            tag,
            memory,
            stale_seconds,
            environment={TMO: "1", **os.environ},  # psana's client does not hang
            at_end=partial(os.close, shared),
        )
        self.slabs = Slabs(shared)
        self._asked = False

    def fetch(self, seconds: float | None, which: bytes = NEWEST) -> Parcel | None:
        """What has come; None when nothing does in so many seconds.

        ``which`` is `NEWEST`, or `ALL` for what has waited too long as well.

        Raises
        ------
        PsanaError
            If the child has died; says how, and what it said last.
        """
        try:
            if not self._asked:
                self._talk.settimeout(None)
                self._talk.send(which + self.slabs.done())
                self._asked = True
            self._talk.settimeout(None if seconds is None else max(seconds, 1e-6))
            parcel: Parcel = wire.receive(self._talk)
        except TimeoutError:
            return None
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise self._death() from None
        self._asked = False
        return parcel

    def _death(self) -> PsanaError:
        how, said = self.obituary()
        return PsanaError(f"psana's shared-memory client {how}; it said last: {said}")


@dataclass(slots=True)
class Patience:
    """How long a server may be away: ``seconds`` from when it was last there, or for ever.

    >>> Patience(0.0).exhausted
    True
    >>> Patience(None).exhausted
    False
    """

    seconds: float | None
    _since: float = field(default_factory=time.monotonic)

    @property
    def exhausted(self) -> bool:
        """Whether it has been away too long."""
        return self.seconds is not None and self.away >= self.seconds

    @property
    def away(self) -> float:
        """Seconds since it was there."""
        return time.monotonic() - self._since
