"""Numbers handed out: each to one rank, and the next before the last is done.

A rank asks for its next number while it still works on the last, so that it need not wait
for the answer.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

ASK, ANSWER, TELL, REPORT, LEAVE = range(1, 6)
"""Kinds of messages."""

TELL_SECONDS = 0.5
"""How often a rank says how far it is."""

AHEAD_SECONDS = 0.02
"""A rank asks for its next number when the last one is expected to take no longer: many
times what an answer takes, and little enough to lose at the end, where a rank may have two
numbers while others have none."""

Told = Callable[[int, int], None]
"""Called with a rank and the events that it has read so far."""

Reported = Callable[[int, Any], None]
"""Called with a rank and what it reports."""


class Server:
    """Numbers, each for one rank, and what the ranks have told; rank 0 asks it directly."""

    def __init__(self, numbers: Iterator[int], told: Told, reported: Reported):
        self._numbers, self._told, self._reported = numbers, told, reported
        self._lock = threading.Lock()

    def next(self, *, ended: bool = False) -> int | None:
        """The next number; None when all are handed out, or once a rank met the end."""
        with self._lock:
            if ended:
                self._numbers = iter(())
            return next(self._numbers, None)

    def tell(self, events: int, rank: int = 0) -> None:
        """A rank has read so many events."""
        with self._lock:
            self._told(rank, events)

    def report(self, what: object, rank: int = 0) -> None:
        """A rank reports something."""
        with self._lock:
            self._reported(rank, what)

    def ask(self, events: int, *, ended: bool = False) -> None:
        """Ask for the next number: there is no need to, it is there at once."""
        self.tell(events)
        if ended:
            self.next(ended=True)

    def answer(self) -> int | None:
        """The number that was asked for."""
        return self.next()


class Asking:
    """The server of rank 0, as another rank reaches it."""

    def __init__(self, comm: Any, hear: Callable[[int, int, Any], Any]):
        self._comm, self._hear = comm, hear

    def ask(self, events: int, *, ended: bool = False) -> None:
        """Ask for the next number; `answer` has it."""
        self._comm.send((events, ended), 0, ASK)

    def answer(self) -> int | None:
        """The number that was asked for."""
        number: int | None = self._hear(0, ANSWER, self._comm)
        return number

    def tell(self, events: int) -> None:
        """Tell that so many events were read here."""
        self._comm.send((events, False), 0, TELL)

    def report(self, what: object) -> None:
        """Report something."""
        self._comm.send(what, 0, REPORT)

    def leave(self, events: int) -> None:
        """Tell that nothing more is said; to be the last."""
        self._comm.send((events, False), 0, LEAVE)


class Numbers:
    """Where one rank gets its numbers, and tells how far it is."""

    def __init__(self, server: Server | Asking):
        self.server = server
        self._asked = False
        self._events, self._begun, self._of_event = 0, 0, math.inf
        self._said = self._since = time.monotonic()

    def next(self, *, ended: bool = False) -> int | None:
        """The next number, later than those before; None when there are no more.

        ``ended`` says that the last one was behind the end: there are no more for anybody.
        """
        number: int | None = None
        if self._asked:
            number, self._asked = self.server.answer(), False
            if number is None:
                return None
        if number is None or ended:
            self.server.ask(self._events, ended=ended)
            number = self.server.answer()
        self._since, self._begun = time.monotonic(), self._events
        return number

    def left(self, events: int) -> None:
        """Say that so many events of the number are still to come, beside those in hand.

        If they will not take long, the next number is asked for.
        """
        if events > 0 and events * self._of_event > AHEAD_SECONDS:
            return
        if not self._asked:
            self.server.ask(self._events)
            self._asked = True

    def tell(self, events: int) -> None:
        """Say, now and then, that so many events were read here."""
        self._events = events
        now = time.monotonic()
        self._of_event = (now - self._since) / max(1, events - self._begun)
        if now - self._said >= TELL_SECONDS:
            self._said = now
            self.server.tell(events)

    def report(self, what: object) -> None:
        """Report something to rank 0."""
        self.server.report(what)

    def leave(self) -> None:
        """Tell rank 0 that this rank is through."""
        if isinstance(self.server, Asking):
            self.server.leave(self._events)
