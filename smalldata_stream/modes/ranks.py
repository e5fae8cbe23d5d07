"""The ranks of a job: the only module that knows mpi4py.

A process that no MPI launcher started is the one rank of its job, and mpi4py is not
imported. All waiting here looks again after a millisecond or so instead of spinning: a
rank that waits leaves its core to one that works.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from smalldata_stream.errors import SmalldataError
from smalldata_stream.modes.hand_out import (
    ANSWER,
    ASK,
    LEAVE,
    REPORT,
    Asking,
    Numbers,
    Reported,
    Server,
    Told,
)
from smalldata_stream.rank import launched, size_told

T = TypeVar("T")

_SHARE, _REDUCE = 11, 12
_QUICK, _SLOW, _LAZY = 0.0001, 0.0005, 0.002
"""Seconds between two looks for a message: first, when none comes to a rank that waits, and
when none comes to rank 0, which works meanwhile: a look costs it 20 us."""
_SWITCH_SECONDS = 0.0005
"""The thread that hands out gets its turn so soon, also from a rank 0 busy in Python."""


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
    def handing_out(
        self,
        numbers: Iterator[int],
        told: Told,
        reported: Reported = lambda rank, what: None,
    ) -> Iterator[Numbers]:
        """Hand ``numbers``, which are rank 0's, out to whoever asks, each once.

        Rank 0 does it from a thread, beside its own work; ``told`` and ``reported`` are
        called there.
        """
        if not self.first:
            theirs = Numbers(Asking(self._asking, self._hear))
            yield theirs
            theirs.leave()
            return
        server = Server(numbers, told, reported)
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
        """Answer the other ranks; if that fails, end the job: they would wait forever."""
        answered = False
        try:
            self._answer(server)
            answered = True
        finally:
            if not answered:
                traceback.print_exc()
                self.abort()

    def _answer(self, server: Server) -> None:
        """Answer the other ranks until each has left."""
        working = self.size - 1
        pause = _QUICK
        status = self._mpi.Status()
        while working:
            message = self._asking.improbe(self._mpi.ANY_SOURCE, self._mpi.ANY_TAG, status)
            if message is None:
                time.sleep(pause)
                pause = min(2 * pause, _LAZY)
                continue
            pause = _QUICK
            rank, tag = status.Get_source(), status.Get_tag()
            said = message.recv()
            if tag == REPORT:
                server.report(said, rank)
                continue
            events, ended = said
            server.tell(events, rank)
            if tag == ASK:
                self._asking.send(server.next(ended=ended), rank, ANSWER)
            working -= tag == LEAVE

    def _hear(self, rank: int, tag: int, comm: Any = None) -> Any:
        pause = _QUICK
        comm = comm or self._comm
        while (message := comm.improbe(rank, tag)) is None:
            time.sleep(pause)
            pause = min(2 * pause, _SLOW)
        return message.recv()


def ranks() -> Ranks:
    """The ranks of this job; initialises MPI where a launcher started this process.

    Raises
    ------
    SmalldataError
        If it did, and there is no MPI here, or another one.
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
    found = Ranks(MPI)
    if found.size != (size_told() or found.size):
        library = MPI.Get_library_version().partition(",")[0]
        raise SmalldataError(
            f"the launcher started {size_told()} processes, but {library} sees "
            f"{found.size}: launcher and MPI library must be of one family; see "
            "docs/batch.md, Which MPI"
        )
    return found


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
