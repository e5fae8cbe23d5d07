"""Columns in the making: values taken from psana's objects one event at a time.

psana has paid for a Python object per field before anything is asked of it; what is added
here per event and field is the price of this reader, so the scalars of an algorithm are
taken with one call, and made into arrays only when the batch is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol

import numpy as np

from smalldata_stream.batch import STRING, Array
from smalldata_stream.sources.psana_child_describe import getter
from smalldata_stream.sources.psana_child_places import Places
from smalldata_stream.sources.psana_wire import InFile, Packed, PackedFrames
from smalldata_stream.xtc2.describe import stacked_shape
from smalldata_stream.xtc2.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Asked:
    """A field that was asked for: the number of its signal, its recipe, where it is."""

    signal: int
    recipe: Recipe
    path: str

    @property
    def get(self) -> Callable[[Any], Any]:
        """Takes the value from the algorithm's container."""
        return getter(self.path)

    @property
    def dtype(self) -> np.dtype[Any]:
        """dtype of the values."""
        return self.recipe.info.dtype

    @property
    def segments(self) -> int:
        """How many segments make one value."""
        return len(self.recipe.segments)


class ContradictionError(Exception):
    """A value has another shape than was said before the first event."""


class Making(Protocol):
    """Columns in the making, one value per event that has one."""

    grown: int
    """Bytes beyond those that every event has."""

    def add(self, containers: Sequence[Any]) -> None:
        """Take an event's values from the segments' containers."""

    def cut(self, count: int) -> None:
        """Forget all but the first ``count``."""

    def pack(self) -> list[tuple[int, Any]]:
        """(number of the signal, its values); the beginning of the next batch."""


class Scalars:
    """All fields without dimensions of one algorithm."""

    def __init__(self, asked: Sequence[Asked]):
        self.grown = 0
        self._asked = asked
        self._segments = asked[0].segments
        self._get = _together(asked)
        self._rows: list[Any] = []

    def add(self, containers: Sequence[Any]) -> None:
        """Take an event's values."""
        if self._segments == 1:
            self._rows.append(self._get(containers[0]))
        else:
            self._rows.append(tuple(zip(*map(self._get, containers), strict=True)))

    def cut(self, count: int) -> None:
        """Forget all but the first ``count``."""
        del self._rows[count:]

    def pack(self) -> list[tuple[int, Any]]:
        """One array per field, or one list of texts."""
        rows, self._rows = self._rows, []
        columns: list[Any] = list(zip(*rows, strict=True)) or [()] * len(self._asked)
        return [
            (one.signal, scalars(column, one.dtype, self._segments))
            for one, column in zip(self._asked, columns, strict=True)
        ]


def scalars(values: Sequence[Any], dtype: np.dtype[Any], segments: int) -> Any:
    """An array of scalars, or a list of texts."""
    if dtype == STRING and segments == 1:
        return list(values)
    shape = (len(values),) if segments == 1 else (len(values), segments)
    return np.array(values, dtype).reshape(shape)


def _together(asked: Sequence[Asked]) -> Callable[[Any], Any]:
    """One call for all values: a tuple."""
    gets = [one.get for one in asked]
    if len(gets) > 1 and all(isinstance(get, attrgetter) for get in gets):
        return attrgetter(*(one.path for one in asked))
    return lambda container: tuple(get(container) for get in gets)


class _Shaped:
    """A field with the same shape in every event."""

    def __init__(self, asked: Asked):
        self.grown = 0
        self._signal = asked.signal
        self._get = asked.get
        self._dtype = asked.dtype
        self._segments = asked.segments
        self._part = asked.recipe.shape

    @property
    def _shape(self) -> tuple[int, ...]:
        if self._segments == 1:
            return self._part or ()
        return stacked_shape(self._part, self._segments) or ()

    def _parts(self, containers: Sequence[Any]) -> list[Array]:
        """The value of each segment; ContradictionError if one has another shape."""
        parts = [self._get(container) for container in containers]
        if self._part is None:
            self._part = parts[0].shape
        for part in parts:
            if part.shape != self._part:
                raise ContradictionError(
                    f"an event with {part.shape} instead of {self._part}"
                )
        return parts


class Dense(_Shaped):
    """Small arrays, copied into one at once: a view would keep psana's whole buffer."""

    def __init__(self, asked: Asked):
        super().__init__(asked)
        self._count = 0
        self._values = np.empty(0, self._dtype)

    def add(self, containers: Sequence[Any]) -> None:
        """Take an event's values."""
        parts = self._parts(containers)
        if self._count == len(self._values):
            self._grow()
        row = self._values[self._count]
        if self._segments == 1:
            row[...] = parts[0]
        else:
            for i, part in enumerate(parts):
                row[i] = part.reshape(row.shape[1:])
        self._count += 1

    def _grow(self) -> None:
        values = np.empty((max(64, 2 * self._count), *self._shape), self._dtype)
        if self._count:
            values[: self._count] = self._values
        self._values = values

    def cut(self, count: int) -> None:
        """Forget all but the first ``count``."""
        self._count = min(self._count, count)

    def pack(self) -> list[tuple[int, Any]]:
        """One array."""
        values = np.empty((0, *self._shape), self._dtype)
        if self._count:
            values = self._values[: self._count]
        self._values, self._count = np.empty(0, self._dtype), 0
        return [(self._signal, values)]


class FrameRefs(_Shaped):
    """Frames: only where they are, so that psana can use its buffer again."""

    def __init__(self, asked: Asked, places: Places):
        super().__init__(asked)
        self._places = places
        self._frames: list[list[InFile | Array]] = []

    def add(self, containers: Sequence[Any]) -> None:
        """Take an event's values."""
        self.put(self._parts(containers))

    def put(self, parts: Sequence[Array]) -> None:
        """Take a frame, given by its segments."""
        self._frames.append([self._places.find(part) for part in parts])

    def cut(self, count: int) -> None:
        """Forget all but the first ``count``."""
        del self._frames[count:]

    def pack(self) -> list[tuple[int, Any]]:
        """Where the frames are, segment by segment."""
        frames, self._frames = self._frames, []
        segments = list(zip(*frames, strict=True)) or [()] * self._segments
        return [(self._signal, PackedFrames(segments, self._part or ()))]


class Lengths:
    """A field of one segment whose length varies."""

    def __init__(self, asked: Asked):
        self.grown = 0
        self._signal = asked.signal
        self._get = asked.get
        self._dtype = asked.dtype
        self._parts: list[Array] = []

    def add(self, containers: Sequence[Any]) -> None:
        """Take an event's values."""
        value = self._get(containers[0])
        if value.ndim != 1:
            raise ContradictionError(f"{value.shape} instead of one dimension")
        self._parts.append(value.copy())
        self.grown += value.nbytes

    def cut(self, count: int) -> None:
        """Forget all but the first ``count``."""
        del self._parts[count:]

    def pack(self) -> list[tuple[int, Any]]:
        """Values and offsets."""
        parts, self._parts, self.grown = self._parts, [], 0
        return [(self._signal, ragged(parts, self._dtype))]


def ragged(parts: Sequence[Array], dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Values back to back, and offsets."""
    lengths = [len(part) for part in parts]
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    return (np.concatenate(parts) if parts else np.empty(0, dtype)), offsets


def packed(values: Any, absent: Sequence[int], events: int) -> Packed:
    """The values with the mask of the events that have them."""
    if not absent:
        return values, None
    present = np.ones(events, bool)
    present[list(absent)] = False
    return values, present
