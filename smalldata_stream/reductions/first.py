"""The first value of a run: what does not change, or changes slowly, written once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np

from smalldata_stream.batch import STRING, Array, Frames, Ragged, Values
from smalldata_stream.protocols import Accumulated, Result, Spec


class FirstValue:
    """The value with the smallest timestamp, whatever the order they come in.

    Before any it is missing: NaN, an empty text, or 0, with a count of 0.

    >>> state = FirstValue("first", (), np.dtype(float))
    >>> state.add(np.array([3.0, 1.0]), np.array([20, 10], np.uint64))
    >>> state.value()["first"].value
    array(1.)
    """

    __slots__ = ("count", "dtype", "field", "first", "shape", "when")

    def __init__(self, field: str, shape: tuple[int, ...], dtype: np.dtype[Any]):
        self.field, self.shape, self.dtype = field, shape, dtype
        self.count = 0
        self.when = 2**64
        self.first: Array | None = None

    def add(self, *values: Values) -> None:
        """Take values and the timestamps of their events."""
        given, timestamps = values
        if isinstance(given, Frames | Ragged) or given.shape[1:] != self.shape:
            raise ValueError(f"{self.field}: {given!r} is not of the declared {self.shape}")
        when = np.asarray(timestamps)
        if not len(when):
            return
        at = int(np.argmin(when))
        if int(when[at]) < self.when:
            self.when, self.first = int(when[at]), np.array(given[at], self.dtype)
        self.count += len(given)

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        if other.when < self.when:
            self.when, self.first = other.when, other.first
        self.count += other.count

    def value(self) -> Mapping[str, Result]:
        """The first value, and the number of events that had one."""
        first = self.first
        if first is None:
            empty = np.nan if self.dtype.kind in "fc" else 0
            nothing: Any = "" if self.dtype == STRING else empty
            first = np.full(self.shape, nothing, self.dtype)
        return {self.field: Result(first, self.count)}


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The value of the first event of a run that has one, as a total of the run."""

    name: str = field(default="first")

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Of a value of one shape, and the timestamps."""
        spec = inputs[0]
        if spec.kind != "dense" or spec.shape is None:
            raise ValueError("only what has one shape in all events is written once")
        start = partial(FirstValue, self.name, spec.shape, spec.dtype)
        return Accumulated(outputs={self.name: spec}, start=start)
