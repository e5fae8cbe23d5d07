"""A worker of a live session: the same live session, which tells all to its collector.

What goes over is what each batch gave for the file (`Taken`), and, a few times a second,
what was added to totals and plots since the last time (`Shown`). Nothing queues up here:
a collector that is too slow makes the worker wait, and its source gives up events, which
are counted.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Batch, BatchLimits, Column, Signal
from smalldata_stream.errors import SmalldataError
from smalldata_stream.ledger import Ledger
from smalldata_stream.metrics_session import nbytes_of
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import BATCH_SECONDS, LiveOptions, run_live
from smalldata_stream.modes.session import Session
from smalldata_stream.modes.shield import Shield
from smalldata_stream.protocols import Askable, Declaration, Fault, Result, Run
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.shmem import ShmemSource
from smalldata_stream.sources.shmem_run import ShmemRun
from smalldata_stream.xtc2.describe import Description

Times = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is to do: the graph at ``path`` over the shared memory ``tag``."""

    tag: str
    path: Path
    constants: str | None = None
    directory: Path | None = None
    limits: BatchLimits = field(default_factory=lambda: BatchLimits(seconds=BATCH_SECONDS))
    display_seconds: float = 0.2
    command: str = ""


@dataclass(frozen=True, slots=True)
class Began:
    """A graph (its text) begins over a run, of whose data ``known`` is known."""

    run: RunInfo
    graph: str
    known: Description


@dataclass(frozen=True, slots=True)
class Learned:
    """What another worker knows of a run, which is (experiment, number, begin).

    A rare detector may show itself to one worker alone.
    """

    run: tuple[str, int, int]
    known: Description


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch: all its events, the Enable before each, its bytes; and what it gave."""

    timestamps: Times
    enabled: Times
    nbytes: int
    kept: Times
    record: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Behind:
    """Whether the worker may bring events much older than those of the others.

    It has compiled kernels, or compiles them now, and catches up.
    """

    is_so: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What was added to the totals since the last time; everything else as it is now.

    ``nodes`` has seconds and events by node. ``last``: the graph ends over this run.
    """

    states: Mapping[str, Any]
    ledger: Ledger
    newest: int
    nodes: Mapping[str, tuple[float, int]]
    last: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The graph does not build for a run; an empty text says that it does."""

    run: RunInfo
    error: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker cannot go on."""

    error: str


