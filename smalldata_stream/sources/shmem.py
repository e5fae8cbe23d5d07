"""Runs from psana's shared memory, decoded by our own decoder as those in files are.

psana's client runs in a process of its own, which copies every datagram out of the
server's buffer at once; from the bytes on everything is shared with
`smalldata_stream.sources.files`.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass

from smalldata_stream.errors import CorruptData
from smalldata_stream.sources.shmem_feed import Feed
from smalldata_stream.sources.shmem_losses import Losses
from smalldata_stream.sources.shmem_run import ShmemRun

__all__ = ["ShmemRun", "ShmemSource"]

LOG = logging.getLogger(__name__)
MEMORY = 1 << 30


@dataclass(frozen=True, slots=True)
class ShmemSource:
    """The runs that a shared-memory server with the tag ``tag`` hands out.

    A run begins with BeginRun, or with the first event after a Configure where there is no
    BeginRun; it ends with EndRun, with the next BeginRun or Configure, or when the server
    goes away. When a server comes back, its run is a new one.

    Attributes
    ----------
    tag
        Partition tag: what the server was started with (``shmemServer -p``).
    timeout
        Seconds that a server may be away: at first until `runs` raises SourceError, later
        until it ends.
    wait
        Wait for a server without limit instead.
    memory
        Bytes of shared memory for events that wait, or whose frames are in use; what is not
        needed is not taken. When they are not enough the oldest that wait are given up and
        counted.
    stale_seconds
        Events that have waited longer than this for their reader are given up, too, when
        newer ones have come; but not at the beginning of a run or after other signals
        were asked for, when kernels may have to be compiled: see `Feed.wait_for_reader`.
    first_events, first_seconds
        So many events, or those of so many seconds, are looked at for shapes before a run
        is handed on; they are part of it.
    alone
        Whether all events should come here. If not, because other clients have their share,
        nothing is estimated to be missing; see `ShmemRun.enabled`.

    >>> source = ShmemSource("xpp")
    >>> source.timeout, source.wait
    (10.0, False)
    """

    tag: str
    timeout: float = 10.0
    wait: bool = False
    memory: int = MEMORY
    stale_seconds: float = 2.0
    first_events: int = 100
    first_seconds: float = 1.0
    alone: bool = True

    def __post_init__(self) -> None:
        if not self.tag:
            raise ValueError("a shared-memory server has a tag; give the one of its -p")
        if self.timeout <= 0 or self.memory <= 0:
            raise ValueError(f"timeout and memory are above zero, not {self}")

    def runs(self) -> Generator[ShmemRun, None, None]:
        """The runs as they come; asking for the next gives up what is left of one.

        A run whose Configure is no sense is left out, and an error in the log says so.

        Raises
        ------
        SourceError
            If there is no server.
        PsanaError
            If psana is absent or its client dies.
        """
        timeout = None if self.wait else self.timeout
        with Feed(
            self.tag,
            memory=self.memory,
            stale_seconds=self.stale_seconds,
            timeout=timeout,
        ) as feed:
            while (
                head := feed.next_run(self.first_events, self.first_seconds)
            ) is not None:
                try:
                    run = ShmemRun(feed, head, Losses(feed.where), alone=self.alone)
                except CorruptData as error:
                    LOG.error("%s; the run is left out", error)
                    continue
                yield run
                run.skip()
