"""Play a run through psana's shared-memory server, as the beamline would.

Streams are event-built, datagrams get new timestamps near now that only ever increase, and
the wheel's ``shmemServer`` hands them out, at a rate, as often as wanted.
"""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from smalldata_stream.errors import SourceError
from smalldata_stream.play_build import BuiltRun, Item
from smalldata_stream.play_order import Stamped, in_order, stamped
from smalldata_stream.play_server import ShmemServer
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.files_find import open_all
from smalldata_stream.sources.files_runs import pair_runs
from smalldata_stream.timestamps import EPOCH
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import Service

LOG = logging.getLogger(__name__)
MOST_BYTES = 64 << 20
"""Largest datagram that the server reads."""

_CATCH_UP = 2
"""How much faster than the rate the server may go on when it has fallen behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """How to play runs.

    Attributes
    ----------
    tag
        Partition tag of the server.
    rate_hz
        Events per second.
    loops
        How often the runs are played; 0 means until told to stop.
    run_per_loop
        Whether each pass through a single run is a run of its own. Otherwise the passes
        are one long run. With several runs each is always played as one.
    clients, buffers
        Slots for clients, and event buffers for all together. A slot that nobody uses
        costs its share of the buffers in events at every Enable.

    Raises
    ------
    ValueError
        If a number makes no sense.
    """

    tag: str
    rate_hz: float = 120.0
    loops: int = 0
    run_per_loop: bool = False
    clients: int = 1
    buffers: int = 8

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.tag, re.ASCII):
            raise ValueError(f"tag={self.tag!r}: write letters and digits, such as 'mine'")
        if not self.rate_hz > 0:
            raise ValueError(f"rate_hz={self.rate_hz}: write a number above 0")
        if self.loops < 0:
            raise ValueError(f"loops={self.loops}: write 1 or more, or 0 for no end")


@dataclass(slots=True)
class Progress:
    """What has been played so far."""

    events: int = 0
    transitions: int = 0
    begin: float = 0.0


def play(
    source: FilesSource,
    options: Play,
    *,
    stopped: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> Progress:
    """Play the runs of ``source`` until done or ``stopped``; returns what was played.

    Waits for the first client. Event k of the whole has the timestamp (and is sent at)
    begin + k / rate, with a pause at each transition that is no SlowUpdate.

    Raises
    ------
    SourceError
        If there is nothing to play, or the tag is in use.
    PsanaError
        If psana's server is not there, or dies.
    """
    progress = progress or Progress()
    runs = build(source)
    largest = max(run.largest for run in runs)
    if largest > MOST_BYTES:
        raise SourceError(f"events of {largest} bytes; the server takes {MOST_BYTES}")
    skipped = sum(run.skipped for run in runs)
    if skipped:
        LOG.warning("%d damaged datagrams are left out", skipped)
    with ShmemServer(
        options.tag,
        buffer_bytes=largest,
        clients=options.clients,
        buffers=options.buffers,
        most_hz=_CATCH_UP * options.rate_hz,
    ) as server:
        if server.wait_for_client(stopped):
            for one in _paced(runs, options, progress):
                if stopped():
                    break
                server.send(one.raw)
                event = one.service is Service.L1_ACCEPT
                progress.events += event
                progress.transitions += not event
    return progress


def build(source: FilesSource) -> list[BuiltRun]:
    """The runs of a source that have events, event-built; raises SourceError."""
    runs = [
        BuiltRun(parts)
        for paths in source.groups
        for parts in pair_runs(open_all(paths, FaultLog()))
    ]
    runs = [run for run in runs if run.count]
    if not runs:
        raise SourceError("there is no event to play")
    return runs


def _paced(
    runs: Sequence[BuiltRun], options: Play, progress: Progress
) -> Iterator[Stamped]:
    """The datagrams, each when its time has come."""
    progress.begin = time.time()
    period = round(1e9 / options.rate_hz)
    begin = round((progress.begin - EPOCH) * 1e9)
    start = time.monotonic()
    for one in stamped(passes(runs, options), begin, period):
        wait = start + (one.time - begin) / 1e9 - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        yield one


def passes(runs: Sequence[BuiltRun], options: Play) -> Iterator[Item]:
    """All datagrams of all loops, with their old timestamps."""
    loops = itertools.count() if not options.loops else range(options.loops)
    orders = [in_order(run) for run in runs]
    if len(runs) > 1 or options.run_per_loop:
        for _ in loops:
            for run, items in zip(runs, orders, strict=True):
                yield _configure(run)
                yield from items
        return
    [items] = orders
    yield _configure(runs[0])
    yield items[0]
    for _ in loops:
        yield from items[1:-1]
    yield items[-1]


def _configure(run: BuiltRun) -> Item:
    return Item(0, Service.CONFIGURE, lambda: run.configure)
