"""What psana reads of its small data: the events of one block after the other.

psana gets over an event in its small data at a small part of what it costs to read it, and
its ``DataSource(timestamps=...)`` reads chosen events alone. But those must be known when
the run is opened, and blocks are not: they are handed out while others read. So psana's
batches of small data are cut here, as its own filter would have cut them, when it is known
which events are wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

PsanaBatch = tuple[dict[int, tuple[Any, ...]], Any]
"""psana's: by the rank that it is for, here 0, the small data and more."""

_NEVER = np.iinfo(np.uint64).max
_END_OF_BATCH = 11
"""This and what is above are the services of events."""


class Gate:
    """psana's batches of small data, one by one, without the events that are not wanted.

    Transitions come in any case, each once and in its place.
    """

    def __init__(self, chunks: Iterable[Iterator[PsanaBatch]], times: NDArray[np.uint64]):
        """``chunks`` is psana's reader of small data, ``times`` has all events in order."""
        self._batches = (batch for chunk in chunks for batch in chunk)
        self._times = np.append(times, _NEVER)
        self._first, self._stop = np.uint64(0), _NEVER
        self._batch: PsanaBatch = ({}, None)
        self._small = SmallData(b"")
        self._at = 0

    def open(self, skip: int, stop: int | None) -> None:
        """Let the events ``skip`` to ``stop`` pass, which are later than those before."""
        last = len(self._times) - 1
        self._first = self._times[min(skip, last)]
        self._stop = self._times[last if stop is None else min(stop, last)]

    def number(self, timestamp: int) -> int:
        """How many events there are up to this time."""
        return int(np.searchsorted(self._times, np.uint64(timestamp), side="right"))

    def __next__(self) -> Iterator[PsanaBatch]:
        """One batch, as psana asks for it; StopIteration where no more is wanted."""
        while True:
            small = self._small
            if self._at == len(small.times):
                self._batch = next(self._batches)
                given = self._batch[0].get(0)  # none, or nothing in it, is passed over
                self._small = small = SmallData(given[0] if given else b"")
                self._at = 0
            later = np.flatnonzero(small.events & (small.times >= self._stop))
            begin, end = self._at, int(later[0]) if len(later) else len(small.times)
            wanted = ~small.events | (small.times >= self._first)
            kept = begin + np.flatnonzero(wanted[begin:end])
            self._at = end
            if len(kept):
                by_rank, steps = self._batch
                batch = {0: (small.only(kept), *by_rank[0][1:])}, steps
                return iter([batch])
            if end < len(small.times):
                raise StopIteration


class SmallData:
    """A batch of psana's small data: events and transitions, then their sizes and number.

    Of each the datagrams of all streams that have one follow another, then a footer.

    Attributes
    ----------
    times
        Of each event and transition, ``uint64``.
    events
        Which are events.
    """

    def __init__(self, packed: bytes | bytearray):
        self._bytes = np.frombuffer(packed, np.uint8)
        count = int.from_bytes(packed[-4:], "little") if packed else 0
        footer = self._bytes[len(packed) - 4 * (count + 1) : len(packed) - 4]
        self._sizes = footer.copy().view(np.uint32).astype(np.int64)
        self._begins = np.cumsum(self._sizes) - self._sizes
        heads = self._bytes[self._begins[:, None] + np.arange(12)].view(np.uint32)
        self.times = heads[:, 1].astype(np.uint64) << np.uint64(32) | heads[:, 0]
        self.events = (heads[:, 2] >> 24 & 15) >= _END_OF_BATCH

    def only(self, kept: NDArray[np.int64]) -> bytearray:
        """A batch of these alone, packed as psana packs them."""
        pieces = [
            self._bytes[begin : begin + size].tobytes()
            for begin, size in zip(self._begins[kept], self._sizes[kept], strict=True)
        ]
        sizes = np.append(self._sizes[kept], len(kept)).astype(np.uint32)
        return bytearray(b"".join([*pieces, sizes.tobytes()]))
