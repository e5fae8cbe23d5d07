"""Strip chart: a signal against the time of the events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import numpy as np

from smalldata_stream.batch import Values
from smalldata_stream.protocols import Accumulated, Result, Spec, Window
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.plots.groups import Groups
from smalldata_stream.reductions.plots.shown import (
    TIMESTAMP,
    Shown,
    check_same_number,
    check_scalar,
    label,
    numbers,
    stamps,
)
from smalldata_stream.timestamps import nanoseconds

SHORTEST = 1_000_000
"""Nanoseconds of the shortest time bin; all others are this times a power of two."""


@dataclass(frozen=True, slots=True)
class Strip(Shown):
    """A signal against time: mean, lowest and highest in each time bin.

    Parameters
    ----------
    bins
        Most time bins there are. A bin is 1 ms, 2 ms, 4 ms ... long: as short as it can be.
    name, title, group, window_events, window_seconds
        As in `Shown`. Live it spans the last 300 s where nothing else is said.

    Notes
    -----
    Puts out, for the bins that have an event, ``time`` (their beginning, int64
    nanoseconds since 1990-01-01 UTC), ``mean``, ``low``, ``high`` and ``counts``, all
    ``(m,)``; ``width`` (nanoseconds of a bin); ``not_finite``, the events left out for
    their value. Bins begin at multiples of their length since 1990 whatever the first
    event was, so that the same events give the same bins on any number of ranks.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype(float))
    >>> state = Strip().prepare(spec, Spec(dtype=np.dtype(np.uint64))).start()
    >>> second = 1 << 32
    >>> state.add(np.array([1.0, 3.0, 9.0]), np.array([second, second + 5, 2 * second]))
    >>> totals = state.value()
    >>> totals["mean"].value.tolist(), totals["time"].value.tolist()
    ([2.0, 9.0], [1000000000, 2000000000])
    """

    KIND: ClassVar[str] = "strip"
    WINDOW: ClassVar[Window | None] = Window(seconds=300)

    bins: int = 600

    def __post_init__(self) -> None:
        if not pixels.is_count(self.bins) or self.bins < 2:
            raise ValueError(f"bins={self.bins!r}: write a number of time bins such as 600")
        Shown.__post_init__(self)

    @property
    def others(self) -> tuple[str, ...]:
        """The timestamps."""
        return (TIMESTAMP,)

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Check that the input has one number for each event."""
        spec = inputs[0]
        check_scalar(spec, "strip")
        nanosecond = Spec(dtype=np.dtype(np.int64), shape=None, unit="ns")
        signal = Spec(dtype=np.dtype(np.float64), shape=None, unit=spec.unit)
        number = Spec(dtype=np.dtype(np.int64), shape=None)
        return Accumulated(
            outputs={
                "time": nanosecond,
                "mean": signal,
                "low": signal,
                "high": signal,
                "counts": number,
                "width": Spec(dtype=np.dtype(np.int64), unit="ns"),
                "not_finite": Spec(dtype=np.dtype(np.int64)),
            },
            start=partial(TimeBins, self.bins),
            plot=self.plot("{0}", "time (UTC)", label(0, spec)),
            window=self.window(),
        )


class TimeBins:
    """Statistics in time bins whose length doubles until there are few enough."""

    __slots__ = ("bins", "count", "doublings", "groups", "not_finite")

    def __init__(self, bins: int):
        self.bins, self.doublings = bins, 0
        self.groups = Groups(np.empty(0, np.int64))
        self.count = self.not_finite = 0

    def add(self, *values: Values) -> None:
        """Take values and timestamps of some events."""
        signal, times = numbers(values[0]), nanoseconds(stamps(values[1]))
        check_same_number(signal, times)
        finite = np.isfinite(signal)
        keys = times[finite] // SHORTEST >> self.doublings
        self.groups = self.groups.plus(Groups.of(keys, signal[finite]))
        self.count += len(signal)
        self.not_finite += len(signal) - int(np.count_nonzero(finite))
        self._fit()

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        if self.bins != other.bins:
            raise ValueError(f"{other.bins} time bins cannot be merged into {self.bins}")
        doublings = max(self.doublings, other.doublings)
        mine, theirs = (
            part.groups.rekeyed(part.groups.keys >> (doublings - part.doublings))
            for part in (self, other)
        )
        self.groups, self.doublings = mine.plus(theirs), doublings
        self.count += other.count
        self.not_finite += other.not_finite
        self._fit()

    def value(self) -> Mapping[str, Result]:
        """The bins that have an event."""
        groups, width = self.groups, SHORTEST << self.doublings
        fields = {
            "time": groups.keys * width,
            "mean": groups.mean_and_error()[0],
            "low": groups.lowest,
            "high": groups.highest,
            "counts": groups.counts,
            "width": np.asarray(width, np.int64),
            "not_finite": np.asarray(self.not_finite, np.int64),
        }
        return {field: Result(value, self.count) for field, value in fields.items()}

    def _fit(self) -> None:
        """Double the length until there are few enough bins; depends on the span alone."""
        keys = self.groups.keys
        if not len(keys):
            return
        doublings = 0
        while (keys[-1] >> doublings) - (keys[0] >> doublings) >= self.bins:
            doublings += 1
        if doublings:
            self.groups = self.groups.rekeyed(keys >> doublings)
            self.doublings += doublings
