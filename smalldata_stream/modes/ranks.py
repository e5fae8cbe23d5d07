"""The ranks of a job: the only module that knows mpi4py.

A process that no MPI launcher started is the one rank of its job, and mpi4py is not
imported. All waiting here looks again after a millisecond or so instead of spinning: a
rank that waits leaves its core to one that works. A rank asks for its next number while it
still works on the last, so that it need not wait for the answer.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from smalldata_stream.errors import SmalldataError
from smalldata_stream.rank import launched

T = TypeVar("T")

_ASK, _ANSWER, _TELL, _SHARE, _REDUCE = range(1, 6)
_QUICK, _SLOW, _LAZY = 0.0001, 0.0005, 0.002
"""Seconds between two looks for a message: first, when none comes to a rank that waits, and
when none comes to rank 0, which works meanwhile: a look costs it 20 us."""
_SWITCH_SECONDS = 0.0005
"""The thread that hands out gets its turn so soon, also from a rank 0 busy in Python."""
TELL_SECONDS = 0.5
"""How often a rank says how far it is."""
AHEAD_SECONDS = 0.02
"""A rank asks for its next number when the last one is expected to take no longer: many
times what an answer takes, and little enough to lose at the end, where a rank may have two
numbers while others have none."""

Told = Callable[[int, int], None]
"""Called with a rank and the events that it has read so far."""


class Ranks:
    """All processes of a job, as one of them sees them.

    >>> ranks = Ranks()
    >>> ranks.rank, ranks.size, ranks.share("x"), ranks.gathered(5)
    (0, 1, 'x', [5])
    >>> with ranks.handing_out(iter([3, 4]), lambda rank, events: None) as numbers:
    ...     numbers.next(), numbers.next(), numbers.next()
    (3, 4, None)
    """

    def __init__(self, mpi: Any = None):
        """``mpi`` is the module ``mpi4py.MPI``; None for a job of one process."""
        self._mpi = mpi
        self.rank, self.size = 0, 1
        self._comm: Any = None
        if mpi is not None:
            self._comm, self._asking = mpi.COMM_WORLD.Dup(), mpi.COMM_WORLD.Dup()
            self.rank, self.size = self._comm.Get_rank(), self._comm.Get_size()

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes the file and speaks for all."""
        return self.rank == 0

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.size}"

    def abort(self) -> None:
        """End the job, at once and with all its ranks; returns where there is no MPI."""
        if self._comm is not None:
            self._comm.Abort(1)

    def share(self, value: T) -> T:
        """The value that rank 0 gives, in all ranks."""
        if self.size == 1:
            return value
        step = 1
        while step < self.size:  # a binomial tree
            step *= 2
        while step > 1:
            half = step // 2
            if self.rank % step == 0 and self.rank + half < self.size:
                self._comm.send(value, self.rank + half, _SHARE)
            elif self.rank % step == half:
                value = self._hear(self.rank - half, _SHARE)
            step = half
        return value

    def reduced(self, value: T, merge: Callable[[T, T], None]) -> T | None:
        """All values merged into that of rank 0, pair by pair; None in other ranks.

        ``merge`` puts its second argument into its first.
        """
        step = 1
        while step < self.size:
            if self.rank % (2 * step):
                self._comm.send(value, self.rank - step, _REDUCE)
                return None
            if self.rank + step < self.size:
                merge(value, self._hear(self.rank + step, _REDUCE))
            step *= 2
        return value

    def gathered(self, value: T) -> list[T]:
        """The values of all ranks, in all ranks."""
        found = self.reduced({self.rank: value}, dict.update) or {}
        every: Mapping[int, T] = self.share(found)
        return [every[rank] for rank in range(self.size)]

    @contextmanager
    def handing_out(self, numbers: Iterator[int], told: Told) -> Iterator[Numbers]:
        """Hand ``numbers``, which are rank 0's, out to whoever asks, each once.

        Rank 0 does it from a thread, beside its own work; ``told`` is called there.
        """
        if not self.first:
            yield Numbers(Asking(self._asking, self._hear))
            return
        server = Server(numbers, told)
        if self.size == 1:
            yield Numbers(server)
            return
        thread = threading.Thread(target=self._serve, args=(server,), daemon=True)
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)
        thread.start()
        try:
            yield Numbers(server)
            thread.join()
        finally:
            sys.setswitchinterval(before)

    def _serve(self, server: Server) -> None:
        """Answer the other ranks until each has heard that there is nothing left."""
        asking = self.size - 1
        pause = _QUICK
        status = self._mpi.Status()
        while asking:
            message = self._asking.improbe(self._mpi.ANY_SOURCE, self._mpi.ANY_TAG, status)
            if message is None:
                time.sleep(pause)
                pause = min(2 * pause, _LAZY)
                continue
            pause = _QUICK
            rank, tag = status.Get_source(), status.Get_tag()
            events, ended = message.recv()
            server.tell(events, rank)
            if tag == _ASK:
                number = server.next(ended=ended)
                asking -= number is None
                self._asking.send(number, rank, _ANSWER)

    def _hear(self, rank: int, tag: int, comm: Any = None) -> Any:
        pause = _QUICK
        comm = comm or self._comm
        while (message := comm.improbe(rank, tag)) is None:
            time.sleep(pause)
            pause = min(2 * pause, _SLOW)
        return message.recv()


class Server:
    """Numbers, each for one rank, and what the ranks have told; rank 0 asks it directly."""

    def __init__(self, numbers: Iterator[int], told: Told):
        self._numbers, self._told = numbers, told
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
        self._comm.send((events, ended), 0, _ASK)

    def answer(self) -> int | None:
        """The number that was asked for."""
        number: int | None = self._hear(0, _ANSWER, self._comm)
        return number

    def tell(self, events: int) -> None:
        """Tell that so many events were read here."""
        self._comm.send((events, False), 0, _TELL)


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


def ranks() -> Ranks:
    """The ranks of this job; initialises MPI where a launcher started this process.

    Raises
    ------
    SmalldataError
        If it did, and there is no MPI here.
    """
    if not launched():
        return Ranks()
    _choose_library()
    try:
        import mpi4py

        mpi4py.rc.thread_level = "multiple"
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise SmalldataError(
            f"started by an MPI launcher, but mpi4py or the MPI library is not here: "
            f"{error}; install mpi4py, and mpich where the machine has no MPI of its own"
        ) from error
    if MPI.Query_thread() < MPI.THREAD_MULTIPLE:
        raise SmalldataError(
            f"{MPI.Get_library_version().splitlines()[0]} has no MPI_THREAD_MULTIPLE, "
            "which handing out work needs; use another MPI library"
        )
    return Ranks(MPI)


def _choose_library() -> None:
    """Have mpi4py load the family of libraries that the launcher belongs to.

    Left to itself its wheel loads the first one found, and that of the index (MPICH) ends
    the process where Open MPI's launcher started it.
    """
    chosen = {"MPI4PY_LIBMPI", "MPI4PY_MPIABI"} & os.environ.keys()
    if "OMPI_COMM_WORLD_RANK" in os.environ and not chosen:
        os.environ["MPI4PY_MPIABI"] = "openmpi"


def unfinished(numbers: Iterable[int], done: Iterable[int]) -> Iterator[int]:
    """``numbers`` without those in ``done``.

    >>> list(unfinished(range(5), {1, 3}))
    [0, 2, 4]
    """
    known = frozenset(done)
    return (number for number in numbers if number not in known)
