"""Live mode with several workers on one host: processes, joined by one collector.

Each worker is a live session over its share of the events (`smalldata_stream.modes.relay`).
The collector adds up their totals and plots, which is exact in any order, puts their rows
in order of time, and publishes and writes what a single session would.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from smalldata_stream.errors import ConstantsError, GraphError, SourceError
from smalldata_stream.graph import FindConstants
from smalldata_stream.loading import graph_of
from smalldata_stream.modes.display import tell_error
from smalldata_stream.modes.joined import JoinedRun
from smalldata_stream.modes.live import LiveOptions
from smalldata_stream.modes.relay import (
    Began,
    Behind,
    Broken,
    Job,
    Learned,
    Message,
    Refused,
    Shown,
    Taken,
    work,
)
from smalldata_stream.modes.session import Report
from smalldata_stream.run import RunInfo

log = logging.getLogger(__name__)

WINDOW_SECONDS = 5.0
"""How long a row waits for those of slower workers before it is written; plots and newest
values do not wait."""

LOOK_SECONDS = 0.05
END_SECONDS = 10.0
"""A worker that has been told to end may take so long."""

Key = tuple[str, int, int, str]


def run_workers(
    job: Job,
    workers: int,
    constants: Callable[[RunInfo], FindConstants],
    options: LiveOptions,
    window_seconds: float = WINDOW_SECONDS,
) -> Generator[Report, None, None]:
    """Reduce runs as they come with so many processes; a report as `run_live` gives.

    Ends when no worker is left. On KeyboardInterrupt the workers end what they are at, what
    they have is written, and the last report is given.

    Raises
    ------
    SourceError
        When the last worker has died, and why.
    """
    crew = _Crew(job, workers, constants, options, window_seconds)
    try:
        crew.start()
        try:
            while crew.alive:
                yield from crew.step()
        except KeyboardInterrupt:
            crew.tell_to_end()
        deadline = time.monotonic() + END_SECONDS
        while crew.alive and time.monotonic() < deadline:
            yield from crew.step()
        yield from crew.end()
    finally:
        crew.close()
    if crew.errors and not crew.ending:
        raise SourceError(f"no worker is left; the last one said: {crew.errors[-1]}")


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, and the run that it is in."""

    number: int
    process: SpawnProcess
    connection: Connection
    run: JoinedRun | None = None


@dataclass(slots=True)
class _Crew:
    """All workers, and the runs that they are in."""

    job: Job
    size: int
    constants: Callable[[RunInfo], FindConstants]
    options: LiveOptions
    window_seconds: float
    errors: list[str] = field(default_factory=list)
    ending: bool = False
    _workers: list[_Worker] = field(default_factory=list)
    _runs: dict[Key, JoinedRun] = field(default_factory=dict)
    _reports: list[Report] = field(default_factory=list)
    _told: tuple[tuple[str, int, int], str] | None = None

    def start(self) -> None:
        """Start all processes."""
        context = multiprocessing.get_context("spawn")
        for number in range(self.size):
            here, there = context.Pipe()
            process = context.Process(
                target=work, args=(self.job, there, number), name=f"worker {number}"
            )
            process.start()
            there.close()
            self._workers.append(_Worker(number, process, here))

    @property
    def alive(self) -> set[int]:
        """The workers that have not ended."""
        return {one.number for one in self._workers}

    def step(self) -> Iterator[Report]:
        """Take what has come, show it; reports of the runs that are over."""
        connections = {one.connection: one for one in self._workers}
        ready = wait(list(connections), LOOK_SECONDS)
        with self.options.shield.held():
            for connection in ready:
                self._hear(connections[connection])  # type: ignore[index]
            topics = self.options.resets.take()
            for run in self._runs.values():
                if topics is not None:
                    run.restart_plots(topics)
                run.show({"asked": self.size, "alive": len(self._workers)})
        yield from self._over()

    def _over(self) -> Iterator[Report]:
        alive = self.alive
        for key, run in list(self._runs.items()):
            if run.over(alive):
                with self.options.shield.held():  # a signal waits until the file is whole
                    del self._runs[key]
                    self._reports.append(run.end())
        while self._reports:
            yield self._reports.pop(0)

    def _hear(self, worker: _Worker) -> None:
        try:
            message: Message = worker.connection.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        if isinstance(message, Began):
            self._begin(worker, message)
        elif isinstance(message, Taken):
            if worker.run is not None:
                worker.run.take(worker.number, message)
        elif isinstance(message, Behind):
            if worker.run is not None:
                worker.run.wait_for(worker.number, message.is_so)
        elif isinstance(message, Shown):
            if worker.run is not None:
                worker.run.merge(worker.number, message)
                worker.run = None if message.last else worker.run
        elif isinstance(message, Refused):
            self._tell_error(message.run, message.error)
        elif isinstance(message, Broken):
            self.errors.append(message.error)
            log.error("worker %d ends: %s", worker.number, message.error)

    def _begin(self, worker: _Worker, began: Began) -> None:
        run = began.run
        key = (run.exp, run.number, run.begin, began.graph)
        if key not in self._runs:
            graph = graph_of(self.job.path, began.graph)
            try:
                joined = JoinedRun(
                    run, graph, self.constants(run), self.options, self.window_seconds
                )
            except (GraphError, ConstantsError) as error:
                self._tell_error(run, str(error))
                return
            for older in self._runs.values():
                older.retire()
            self._runs[key] = joined
            for other in self._workers:
                if other is not worker:
                    with suppress(OSError):  # one that has died is found in its turn
                        other.connection.send(Learned(key[:3], began.known))
        worker.run = self._runs[key]
        worker.run.enter(worker.number)

    def _tell_error(self, run: RunInfo, error: str) -> None:
        """Every worker says it, in its time; it is told once."""
        key = (run.exp, run.number, run.begin)
        if (key, error) == self._told:
            return
        self._told = (key, error)
        if error:
            log.error("%s", error)
        if self.options.metrics is not None:
            self.options.metrics.graph_broken(bool(error))
        begun = any(known[:3] == key for known in self._runs)
        tell_error(self.options.publishers, run, error, begun=begun)

    def _bury(self, worker: _Worker) -> None:
        worker.process.join(END_SECONDS)
        if worker.process.exitcode and not self.ending:
            self.errors.append(f"exit code {worker.process.exitcode}")
            log.error("worker %d has died (%s)", worker.number, self.errors[-1])
        if worker.run is not None:
            worker.run.leave(worker.number)
        worker.connection.close()
        self._workers.remove(worker)

    def tell_to_end(self) -> None:
        """Have the workers finish what they are at."""
        self.ending = True
        for worker in self._workers:
            worker.process.terminate()

    def end(self) -> Iterator[Report]:
        """End all runs as they are."""
        for run in self._runs.values():
            yield run.end()
        self._runs.clear()

    def close(self) -> None:
        """End every process that is left."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            with suppress(OSError):
                worker.connection.close()
        self._workers.clear()
