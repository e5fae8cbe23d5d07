"""How often plots are shown, so that a graph with much to do has the time for it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from smalldata_stream.batch import Batch

SHARE = 0.015
"""A graph that never waits for events gives at most this part of its time to showing..."""

LONGEST_SECONDS = 1.0
"""... unless nothing was shown for so long."""


class Pace:
    """Says when to show: each ``seconds``, less often where the graph would be slowed.

    Time that the graph spends waiting for events is free, as `awaited` knows it. Of the
    rest, showing takes at most `SHARE`; but it is never put off beyond `LONGEST_SECONDS`,
    so that what is seen is at most that old. Without `awaited` it is time each ``seconds``.
    To be used from the graph's thread alone.

    >>> pace = Pace(seconds=0.2)
    >>> pace.due()
    True
    >>> with pace.shown():
    ...     pass  # show
    >>> pace.due()
    False
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._cost, self._waited = 0.0, math.inf
        self.hurry()

    def hurry(self) -> None:
        """Have the next question answered with yes."""
        self._shown = -math.inf

    def awaited(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches, to know for how long they are waited for."""
        iterator, self._waited = iter(batches), 0.0
        while True:
            begin, worked = time.monotonic(), time.thread_time()
            batch = next(iterator, None)
            worked = time.thread_time() - worked
            self._waited += time.monotonic() - begin - worked
            if batch is None:
                return
            yield batch

    def due(self) -> bool:
        """Whether it is time to show."""
        elapsed = time.monotonic() - self._shown
        if elapsed < self._seconds:
            return False
        affordable = SHARE * elapsed + self._waited
        return elapsed >= LONGEST_SECONDS or self._cost <= affordable

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Around what shows, to know what it costs."""
        self._shown = time.monotonic()
        if self._waited < math.inf:
            self._waited = 0.0
        begin = time.thread_time()
        try:
            yield
        finally:
            self._cost = time.thread_time() - begin
