"""The process that psana runs in: opens one run, describes it, and sends its batches.

Started by `smalldata_stream.sources.psana_process`, never by hand. It ends when its
standard input does, that is with its parent, however that ends.
"""

from __future__ import annotations

import mmap
import os
import queue
import signal
import socket
import sys
import threading
import traceback

from smalldata_stream.run import RunInfo
from smalldata_stream.sources import psana_wire as wire
from smalldata_stream.sources.dies_with_parent import die_with_parent
from smalldata_stream.sources.psana_child_batches import Batches
from smalldata_stream.sources.psana_child_constants import Down, fetch
from smalldata_stream.sources.psana_child_describe import Layout
from smalldata_stream.sources.psana_child_geometry import positions
from smalldata_stream.sources.psana_child_methods import Methods
from smalldata_stream.sources.psana_child_open import Opened, open_run, service
from smalldata_stream.sources.psana_messages import (
    UNDER_WAY,
    ConstantsFound,
    ConstantsJob,
    Described,
    Ended,
    Failed,
    GeometryFound,
    GeometryJob,
    Job,
)
from smalldata_stream.xtc2.describe import Description


def main() -> None:
    """Do the job that comes over the socket whose number is the first argument."""
    die_with_parent()
    talk = socket.socket(fileno=int(sys.argv[1]))
    seen = memoryview(mmap.mmap(int(sys.argv[2]), mmap.PAGESIZE)).cast("Q")
    outbox = Outbox(talk)
    try:
        job = wire.receive(talk)
        if isinstance(job, ConstantsJob):
            found = fetch(job, lambda answers: count(seen, answers))
            outbox.put(ConstantsFound(found))
        elif isinstance(job, GeometryJob):
            outbox.put(GeometryFound(positions(job)))
        else:
            read(job, talk, outbox, seen)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (psana raises what it likes)
        traceback.print_exc()
        outbox.put(Failed(said(error), down=isinstance(error, Down)))
    outbox.close()
    while True:
        signal.pause()  # the parent ends it: closing this end could lose the last word


def said(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}"


def read(job: Job, talk: socket.socket, outbox: Outbox, seen: memoryview[int]) -> None:
    """Describe the run, then send the batches of what is asked for."""
    opened = open_run(job)
    if opened is None:
        outbox.put(Described(None))
        return
    layout = Layout(opened.configures, job.order)
    peek(opened, layout, job, seen)
    methods = Methods(opened)
    description = methods.describe(
        layout.describe(), job.samples, lambda number: count(seen, number)
    )
    outbox.put(Described(describe(opened, description, job), tuple(methods.info)))
    request = wire.receive(talk)
    count(seen, 0)
    batches = Batches(opened, layout, description, request, methods, job.times)
    while True:
        stops = [n for n in (job.stop, request.stop) if n is not None]
        stop = min(stops, default=None)
        for batch in batches.read(request.skip, stop, lambda events: count(seen, events)):
            outbox.put(batch)
        gaps, lost = batches.faults()
        error = None if batches.error is None else said(batches.error)
        outbox.put(Ended(gaps=gaps, lost=lost, error=error))
        outbox.wait()
        try:
            for _ in range(UNDER_WAY):
                talk.recv(1)  # allowances that were not used
            request = wire.receive(talk)
        except (EOFError, OSError):
            return


def count(seen: memoryview[int], events: int) -> None:
    """Let the parent know how many events psana has got over."""
    seen[0] = events


def peek(opened: Opened, layout: Layout, job: Job, seen: memoryview[int]) -> None:
    """Let psana decode single datagrams for their shapes; counts from 1, before each."""
    for number, sample in enumerate(job.samples):
        count(seen, number + 1)
        streams = len(opened.configures)
        dgrams = [None] * streams
        dgrams[sample.stream] = opened.decode(sample)
        layout.look(service(dgrams), dgrams)


def describe(opened: Opened, description: Description, job: Job) -> RunInfo:
    """All that is known before the first event."""
    exp, number = opened.experiment() or (job.exp, job.number)
    return RunInfo(
        exp=exp,
        number=number,
        detectors=description.detectors,
        begin=job.begin,
        source=job.source,
    )


class Outbox:
    """Sends from a thread of its own, so that psana reads on meanwhile.

    Each batch waits for a word from the parent, so that no more than a few are under way.
    """

    def __init__(self, talk: socket.socket):
        self._talk = talk
        self._queue: queue.Queue[object] = queue.Queue(1)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, message: object) -> None:
        """Send ``message`` when its turn comes."""
        self._queue.put(message)

    def wait(self) -> None:
        """Return when all so far has been sent."""
        self._queue.join()

    def close(self) -> None:
        """Return when all has been sent."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (message := self._queue.get()) is not None:
                if isinstance(message, wire.PackedBatch) and not self._talk.recv(1):
                    os._exit(0)
                wire.send(self._talk, message)
                self._queue.task_done()
        except OSError:
            os._exit(0)  # the parent has had enough


if __name__ == "__main__":
    main()
