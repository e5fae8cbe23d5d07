"""What the process that psana's shared-memory client runs in tells about what it got.

A parcel is the parts that came since the last one, in their order. Events lie in slabs:
pieces of memory that both processes have mapped, filled by the child, read by the parent,
and given back when nothing refers to them any more.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

ALIGNMENT = 64
"""Events begin at multiples of this many bytes."""

MOST_SLABS, FEWEST_SLABS = 64, 4

NEWEST, ALL = b"+", b"="
"""What the parent asks for: all but what has waited too long, or that as well."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The client has met its first server: how the memory is divided from now on."""

    slabs: int
    slab_bytes: int


@dataclass(frozen=True, slots=True)
class Connected:
    """A server is there."""


@dataclass(frozen=True, slots=True)
class Looking:
    """No server is there, and the client does not hang."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The server is not there any more; the last word of a child."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A datagram that is no event."""

    raw: bytes


@dataclass(slots=True)
class Events:
    """Consecutive events in one slab.

    ``since`` is when the first of them came, in seconds of the monotonic clock; ``places``
    has offset and size of each, one after the other, as 64-bit integers.

    >>> Events(0, 0.0, array("q", [0, 700, 704, 700])).count
    2
    """

    slab: int
    since: float
    places: array[int]

    @property
    def count(self) -> int:
        """Number of the events."""
        return len(self.places) // 2


@dataclass(frozen=True, slots=True)
class Full:
    """No further event comes in this slab."""

    slab: int


Part: TypeAlias = Opened | Looking | Connected | Gone | Transition | Events | Full


@dataclass(frozen=True, slots=True)
class Parcel:
    """Parts in their order; events lost since the last parcel.

    ``dropped`` had to make room for newer ones, ``broken`` made no sense; ``waiting`` is
    how many events are left for the next parcels.
    """

    parts: Sequence[Part]
    dropped: int = 0
    broken: int = 0
    waiting: int = 0


def divide(memory: int, buffer_bytes: int) -> Opened:
    """``memory`` bytes as slabs that hold at least one of the server's buffers each.

    >>> divide(256 << 20, 1 << 20)
    Opened(slabs=64, slab_bytes=4194304)
    >>> divide(256 << 20, 100 << 20)
    Opened(slabs=4, slab_bytes=104857600)
    """
    slab_bytes = -(-max(memory // MOST_SLABS, buffer_bytes) // 4096) * 4096
    return Opened(min(MOST_SLABS, max(FEWEST_SLABS, memory // slab_bytes)), slab_bytes)
