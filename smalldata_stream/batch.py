"""What flows through the graph: batches of consecutive events, as columns.

A `Batch` holds N events. A `Column` holds the values (`smalldata_stream.values`) of those
events that have them, and which events those are; an event without a value is a gap, never
a zero. The same code is right for one event and for ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.values import (
    STRING,
    Array,
    Frames,
    Mask,
    Ragged,
    Values,
    concatenate,
    read_only,
    take,
)

__all__ = [
    "STRING",
    "Array",
    "Batch",
    "BatchLimits",
    "Column",
    "Frames",
    "Mask",
    "Ragged",
    "Record",
    "Signal",
    "Status",
    "Values",
    "concatenate",
    "read_only",
    "take",
]


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
        fits = len(self.steps) == n
        fits = fits and all(len(column) == n for column in self.columns.values())
        if fits and all(len(state) == n for state in self.status.values()):
            return
        sizes: dict[str, int] = {"steps": len(self.steps)}
        sizes |= {str(signal): len(column) for signal, column in self.columns.items()}
        sizes |= {f"status of {name}": len(state) for name, state in self.status.items()}
        wrong = {name: size for name, size in sizes.items() if size != n}
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
