"""The event loop over psana: closes a batch when its limits are reached."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.run import FieldInfo
from smalldata_stream.sources.psana_child_describe import Layout
from smalldata_stream.sources.psana_child_methods import Methods
from smalldata_stream.sources.psana_child_open import Opened, service
from smalldata_stream.sources.psana_child_places import Places
from smalldata_stream.sources.psana_child_read import Reader
from smalldata_stream.sources.psana_child_slow import SlowReader
from smalldata_stream.sources.psana_messages import Request
from smalldata_stream.sources.psana_wire import Packed, PackedBatch
from smalldata_stream.xtc2.describe import Description
from smalldata_stream.xtc2.format import Service


class Batches:
    """The batches of a run, and the damage met on the way."""

    def __init__(
        self,
        opened: Opened,
        layout: Layout,
        description: Description,
        request: Request,
        methods: Methods,
        times: NDArray[np.uint64] | None = None,
    ):
        """``times`` are those of the events in order, where they are known."""
        self._opened = opened
        self._gate = opened.gate(times)
        self._limits = request.limits
        self._moments = Moments(opened)
        self._signals = {signal: i for i, signal in enumerate(request.signals)}
        self._places = Places(opened)
        self._readers: list[Reader] = []
        self._slow: list[SlowReader] = []
        self._order = request.detectors
        read_per_event = {detector for detector, _ in description.segments}
        for name in self._order:
            if name in read_per_event:
                reader = Reader(
                    name, layout, description, self._signals, methods.get, self._places
                )
                self._readers.append(reader)
            else:
                self._slow.append(SlowReader(name, layout, description, self._signals))
        self._fixed = sum(
            bytes_per_event(description.recipes[signal].info) for signal in request.signals
        )
        self._growing = [reader for reader in self._readers if reader.grows]
        self._step = -1
        self._said: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._events = 0
        self._last = -1
        self._timestamps: list[int] = []
        self._steps: list[int] = []

    @property
    def error(self) -> BaseException | None:
        """What psana raised."""
        return self._moments.error

    def faults(self) -> tuple[Counter[str], Counter[str]]:
        """Datagrams not as they were said to be, and events lost, since the last time."""
        found = Counter(self._said), self._lost
        self._said.clear()
        self._lost = Counter()
        return found

    def read(
        self, skip: int, stop: int | None, progress: Callable[[int], None]
    ) -> Iterator[PackedBatch]:
        """The batches of the events ``skip`` to ``stop``, later than those before.

        What psana raises ends them, and is ``error``.

        ``progress`` is told the number of events that psana has got over.
        """
        began = 0.0
        if self._gate is not None:
            self._gate.open(skip, stop)
        while stop is None or self._events < stop:
            dgrams = self._moments.following()
            if dgrams is None:
                break
            kind = service(dgrams)
            if kind < Service.L1_ACCEPT_END_OF_BATCH:
                self._transition(kind, dgrams)
                continue
            timestamp = next(d for d in dgrams if d is not None).timestamp()
            self._events = self._number(timestamp)
            progress(self._events)
            if self._events <= skip:
                continue
            if timestamp <= self._last:
                self._lost["events that come after one of the same or a later time"] += 1
                continue
            self._last = timestamp
            if not self._timestamps:
                began = time.monotonic()
            self._event(timestamp, dgrams)
            if self._full(began):
                yield self._close()
        if self._timestamps:
            yield self._close()

    def _number(self, timestamp: int) -> int:
        """How many events psana has got over with this one."""
        return self._events + 1 if self._gate is None else self._gate.number(timestamp)

    def _transition(self, kind: int, dgrams: Sequence[Any]) -> None:
        self._step += kind == Service.BEGIN_STEP
        for slow in self._slow:
            slow.update(kind, dgrams)

    def _event(self, timestamp: int, dgrams: Sequence[Any]) -> None:
        self._timestamps.append(timestamp)
        self._steps.append(self._step)
        self._places.next(dgrams)
        for slow in self._slow:
            slow.count()
        for reader in self._readers:
            reader.read(dgrams, self._opened.event, self._said)

    def _full(self, began: float) -> bool:
        events = len(self._timestamps)
        limits = self._limits
        nbytes = events * self._fixed + sum(reader.grown for reader in self._growing)
        late = limits.seconds is not None and time.monotonic() - began >= limits.seconds
        return events >= limits.events or nbytes >= limits.bytes or late

    def _close(self) -> PackedBatch:
        readers: dict[str, Reader | SlowReader] = {
            **{reader.name: reader for reader in self._readers},
            **{slow.name: slow for slow in self._slow},
        }
        columns: list[Packed] = [(np.empty(0), None)] * len(self._signals)
        for reader in readers.values():
            for signal, column in reader.pack():
                columns[signal] = column
        status = [readers[name].status() for name in self._order]
        batch = PackedBatch(
            np.array(self._timestamps, np.uint64),
            np.array(self._steps, np.int32),
            columns,
            status,
            self._events,
        )
        self._timestamps, self._steps = [], []
        return batch


class Moments:
    """The datagrams of a run; ends where psana raises, and keeps what it raised."""

    def __init__(self, opened: Opened):
        self._dgrams = opened.dgrams()
        self._over = False
        self.error: Exception | SystemExit | None = None

    def following(self) -> Sequence[Any] | None:
        """Those of the next event or transition; None at the end."""
        if self._over:
            return None
        try:
            found = next(self._dgrams, None)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (psana raises what it likes)
            self._over, self.error = True, error
            return None
        self._over = found is not None and service(found) == Service.END_RUN
        return None if self._over else found


def bytes_per_event(info: FieldInfo) -> int:
    """Bytes of a field in every event; 0 where they vary."""
    return int(np.prod(info.shape or ())) * info.dtype.itemsize
