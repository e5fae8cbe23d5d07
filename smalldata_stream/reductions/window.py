"""A sliding window over any state: the last events, or the last seconds of event time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Values, take
from smalldata_stream.protocols import Result, State, Window
from smalldata_stream.reductions.plots.shown import stamps
from smalldata_stream.timestamps import SECOND, nanoseconds, timestamp_at

NOWHERE = -1
"""The beginning of the pane of an event that is in none."""


class Windowed:
    """The last events of a state: a row of panes, each a state of its own.

    A pane has the events from its beginning up to the beginning of the next one. By
    seconds, all panes are equally long and begin at multiples of their length since 1990;
    by events, a new one begins when the newest is full. When the window moves on, the
    oldest pane goes as a whole: the window has never more than it should, and up to one
    pane less. An event that comes late goes to the pane of its time; one older than the
    window is left out and counted in ``expired``.

    The first input of ``add`` are the timestamps; the others go to the panes.

    Parameters
    ----------
    start
        Makes an empty state.
    window
        What it spans.

    >>> from smalldata_stream.reductions.state import ExactSum
    >>> four = Window(events=4, panes=2)
    >>> last = Windowed(lambda: ExactSum("sum", (), np.dtype(int)), four)
    >>> last.add(np.arange(9, dtype=np.uint64), np.arange(9))
    >>> last.value()["sum"]  # of 6, 7 and 8
    Result(value=array(21.), count=3)
    """

    __slots__ = (
        "_full",
        "_of",
        "begins",
        "counts",
        "expired",
        "newest",
        "panes",
        "start",
        "window",
    )

    def __init__(self, start: Callable[[], State], window: Window):
        self.start, self.window = start, window
        self.begins: list[int] = []
        self.panes: list[Any] = []
        self.counts: list[int] = []
        self.newest, self.expired = -1, 0
        self._full: Any = None
        self._of: tuple[list[int], list[int]] = [], []

    def add(self, *values: Values) -> None:
        """Take timestamps, ``(n,)`` uint64, and the values of these events."""
        timestamps = stamps(values[0])
        by_events = self.window.events is not None
        begins = (self._by_events if by_events else self._by_seconds)(timestamps)
        places = np.unique(begins[begins != NOWHERE]).tolist()
        if len(places) == 1 and places[0] in self.begins and NOWHERE not in begins:
            k = self.begins.index(places[0])
            self.panes[k].add(*values[1:])
            self.counts[k] += len(timestamps)
        else:
            parts = [self._part(begins == begin, values[1:]) for begin in places]
            for begin, (state, count) in zip(places, parts, strict=True):
                self._put(begin, state, count)
        # Nothing is changed before all that may fail is done.
        late = (begins == NOWHERE) & (timestamps <= max(self.newest, 0))
        self.expired += int(np.count_nonzero(late))
        self.newest = max([self.newest, *_most(timestamps)])
        self._drop()

    def merge(self, other: Self) -> None:
        """Take all panes of ``other``; what is then too old goes."""
        if self.window != other.window:
            raise ValueError(
                f"a window of {other.window} is no part of one of {self.window}"
            )
        for begin, pane, count in zip(other.begins, other.panes, other.counts, strict=True):
            copy: Any = self.start()
            copy.merge(pane)
            self._put(self._room_for(begin, count), copy, count)
        self.newest = max(self.newest, other.newest)
        self.expired += other.expired
        self._drop()

    @property
    def first(self) -> int:
        """Timestamp from which on events are in it; 0 where there is none."""
        if not self.begins or self.window.events is not None:
            return self.begins[0] if self.begins else 0
        return timestamp_at(self.begins[0])

    def value(self) -> Mapping[str, Result]:
        """The totals of the window."""
        if len(self.panes) < 2:
            only: Mapping[str, Result] = (self.panes or [self.start()])[0].value()
            return only
        of = self.begins[:-1], self.counts[:-1]
        if of != self._of:
            # They change only as the window moves on: not each time that it is looked at.
            full: Any = self.start()
            for pane in self.panes[:-1]:
                full.merge(pane)
            self._full, self._of = full, of
        whole: Any = self.start()
        for part in (self._full, self.panes[-1]):
            whole.merge(part)
        value: Mapping[str, Result] = whole.value()
        return value

    def _by_seconds(self, timestamps: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The beginning of the pane of each event, in nanoseconds since 1990."""
        length = self._length()
        begins = nanoseconds(timestamps) // length * length
        newest = max([*self.begins[-1:], *_most(begins)], default=0)
        begins[begins <= newest - self.window.panes * length] = NOWHERE
        return begins

    def _by_events(self, timestamps: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The beginning of the pane of each event: the timestamp of its first one."""
        most = self.window.events or 1
        size = max(1, -(-most // self.window.panes))
        begins = np.full(len(timestamps), NOWHERE, np.int64)
        times = timestamps.astype(np.int64)
        order = np.argsort(times, kind="stable")
        in_time = order[times[order] > self.newest]
        room = size - self.counts[-1] if self.counts else 0
        if room > 0:
            begins[in_time[:room]] = self.begins[-1]
        rest = in_time[max(room, 0) :]
        first = max(0, -(-(len(rest) - most) // size)) * size
        for start in range(first, len(rest), size):
            pane = rest[start : start + size]
            begins[pane] = times[pane[0]]
        if self.begins:
            late = np.flatnonzero(times <= self.newest)
            at = np.searchsorted(self.begins, times[late], side="right") - 1
            known = np.array(self.begins, np.int64)
            begins[late] = np.where(at < 0, NOWHERE, known[at])
        return begins

    def _part(self, chosen: Array, values: tuple[Values, ...]) -> tuple[State, int]:
        state = self.start()
        state.add(*(take(one, chosen) for one in values))
        return state, int(np.count_nonzero(chosen))

    def _room_for(self, begin: int, count: int) -> int:
        """Where a pane of another window goes: many small ones become one of full size."""
        if self.window.events is None:
            return begin
        size = max(1, -(-self.window.events // self.window.panes))
        k = bisect_right(self.begins, begin) - 1
        return self.begins[k] if k >= 0 and self.counts[k] + count <= size else begin

    def _put(self, begin: int, state: State, count: int) -> None:
        k = bisect_left(self.begins, begin)
        if k < len(self.begins) and self.begins[k] == begin:
            self.panes[k].merge(state)
            self.counts[k] += count
            return
        self.begins.insert(k, begin)
        self.panes.insert(k, state)
        self.counts.insert(k, count)

    def _drop(self) -> None:
        """Let the panes go that the window has left behind."""
        while len(self.begins) > 1 and self._too_much():
            del self.begins[0], self.panes[0], self.counts[0]

    def _too_much(self) -> bool:
        if self.window.events is not None:
            return sum(self.counts) > self.window.events
        return self.begins[0] <= self.begins[-1] - self.window.panes * self._length()

    def _length(self) -> int:
        """Nanoseconds of a pane."""
        return max(1, int((self.window.seconds or 0) * SECOND) // self.window.panes)


def _most(numbers: Array) -> list[int]:
    return [int(numbers.max())] if len(numbers) else []