def work(job: Job, to: Connection, number: int) -> None:
    """Be worker ``number`` until SIGTERM; ends with its collector whatever happens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the collector
    level = logging.ERROR if number else logging.WARNING  # what all see is said once
    logging.basicConfig(format=f"%(levelname)s: worker {number}: %(message)s", level=level)
    # The collector says it for all.
    logging.getLogger("smalldata_stream.modes.live").disabled = True
    shield = Shield()
    relay = Relay(to, job.display_seconds, shield)
    threading.Thread(target=_listen, args=[to, relay], daemon=True).start()
    options = LiveOptions(
        limits=job.limits, shows=relay, sink=relay.sink, shield=shield, command=job.command
    )
    source = Shared(ShmemSource(job.tag, wait=True, alone=False), relay)
    try:
        with shield.armed([signal.SIGTERM]):
            for _ in run_live(
                source,
                GraphWatch(str(job.path)),
                lambda info: find_constants(job.constants, info, job.directory),
                options,
            ):
                pass
    except SmalldataError as error:
        to.send(Broken(str(error)))
    except KeyboardInterrupt:
        pass  # told to end while no run was there
    except BrokenPipeError:
        os._exit(1)  # nobody is there to be told


def _listen(collector: Connection, relay: Relay) -> None:
    """Hear what other workers know of the run; end with the collector."""
    try:
        while True:
            relay.heard.append(collector.recv())
    except (EOFError, OSError):
        os._exit(1)


class Relay:
    """Tells a collector what a live session would show and write."""

    def __init__(self, to: Connection, every_seconds: float, shield: Shield):
        self._to, self._shield = to, shield
        self.heard: deque[Learned] = deque()
        self.run: ShmemRun
        self._every, self._due = every_seconds, 0.0
        self._session: Session | None = None
        self._read: tuple[Times, Times, int] | None = None
        self._kept: tuple[Times, Mapping[str, Column]] | None = None
        self._behind = False

    # ------------------------------------------------------------------ as what is shown

    def begin(self, session: Session) -> None:
        """A graph begins."""
        self._session, self._due, self._behind = session, 0.0, False
        graph, known = session.declaration.provenance["graph"], self.run.description
        self.send(Began(session.run, graph, known))

    def due(self) -> bool:
        """Whether it is time to show something."""
        return time.monotonic() >= self._due

    def show(
        self, session: Session, batch: Batch, ledger: Ledger, *, whole: bool = True
    ) -> None:
        """Send what was added since the last time."""
        self._due = time.monotonic() + self._every
        with self._shield.held():  # what is taken out of the totals has to be sent
            self.flush()
            self.send(_shown(session, ledger))

    def show_values(self, session: Session, batch: Batch) -> bool:
        """The collector has them with the batch."""
        return False

    def tell_error(self, run: RunInfo, error: str) -> None:
        """Say that the graph does not build; an empty text says that it does."""
        self.send(Refused(run, error))

    def send(self, message: Message) -> None:
        """Say something whole, whatever signal comes."""
        with self._shield.held():
            self._to.send(message)

    # ---------------------------------------------------------------------- as its source

    def read(self, timestamps: Times, enabled: Times, nbytes: int) -> None:
        """A batch goes into the graph now."""
        if self._session is not None and self.run.behind != self._behind:
            self._behind = self.run.behind
            self.send(Behind(self._behind))
        self._read = (timestamps, enabled, nbytes)

    def flush(self) -> None:
        """Send what came of the last batch, once."""
        with self._shield.held():
            if self._read is not None and self._session is not None:
                nothing: tuple[Times, Mapping[str, Column]] = (np.empty(0, np.uint64), {})
                self.send(Taken(*self._read, *(self._kept or nothing)))
            self._read = self._kept = None

    # ------------------------------------------------------------------------ as its sink

    def sink(self, run: RunInfo) -> RelaySink:
        """Where the session writes."""
        return RelaySink(self)

    def kept(self, timestamps: Times, record: Mapping[str, Column]) -> None:
        """What the graph keeps of the batch."""
        self._kept = (timestamps, record)

    def end(self, ledger: Ledger) -> None:
        """The last of this graph over this run."""
        assert self._session is not None
        self.flush()
        self.send(_shown(self._session, ledger, last=True))
        self._session = None


class RelaySink:
    """The sink of a worker."""

    def __init__(self, relay: Relay):
        self._relay = relay

    def begin(self, declaration: Declaration) -> None:
        """The collector builds the graph itself."""

    def write(self, timestamps: Times, record: Mapping[str, Column]) -> None:
        """Keep it until the batch is done."""
        self._relay.kept(timestamps, record)

    def end(self, totals: Mapping[str, Result], ledger: Ledger) -> None:
        """Send what is left."""
        self._relay.end(ledger)

    def abort(self) -> None:
        """Nothing was begun."""


def _shown(session: Session, ledger: Ledger, *, last: bool = False) -> Shown:
    plan = session.plan
    nodes = {node.path: (node.seconds, node.events) for node in plan.nodes}
    return Shown(plan.take_states(), ledger, plan.newest, nodes, last)


class Shared:
    """A source that tells a relay of every batch, before and after the graph has it."""

    def __init__(self, source: ShmemSource, relay: Relay):
        self._source, self._relay = source, relay

    def runs(self) -> Iterator[Run]:
        """The runs as they come."""
        for run in self._source.runs():
            self._relay.run = run
            yield SharedRun(run, self._relay)


class SharedRun(Askable):
    """A run of which other clients of the server have their share."""

    def __init__(self, run: ShmemRun, relay: Relay):
        self._run, self._relay = run, relay

    @property
    def info(self) -> RunInfo:
        """What the run holds."""
        return self._run.info

    @property
    def faults(self) -> Sequence[Fault]:
        """What this worker has lost."""
        return self._run.faults

    def ask(self, signals: Collection[Signal]) -> None:
        """Read these signals from the next batch on."""
        self._run.ask(signals)

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        """The events that come here."""
        for batch in self._run.batches(signals, limits):
            while self._relay.heard:
                learned = self._relay.heard.popleft()
                if learned.run == (self.info.exp, self.info.number, self.info.begin):
                    self._run.learn(learned.known)
            enabled = self._run.enabled(batch.timestamps)
            self._relay.read(batch.timestamps, enabled, nbytes_of(batch))
            yield batch
            self._relay.flush()


Message: TypeAlias = Began | Behind | Taken | Shown | Refused | Broken
"""What a worker says."""
