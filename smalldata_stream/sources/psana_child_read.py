"""From psana's datagrams to columns: what each detector has in each event."""

# ruff: noqa: SLF001 (psana's datagrams have nothing but private members to ask)
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from smalldata_stream.batch import STRING, Signal, Status
from smalldata_stream.sources.psana_child_columns import (
    Asked,
    ContradictionError,
    Dense,
    FrameRefs,
    Lengths,
    Making,
    Scalars,
    packed,
    ragged,
)
from smalldata_stream.sources.psana_child_describe import Layout, contribution
from smalldata_stream.sources.psana_child_methods import FAILURES
from smalldata_stream.sources.psana_child_places import Places
from smalldata_stream.sources.psana_wire import Packed
from smalldata_stream.xtc2.describe import Description
from smalldata_stream.xtc2.recipes import Place, Recipe


@dataclass(slots=True)
class Group:
    """Columns of one algorithm that come from the same segments."""

    algorithm: str
    segments: list[int]
    """Places among the segments that the algorithm has."""
    columns: list[Making]
    absent: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Derived:
    """A value that psana's own detector class computes."""

    signal: int
    name: Signal
    recipe: Recipe
    compute: Callable[[Any], Any]
    frames: FrameRefs | None
    values: list[Any] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)
    grown: int = 0
    """Bytes beyond those that every event has."""

    def add(self, event: Any, number: int, said: Counter[str]) -> None:
        """Ask psana; what it cannot compute is a gap, and said."""
        try:
            value = self.compute(event)
        except FAILURES as error:
            said[f"{self.name}: psana fails with {type(error).__name__}: {error}"] += 1
            value = None
        if value is None:
            self.absent.append(number)
        elif self.frames is not None:
            self.frames.put([value])
        else:
            self.values.append(np.asarray(value, self.recipe.info.dtype))
            if self.recipe.info.variable:
                self.grown += self.values[-1].nbytes

    def pack(self) -> Any:
        """The values; the next batch begins."""
        if self.frames is not None:
            return self.frames.pack()[0][1]
        values, self.values, self.grown = self.values, [], 0
        info = self.recipe.info
        if info.variable:
            return ragged(values, info.dtype)
        shape = info.shape or (values[0].shape if values else ())
        return np.array(values, info.dtype).reshape(len(values), *shape)


