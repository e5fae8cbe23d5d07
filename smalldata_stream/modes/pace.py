"""How often plots are shown, so that a graph with much to do has the time for it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from smalldata_stream.batch import Batch

SHARE = 0.01
"""A graph that never waits for events gives at most this part of its time to showing..."""

LONGEST_SECONDS = 1.0
"""... unless nothing was shown for so long."""


WAIT_SECONDS = 0.001
"""A graph that waits no longer for a batch is busy all the time."""


class Budget:
    """What a graph can spend on showing, whatever it is that is shown.

    Time that the graph spends waiting for events is free, as `awaited` knows it; of the
    time that it works, showing gets ``part`` of `SHARE`. Without `awaited` all is free. To
    be used from the graph's thread alone.

    >>> budget = Budget()
    >>> budget.spend(0.1)
    >>> budget.left
    True
    """

    def __init__(self, part: float = 1.0) -> None:
        self._part = part
        self._owed, self._worked = 0.0, time.thread_time()
        self._free, self._waited = True, 0.0

    def awaited(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches, to know for how long they are waited for."""
        iterator, self._free = iter(batches), False
        while True:
            begin, worked = time.monotonic(), time.thread_time()
            batch = next(iterator, None)
            worked = time.thread_time() - worked
            self._waited = time.monotonic() - begin - worked
            self._owed = max(0.0, self._owed - self._waited)
            if batch is None:
                return
            yield batch

    @property
    def left(self) -> bool:
        """Whether all that was spent is paid for."""
        worked = time.thread_time()
        earned = SHARE * self._part * (worked - self._worked)
        self._owed = max(0.0, self._owed - earned)
        self._worked = worked
        return self._free or not self._owed

    @property
    def idle(self) -> bool:
        """Whether the graph waited for the last batch: it has time to spare."""
        return self._free or self._waited > WAIT_SECONDS

    def spend(self, seconds: float) -> None:
        """Take so much; a debt does not grow from one time that was not affordable on."""
        most = SHARE * self._part * LONGEST_SECONDS
        self._owed = min(self._owed, most) + seconds

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Around what shows, to know what it costs."""
        begin = time.thread_time()
        try:
            yield
        finally:
            self.spend(time.thread_time() - begin)


class Pace:
    """Says when to show something: each ``seconds``, less often if there is no budget.

    It is asked after each batch, so showing comes a little late; where the graph has time,
    the time after it is shorter by that, and the rate is the one asked for. Showing is
    never put off beyond ``longest``, so that what is seen is at most that old.

    >>> pace = Pace(0.2, Budget())
    >>> pace.due()
    True
    >>> with pace.shown():
    ...     pass  # show
    >>> pace.due()
    False
    """

    def __init__(self, seconds: float, budget: Budget, longest: float = LONGEST_SECONDS):
        self._seconds, self._budget, self._longest = seconds, budget, longest
        self.hurry()

    def hurry(self) -> None:
        """Have the next question answered with yes."""
        self._shown = self._due = -math.inf

    def due(self) -> bool:
        """Whether it is time to show."""
        now = time.monotonic()
        if now < self._due:
            return False
        return now - self._shown >= self._longest or self._budget.left

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Around what shows."""
        self._shown = now = time.monotonic()
        late = now - self._due
        made_up_for = self._budget.idle and late < self._seconds / 2
        self._due = now + self._seconds - (late if made_up_for else 0.0)
        with self._budget.spending():
            yield
