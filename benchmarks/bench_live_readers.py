"""What readers of a live session cost it: nobody reads, one sleeps, one reads.

    python -m benchmarks.bench_live_readers [--seconds 5]

It needs no server: the same batches again and again, with the kinds of readers in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live_session import FRAME_GRAPH, READ, SLEEP, subscriber
from sinks.zmq import ZmqPublisher
from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.graph import FindConstants
from smalldata_stream.modes import live
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.modes.display import Display
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import LiveOptions, run_live
from smalldata_stream.protocols import Fault, Run
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate
from smalldata_stream.sources.files import FilesSource

KINDS = {
    "nobody reads": (None, "(target < 1 %)"),
    "one sleeps": (SLEEP, "(target < 2 %)"),
    "one reads": (READ, ""),
}


class Again:
    """The batches of a run, again and again, until so much time has gone by."""

    def __init__(self, run: Run, batches: Sequence[Batch], seconds: float):
        self.info, self.kept, self.seconds = run.info, batches, seconds
        self.faults: Sequence[Fault] = ()
        self.events, self.graph, self.others = 0, 0.0, 0.0

    def runs(self) -> Iterator[Run]:
        yield self

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        time_, end = 1 << 32, time.monotonic() + self.seconds
        graph, others = time.thread_time(), other_threads()
        while time.monotonic() < end:
            for one in self.kept:
                times = np.arange(time_, time_ + len(one), dtype=np.uint64)
                time_ += len(one)
                self.events += len(one)
                yield Batch(times, one.steps, one.columns, one.status)
        self.graph = time.thread_time() - graph
        self.others = other_threads() - others


def other_threads() -> float:
    """CPU seconds of all threads of this process but the one that asks."""
    tasks = Path("/proc/self/task")
    others = [one for one in tasks.iterdir() if one.name != f"{threading.get_native_id()}"]
    return sum(int((one / "schedstat").read_text().split()[0]) for one in others) / 1e9


class Showing(Display):
    """Adds up what showing costs the graph's thread."""

    seconds = 0.0

    def show(self, *of_session: Any, whole: bool = True) -> None:
        begin = time.thread_time()
        super().show(*of_session, whole=whole)
        Showing.seconds += time.thread_time() - begin

    def show_values(self, *of_session: Any) -> bool:
        begin = time.thread_time()
        shown = super().show_values(*of_session)
        Showing.seconds += time.thread_time() - begin
        return shown


def readers(files: SimulatedFiles, graph: Path, seconds: float) -> None:
    """What publishing costs by who reads.

    All that the graph's thread spends in showing, and all other threads, which are there
    for publishing alone; against the rest of the time of the graph's thread. (The
    difference to a run without publisher is lost in what other processes do to the caches.)
    """
    (run,) = FilesSource.from_files(files.xtc2).runs()
    every = [s for d in run.info.detectors.values() for s in d.signals()]
    batches = list(run.batches(every, BatchLimits(events=8)))

    def constants(info: RunInfo) -> FindConstants:
        return find_constants(str(files.constants), info, None)

    def reduce(code: str | None, seconds: float) -> Again:
        again, guard = Again(run, batches, seconds), threading.Lock()
        with ZmqPublisher(guard=guard) as publisher, subscriber(code, publisher.address):
            options = LiveOptions(publishers=[publisher], guard=guard)
            Showing.seconds = 0.0
            assert list(run_live(again, GraphWatch(str(graph)), constants, options))
        return again

    reduce(READ, 0.5)  # compiles kernels
    print("publishing, CPU time of all threads, of the time of the frame graph")
    for name, (code, target) in KINDS.items():
        again = reduce(code, seconds)
        rest = again.graph - Showing.seconds
        there, elsewhere = Showing.seconds / rest, again.others / rest
        print(
            f"  {name:14} {there + elsewhere:6.2%}   {there:6.2%} in the graph's thread "
            f"{target}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    live.Display = Showing  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        graph = folder / "frames.py"
        graph.write_text(FRAME_GRAPH)
        some = ("timing", "gmd", "jungfrau")
        run = simulate(folder / "run", Simulation(events=120, steps=1, detectors=some))
        readers(run, graph, seconds)


if __name__ == "__main__":
    main()
