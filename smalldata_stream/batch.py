"""What flows through the graph: batches of consecutive events, as columns.

A `Batch` holds N events. A `Column` holds the values of those events that have them, and
which events those are; an event without a value is a gap, never a zero. Values are one of

* an array ``(n, *shape)``: scalars and small arrays,
* `Frames`: references to n frames, read-only and not stacked (stacking copies a megabyte
  per event for nothing); they may be views of a mapped file and live no longer than their
  batch,
* `Ragged`: variable length, all values back to back and where each event begins.

The same code is right for one event and for ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Mask: TypeAlias = NDArray[np.bool_]

STRING = np.dtypes.StringDType()
"""dtype of text values (EPICS strings, docstrings of steps)."""


class Signal(NamedTuple):
    """One field of one algorithm of one detector, named as the DAQ names it.

    >>> str(Signal("gmd", "raw", "energy"))
    'gmd.raw.energy'
    """

    detector: str
    algorithm: str
    field: str

    def __str__(self) -> str:
        return ".".join(self)


class Status(IntEnum):
    """State of a detector in one event."""

    OK = 0
    MISSING = 1
    DAMAGED = 2


def read_only(array: Array) -> Array:
    """A view of ``array`` that cannot be written."""
    view = array.view()
    view.flags.writeable = False
    return view


class Frames(Sequence[Array]):
    """References to frames of one shape and dtype, one per event that has one.

    >>> frames = Frames([np.zeros((2, 3)), np.ones((2, 3))])
    >>> len(frames), frames.shape, frames[1].sum()
    (2, (2, 3), np.float64(6.0))
    """

    __slots__ = ("_frames", "dtype", "shape")

    def __init__(
        self,
        frames: Sequence[Array],
        *,
        shape: tuple[int, ...] | None = None,
        dtype: np.dtype[Any] | None = None,
    ):
        """``shape`` and ``dtype`` are needed only where there may be no frame at all."""
        self._frames = tuple(map(read_only, frames))
        self.shape: tuple[int, ...] = self._frames[0].shape if frames else shape or ()
        self.dtype: np.dtype[Any] = (
            self._frames[0].dtype if frames else np.dtype(dtype or np.float32)
        )
        for frame in self._frames:
            if frame.shape != self.shape or frame.dtype != self.dtype:
                raise ValueError(
                    f"frames of one column differ: {frame.dtype}{frame.shape} beside "
                    f"{self.dtype}{self.shape}"
                )

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, i: int) -> Array: ...
    @overload
    def __getitem__(self, i: slice) -> Frames: ...
    def __getitem__(self, i: int | slice) -> Array | Frames:
        if isinstance(i, slice):
            return Frames(self._frames[i], shape=self.shape, dtype=self.dtype)
        return self._frames[i]

    def __iter__(self) -> Iterator[Array]:
        return iter(self._frames)

    def __repr__(self) -> str:
        return f"Frames({len(self)} x {self.dtype}{self.shape})"

    @property
    def nbytes(self) -> int:
        """Bytes that the frames refer to."""
        return sum(frame.nbytes for frame in self._frames)

    def stack(self) -> Array:
        """All frames in one new array ``(n, *shape)``; a copy."""
        if not self._frames:
            return np.empty((0, *self.shape), self.dtype)
        return np.stack(self._frames)


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Values of variable length: event i has ``values[offsets[i]:offsets[i + 1]]``.

    ``values`` is ``(total, *rest)``, ``offsets`` is ``(n + 1,)`` int64 from 0.

    >>> Ragged.of([np.array([1, 2]), np.array([], int), np.array([3])]).lengths.tolist()
    [2, 0, 1]
    """

    values: Array
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", read_only(self.values))
        object.__setattr__(self, "offsets", read_only(self.offsets))

    @classmethod
    def of(cls, parts: Sequence[Array], dtype: np.dtype[Any] | None = None) -> Ragged:
        """From one array per event; ``dtype`` is needed only where there may be none."""
        lengths = [len(part) for part in parts]
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        values = np.concatenate(parts) if parts else np.empty(0, dtype)
        return cls(values, offsets.astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> Array:
        if not -len(self) <= i < len(self):
            raise IndexError(f"event {i} of {len(self)}")
        i %= len(self)
        part: Array = self.values[self.offsets[i] : self.offsets[i + 1]]
        return part

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

    @property
    def dtype(self) -> np.dtype[Any]:
        """dtype of the values."""
        dtype: np.dtype[Any] = self.values.dtype
        return dtype

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of values of each event, ``(n,)``."""
        return np.diff(self.offsets)

    @property
    def nbytes(self) -> int:
        """Bytes of the values and offsets."""
        return int(self.values.nbytes + self.offsets.nbytes)


Values: TypeAlias = Array | Frames | Ragged
"""The values of the events that have them; ``len()`` is their number."""


def take(values: Values, keep: Mask) -> Values:
    """The values at which ``keep``, a mask ``(len(values),)``, is true."""
    if isinstance(values, Frames):
        kept = [frame for frame, k in zip(values, keep, strict=True) if k]
        return Frames(kept, shape=values.shape, dtype=values.dtype)
    if isinstance(values, Ragged):
        inside = np.repeat(keep, values.lengths)
        offsets = np.concatenate([[0], np.cumsum(values.lengths[keep])])
        return Ragged(values.values[inside], offsets.astype(np.int64))
    kept_array: Array = values[keep]
    return kept_array


def concatenate(parts: Sequence[Values]) -> Values:
    """The values of consecutive batches as one; all of one kind.

    Raises
    ------
    ValueError
        If there is nothing to concatenate, or the kinds or shapes differ.
    """
    if not parts:
        raise ValueError("nothing to concatenate")
    first = parts[0]
    if isinstance(first, Frames):
        frames = [frame for part in parts for frame in part]
        return Frames(frames, shape=first.shape, dtype=first.dtype)
    if isinstance(first, Ragged):
        ragged = [part for part in parts if isinstance(part, Ragged)]
        lengths = np.concatenate([part.lengths for part in ragged])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Ragged(np.concatenate([part.values for part in ragged]), offsets)
    return np.concatenate([np.asarray(part) for part in parts])


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Values of the events of a batch that have them, and which events those are.

    ``present`` is a mask ``(events,)``, or None when all events have a value;
    ``len(values)`` is the number of true elements.

    >>> gap_in_event_1 = Column(np.array([5.0, 7.0]), np.array([True, False, True]))
    >>> len(gap_in_event_1), gap_in_event_1.select(np.array([False, True, True])).values
    (3, array([7.]))
    """

    values: Values
    present: Mask | None = None

    def __post_init__(self) -> None:
        if isinstance(self.values, np.ndarray):
            object.__setattr__(self, "values", read_only(self.values))
        if self.present is None:
            return
        have, want = len(self.values), int(np.count_nonzero(self.present))
        if have != want:
            raise ValueError(f"{have} values for {want} events that have one")
        if have == len(self.present):
            object.__setattr__(self, "present", None)

    def __len__(self) -> int:
        return len(self.values) if self.present is None else len(self.present)

    @property
    def mask(self) -> Mask:
        """Which events have a value, ``(events,)``, also when all do."""
        return np.ones(len(self), bool) if self.present is None else self.present

    def at(self, events: Mask) -> Values:
        """The values of ``events``, a mask ``(events,)``; each must have one."""
        return take(self.values, events if self.present is None else events[self.present])

    def select(self, keep: Mask) -> Column:
        """The column of the events at which ``keep`` is true, gaps kept."""
        if self.present is None:
            return Column(take(self.values, keep))
        return Column(take(self.values, keep[self.present]), self.present[keep])


class Record(Mapping[str, Column]):
    """The table of results of a batch: every node adds its columns, none changes one."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, Column] | None = None):
        self._columns: dict[str, Column] = dict(columns or {})

    def __getitem__(self, path: str) -> Column:
        return self._columns[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def add(self, path: str, column: Column) -> None:
        """Add the column ``path``; KeyError if there already is one."""
        if path in self._columns:
            raise KeyError(f"{path} is already in the record")
        self._columns[path] = column


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Consecutive events of one run, as columns.

    Attributes
    ----------
    timestamps
        ``(events,)`` uint64, seconds since 1990-01-01 in the high half, nanoseconds in the
        low half, increasing.
    steps
        ``(events,)`` int32, the scan step of each event from 0; -1 before the first.
    columns
        The signals that were asked for. A signal without a single value in this batch has
        a column of gaps.
    status
        For each detector asked for, ``(events,)`` uint8 `Status`. Where it is not OK the
        detector's columns have a gap.
    record
        What the nodes found, by output path.
    """

    timestamps: NDArray[np.uint64]
    steps: NDArray[np.int32]
    columns: Mapping[Signal, Column]
    status: Mapping[str, NDArray[np.uint8]]
    record: Record = field(default_factory=Record)

    def __post_init__(self) -> None:
        n = len(self.timestamps)
        sizes: dict[str, int] = {"steps": len(self.steps)}
        sizes |= {str(signal): len(column) for signal, column in self.columns.items()}
        sizes |= {f"status of {name}": len(state) for name, state in self.status.items()}
        wrong = {name: size for name, size in sizes.items() if size != n}
        if wrong:
            raise ValueError(f"a batch of {n} events got columns of other sizes: {wrong}")

    def __len__(self) -> int:
        return len(self.timestamps)

    def select(self, keep: Mask) -> Batch:
        """The events at which ``keep`` is true, with the record as far as it is."""
        return Batch(
            self.timestamps[keep],
            self.steps[keep],
            {signal: column.select(keep) for signal, column in self.columns.items()},
            {name: state[keep] for name, state in self.status.items()},
            Record({path: column.select(keep) for path, column in self.record.items()}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """When a batch is closed: by number, by bytes, or by age, whichever comes first."""

    events: int = 4096
    bytes: int = 32 << 20
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.events < 1 or self.bytes < 1:
            raise ValueError(f"a batch holds at least one event and one byte, not {self}")


def each(values: Values, function: Callable[[Array], Any]) -> list[Any]:
    """``function`` of the value of each event."""
    return [function(value) for value in values]
