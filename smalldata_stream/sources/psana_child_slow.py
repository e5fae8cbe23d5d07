"""EPICS and scan variables: each event has the value that was in force."""

# ruff: noqa: SLF001 (psana's containers have nothing but private members to ask)
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smalldata_stream.batch import STRING, Signal, Status
from smalldata_stream.sources.psana_child_columns import Asked, packed, ragged, scalars
from smalldata_stream.sources.psana_child_describe import SERVICES, Layout, contribution
from smalldata_stream.sources.psana_wire import Packed
from smalldata_stream.xtc2.describe import Description
from smalldata_stream.xtc2.recipes import Place


@dataclass(slots=True)
class Variable:
    """One variable: its values, and the number of the event from which each holds."""

    asked: Asked
    place: Place
    streams: Sequence[int]
    service: int
    since: list[int] = field(default_factory=lambda: [0])
    values: list[Any] = field(default_factory=lambda: [None])

    def update(self, dgrams: Sequence[Any], events: int) -> bool:
        """Take the value of a transition; False if it has none that is good."""
        for stream in self.streams:
            container = contribution(dgrams, self.place, [stream])
            if container is None or container._xtc.damage:
                continue
            try:
                value = self.asked.get(container)
            except AttributeError:
                continue
            self.since.append(events)
            self.values.append(value.copy() if isinstance(value, np.ndarray) else value)
            return True
        return False

    def pack(self, events: int) -> Packed:
        """The column of the batch; the last value goes on into the next."""
        counts = np.diff([*self.since, events])
        there = [value is not None for value in self.values]
        held = [
            value
            for value, count in zip(self.values, counts, strict=True)
            if value is not None
            for _ in range(count)
        ]
        absent = np.flatnonzero(~np.repeat(there, counts)).tolist()
        self.since, self.values = [0], self.values[-1:]
        return packed(self._column(held), absent, events)

    def _column(self, held: list[Any]) -> Any:
        info = self.asked.recipe.info
        if info.dtype == STRING or info.shape == ():
            return scalars(held, info.dtype, 1)
        if info.variable:
            return ragged(held, info.dtype)
        shape = info.shape or (held[0].shape if held else ())
        return np.stack(held) if held else np.empty((0, *shape), info.dtype)


class SlowReader:
    """The variables of ``epics`` or ``scan``."""

    def __init__(
        self,
        name: str,
        layout: Layout,
        description: Description,
        wanted: Mapping[Signal, int],
    ):
        self.name = name
        self._events = 0
        self._status: list[int] = []
        self._state = Status.MISSING
        self._variables: list[Variable] = []
        for signal, number in wanted.items():
            if signal.detector == name:
                recipe = description.recipes[signal]
                place = Place(name, signal.algorithm, recipe.segments[0])
                origin = Signal(name, signal.algorithm, recipe.field)
                asked = Asked(number, recipe, layout.path(origin))
                streams = layout.streams[place]
                service = SERVICES[recipe.kind]
                self._variables.append(Variable(asked, place, streams, service))

    def update(self, service: int, dgrams: Sequence[Any]) -> None:
        """Take the values of a transition; they hold from the next event on."""
        for variable in self._variables:
            if variable.service == service and variable.update(dgrams, self._events):
                self._state = Status.OK

    def count(self) -> None:
        """One more event."""
        self._events += 1
        self._status.append(self._state)

    def pack(self) -> Iterator[tuple[int, Packed]]:
        """(number of the signal, column) of the batch."""
        for variable in self._variables:
            yield variable.asked.signal, variable.pack(self._events)

    def status(self) -> Any:
        """The status of the events of the batch; the next one begins."""
        status, self._status, self._events = np.array(self._status, np.uint8), [], 0
        return status