class Reader:
    """The columns of one detector in the making."""

    def __init__(
        self,
        name: str,
        layout: Layout,
        description: Description,
        wanted: Mapping[Signal, int],
        method: Callable[[Signal], Callable[[Any], Any]],
        places: Places,
    ):
        self.name = name
        self.derived: list[Derived] = []
        self._status: list[int] = []
        self._places = {
            algorithm: [Place(name, algorithm, segment) for segment in segments]
            for (detector, algorithm), segments in description.segments.items()
            if detector == name
        }
        every = (place for places in self._places.values() for place in places)
        self._from = {place: layout.streams[place] for place in every}
        self._streams = sorted({stream for some in self._from.values() for stream in some})
        asked: list[tuple[Signal, Asked]] = []
        for signal, number in wanted.items():
            if signal.detector != name:
                continue
            recipe = description.recipes[signal]
            if recipe.derived is not None:
                frames = None
                if recipe.info.frame:
                    whole = replace(recipe, shape=recipe.info.shape)
                    frames = FrameRefs(Asked(number, whole, signal.field), places)
                self.derived.append(Derived(number, signal, recipe, method(signal), frames))
            else:
                origin = Signal(name, signal.algorithm, recipe.field)
                asked.append((signal, Asked(number, recipe, layout.path(origin))))
        self._groups = _groups(asked, self._places, places)
        recipes = [one.recipe for _, one in asked] + [one.recipe for one in self.derived]
        self.grows = any(recipe.info.variable for recipe in recipes)

    @property
    def grown(self) -> int:
        """Bytes so far beyond those that every event has."""
        raw = sum(column.grown for group in self._groups for column in group.columns)
        return raw + sum(one.grown for one in self.derived)

    def read(
        self,
        dgrams: Sequence[Any],
        event: Callable[[Sequence[Any]], Any],
        said: Counter[str],
    ) -> None:
        """Take an event from its datagrams; ``event`` makes psana's object of them."""
        number = len(self._status)
        status, found = self._find(dgrams)
        if status == Status.OK:
            try:
                for group in self._groups:
                    self._take(group, found, number)
            except ContradictionError as error:
                said[f"{self.name}: {error}"] += 1
                status = Status.DAMAGED
                self._forget(number)
        if status == Status.OK:
            if self.derived:
                whole = event(dgrams)
                for one in self.derived:
                    one.add(whole, number, said)
        else:
            for group in self._groups:
                group.absent.append(number)
            for one in self.derived:
                one.absent.append(number)
        self._status.append(status)

    def _take(self, group: Group, found: Mapping[str, Sequence[Any]], number: int) -> None:
        containers = found[group.algorithm]
        if not containers:
            group.absent.append(number)
            return
        if len(containers) != len(group.segments):
            containers = [containers[i] for i in group.segments]
        for column in group.columns:
            column.add(containers)

    def _find(self, dgrams: Sequence[Any]) -> tuple[Status, dict[str, list[Any]]]:
        """Status, and by algorithm the containers of its segments, all or none."""
        found: dict[str, list[Any]] = {}
        for stream in self._streams:
            dgram = dgrams[stream]
            if dgram is not None and dgram._xtc.damage:
                return Status.DAMAGED, found
        for algorithm, places in self._places.items():
            there = []
            for place in places:
                container = contribution(dgrams, place, self._from[place])
                if container is not None:
                    if container._xtc.damage:
                        return Status.DAMAGED, found
                    there.append(container)
            found[algorithm] = there if len(there) == len(places) else []
        return Status.OK if any(found.values()) else Status.MISSING, found

    def _forget(self, number: int) -> None:
        """Undo what was taken of an event that turned out to be damaged."""
        for group in self._groups:
            group.absent[:] = [i for i in group.absent if i != number]
            for column in group.columns:
                column.cut(number - len(group.absent))

    def pack(self) -> Iterator[tuple[int, Packed]]:
        """(number of the signal, column) of the batch."""
        events = len(self._status)
        for group in self._groups:
            for column in group.columns:
                for signal, values in column.pack():
                    yield signal, packed(values, group.absent, events)
            group.absent = []
        for one in self.derived:
            yield one.signal, packed(one.pack(), one.absent, events)
            one.absent = []

    def status(self) -> Any:
        """The status of the events of the batch; the next one begins."""
        status, self._status = np.array(self._status, np.uint8), []
        return status


def _groups(
    asked: Sequence[tuple[Signal, Asked]],
    every: Mapping[str, Sequence[Place]],
    places: Places,
) -> list[Group]:
    """Columns that come from the same segments of the same algorithm, together."""
    groups: dict[tuple[str, tuple[int, ...]], Group] = {}
    scalars: dict[tuple[str, tuple[int, ...]], list[Asked]] = {}
    for signal, one in asked:
        key = (signal.algorithm, one.recipe.segments)
        there = [place.segment for place in every[signal.algorithm]]
        segments = [there.index(segment) for segment in one.recipe.segments]
        group = groups.setdefault(key, Group(signal.algorithm, segments, []))
        info = one.recipe.info
        if info.dtype == STRING or one.recipe.shape == ():
            scalars.setdefault(key, []).append(one)
        elif info.variable:
            group.columns.append(Lengths(one))
        elif info.frame:
            group.columns.append(FrameRefs(one, places))
        else:
            group.columns.append(Dense(one))
    for key, fields in scalars.items():
        groups[key].columns.insert(0, Scalars(fields))
    return list(groups.values())
