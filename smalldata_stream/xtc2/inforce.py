"""EPICS and scan values: what the last transition at or before an event said."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import STRING, Array, Column, Mask, Ragged, Signal
from smalldata_stream.xtc2.columns import Want, dtype_of, take_fields
from smalldata_stream.xtc2.describe import Description
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.layout import Layouts
from smalldata_stream.xtc2.names import Names
from smalldata_stream.xtc2.recipes import Kind, Recipe, kind_of
from smalldata_stream.xtc2.transitions import Block
from smalldata_stream.xtc2.walk import Sent, walk


@dataclass(slots=True)
class _Series:
    """The values of one signal so far and when each came into force.

    ``shape`` is that of one, None where it varies, is text, or was not met yet.
    """

    shape: tuple[int, ...] | None
    times: list[NDArray[np.uint64]] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    sorted: tuple[NDArray[np.uint64], Any] | None = None


@dataclass(slots=True)
class InForce:
    """Columns of EPICS and scan signals; fed with transitions as they are found."""

    description: Description
    signals: Collection[Signal]
    faults: FaultLog
    _series: dict[Signal, _Series] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for signal in self.signals:
            recipe = self.description.recipes[signal]
            if recipe.kind is not Kind.EVENT:
                self._series[signal] = _Series(recipe.shape)

    def add(self, blocks: Iterable[Block], kind: Kind) -> None:
        """Take the values of some SlowUpdates or BeginSteps."""
        for block in blocks if self._series else ():
            found = walk(block.buffer, block.starts, block.sizes, block.configuration.names)
            self.faults.add_problems(block.path, found.problems)
            for names_id, sent in found.sent.items():
                names = block.configuration.names[names_id]
                if kind_of(names) is kind:
                    keep = (sent.damage == 0) & ~found.bad[sent.rows]
                    self._take(block, names, sent.only(keep))

    def _take(self, block: Block, names: Names, sent: Sent) -> None:
        places = {one.plain: i for i, one in enumerate(names.fields)}
        for signal, series in self._series.items():
            recipe = self.description.recipes[signal]
            place = places.get(recipe.field)
            mine = signal[:2] == (names.detector, names.algorithm)
            if not mine or place is None or names.segment not in recipe.segments:
                continue
            if dtype_of(names.fields[place].type) != recipe.info.dtype:
                continue
            layouts = Layouts(names)
            if recipe.by_first_value and series.shape is None:
                series.shape = layouts.first_shape(block.buffer, sent, place)
                if series.shape is None:
                    continue
            want = Want(place=place, dtype=recipe.info.dtype, shape=series.shape)
            taken = take_fields(block.buffer, layouts, sent, {recipe.field: want})
            self.faults.add_problems(block.path, taken.problems)
            series.times.append(block.timestamps[sent.rows][taken.good])
            series.values.append(taken.values[recipe.field])
            series.sorted = None

    def forget(self, timestamp: int) -> None:
        """Let go of what is no longer in force at ``timestamp``."""
        for signal, series in self._series.items():
            times, values = _in_order(series, self.description.recipes[signal])
            first = int(np.searchsorted(times, np.uint64(timestamp), side="right")) - 1
            if first > 0:
                series.times, series.values = [times[first:]], [values[first:]]
                series.sorted = (times[first:], values[first:])

    def columns(
        self, timestamps: NDArray[np.uint64], signals: Collection[Signal]
    ) -> dict[Signal, Column]:
        """The value of ``signals`` in force at each event; a gap before the first."""
        columns: dict[Signal, Column] = {}
        for signal in signals:
            if signal not in self._series:
                continue
            series = self._series[signal]
            recipe = self.description.recipes[signal]
            times, values = _in_order(series, recipe)
            which = np.searchsorted(times, timestamps, side="right") - 1
            present: Mask = which >= 0
            columns[signal] = Column(_picked(values, which[present], recipe), present)
        return columns


def _in_order(series: _Series, recipe: Recipe) -> tuple[NDArray[np.uint64], Any]:
    if series.sorted is not None:
        return series.sorted
    times = np.concatenate([np.empty(0, np.uint64), *series.times])
    order = np.argsort(times, kind="stable")
    values: Any
    if recipe.info.variable:
        listed = [one for part in series.values for one in part]
        values = [listed[i] for i in order.tolist()]
    elif series.values:
        values = np.concatenate(series.values)[order]
    else:
        values = _empty(recipe)
    series.times, series.values = [times[order]], [values] if series.values else []
    series.sorted = (times[order], values)
    return series.sorted


def _empty(recipe: Recipe) -> Array:
    shape = recipe.shape
    if shape is None:
        shape = () if recipe.info.dtype == STRING else (0,) * recipe.info.rank
    return np.empty((0, *shape), recipe.info.dtype)


def _picked(values: Any, which: NDArray[np.int64], recipe: Recipe) -> Any:
    if recipe.info.variable:
        return Ragged.of([values[i] for i in which.tolist()], recipe.info.dtype)
    return values[which]
