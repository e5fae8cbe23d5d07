"""What publishing costs the graph, and what a subscriber gets.

    python -m benchmarks.bench_zmq [--seconds S]

The subscriber is a process of its own on this machine. Cost is the time the graph's thread
spends in ``wanted`` and ``offer``; latency is from ``offer`` to the message in the hands of
the subscriber, by the clock of the machine.

The share of the graph's time is that of a live session that never waits for events, the
worst case, and publishes up to five times a second: with nobody there, with a subscriber
that sleeps, and with one that reads. The time is that of the graph's thread alone.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sinks.zmq import ZmqPublisher
from smalldata_stream.batch import BatchLimits
from smalldata_stream.message import Message
from smalldata_stream.modes import live
from smalldata_stream.modes.display import Display
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import LiveOptions, run_live
from smalldata_stream.run import FieldInfo
from smalldata_stream.sources.simulated import Script, SimulatedSource
from smalldata_stream.sources.simulated_detectors import DETECTORS, ScriptedDetector

READER = """
import sys, time
from smalldata_stream.client import Client
ages = []
with Client(sys.argv[1]) as client:
    client.subscribe()
    print("ready", flush=True)
    message = client.next(20)
    while not message.metadata.get("last"):
        ages.append(time.time() - message.metadata["published"])
        message = client.next(20)
ages.sort()
print(len(ages), ages[len(ages) // 2] * 1e3, ages[-1] * 1e3, client.dropped.total())
"""
Payload: TypeAlias = NDArray[Any]
PAYLOADS: dict[str, tuple[int, Payload]] = {
    "100 numbers": (20, np.zeros(100)),
    "1 Mpix uint16": (1, np.zeros((1024, 1024), np.uint16)),
}
"""Topics in a round, and the array of each."""
ROUNDS = 100

GRAPH = """
def graph(g, run):
    light = g.light_status(xray_excluded=[162], laser_required=[90])
    gmd = g.detector("gmd")
    cam = g.detector("cam", frames="raw.image", calibration="raw")
    ring = cam.roi("ROI_0", [[0, 1], [0, 512], [200, 900]])
    cam.projection(axis=1)
    cam.sum("calib")
    gmd["energy"].plot.strip()
    gmd["energy"].plot.histogram((0, 200, 100))
    ring["sum"].plot.scatter(gmd["energy"])
    ring.projection(axis=0).plot.line(by=light["laser"])
    cam.plot.image()
"""
FRAME = np.random.default_rng(1).poisson(5, (1, 512, 1024)).astype(np.uint16)
CAM = ScriptedDetector(
    type="axis",
    fields={
        ("raw", "image"): (
            FieldInfo(dtype=FRAME.dtype, rank=3, shape=FRAME.shape, frame=True),
            lambda event: FRAME,
        )
    },
)
EVENTS, UPDATES_HZ = 10_000, 5


def maker(topic: str, values: Payload, last: bool = False) -> Callable[[], Message]:
    """What is offered."""
    metadata = {"timestamp": 1 << 60, "kind": "line", "last": last}
    return lambda: Message(topic, metadata, {"values": values})


def cost(publisher: ZmqPublisher, topics: int, values: Payload, pause: float) -> str:
    """Time in the publisher, per topic of a round."""
    makers = {f"topic{i}": maker(f"topic{i}", values) for i in range(topics)}
    took = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        publisher.wanted(makers)
        for topic, make in makers.items():
            publisher.offer(topic, make)
        took.append((time.perf_counter() - start) / topics)
        time.sleep(pause)
    return f"{statistics.median(took) * 1e6:7.1f} µs, longest {max(took) * 1e3:6.2f} ms"


@contextmanager
def reader(publisher: ZmqPublisher) -> Iterator[subprocess.Popen[str]]:
    """A process that subscribes, once the publisher knows it."""
    command = [sys.executable, "-c", READER, publisher.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 20
        while not publisher.wanted(["topic0"]) and time.monotonic() < end:
            time.sleep(0.01)
        try:
            yield process
        finally:
            process.kill()


def published(values: Payload, hertz: float, seconds: float) -> str:
    """What a subscriber gets of offers at ``hertz`` (0: as fast as they can be made)."""
    with ZmqPublisher() as publisher, reader(publisher) as process:
        make, end = maker("topic0", values), time.monotonic() + seconds
        offers = 0
        while time.monotonic() < end:
            publisher.offer("topic0", make)
            offers += 1
            time.sleep(1 / hertz if hertz else 0)
        time.sleep(0.3)
        publisher.offer("topic0", maker("topic0", values, last=True))
        assert process.stdout is not None
        process.stdout.readline()
        line = process.stdout.readline().split()
    got, dropped, (median, longest) = int(line[0]), int(line[3]), map(float, line[1:3])
    rate = (offers - dropped) * values.nbytes / seconds / 1e6
    return (
        f"{offers:6d} sent, {dropped:6d} missed, {rate:5.0f} MB/s; of these {got:5d} "
        f"handed out, latency {median:5.2f} ms, longest {longest:5.1f} ms"
    )


class Timed(Display):
    """Adds up the time of the graph's thread in publishing."""

    seconds, rounds = 0.0, 0

    def show(self, *of_session: Any, whole: bool = True) -> None:
        begin = time.thread_time()
        super().show(*of_session, whole=whole)
        Timed.seconds += time.thread_time() - begin
        Timed.rounds += 1

    def show_values(self, *of_session: Any) -> bool:
        begin = time.thread_time()
        shown = super().show_values(*of_session)
        Timed.seconds += time.thread_time() - begin
        return shown


def share(publishers: Sequence[ZmqPublisher]) -> str:
    """The part of the time of the graph's thread that goes to publishing."""
    detectors = {name: DETECTORS[name] for name in ("timing", "gmd")} | {"cam": CAM}
    source = SimulatedSource(Script(events=EVENTS, detectors=detectors))
    options = LiveOptions(
        publishers=publishers,
        display_seconds=1 / UPDATES_HZ,
        limits=BatchLimits(events=24, bytes=1 << 30),
    )
    with tempfile.TemporaryDirectory() as directory:
        graph = Path(directory) / "graph.py"
        graph.write_text(GRAPH)
        Timed.seconds, Timed.rounds, begin = 0.0, 0, time.thread_time()
        for _ in run_live(
            source, GraphWatch(str(graph)), lambda i: lambda n: None, options
        ):
            pass
        whole = time.thread_time() - begin
    return (
        f"{100 * Timed.seconds / whole:5.2f} % of {1e3 * whole / EVENTS:.2f} ms per event; "
        f"{Timed.rounds} rounds in {whole:.1f} s, "
        f"{1e3 * Timed.seconds / max(Timed.rounds, 1):.2f} ms for each"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="publishing over ZMQ")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    print("cost to the graph of one topic of a round (wanted + offer)")
    for name, (topics, values) in PAYLOADS.items():
        what = f"  {topics:2} x {name:14}"
        with ZmqPublisher() as publisher:
            print(f"{what} nobody reads      {cost(publisher, topics, values, 0.01)}")
            with reader(publisher) as process:
                print(f"{what} read              {cost(publisher, topics, values, 0.01)}")
                process.send_signal(signal.SIGSTOP)
                print(f"{what} reader is stopped {cost(publisher, topics, values, 0.01)}")
    print(
        f"share of the graph's time: 512 x 1024 frames, {len(GRAPH.splitlines()) - 3} lines"
    )
    live.Display = Timed  # type: ignore[attr-defined]
    share([])  # compiles the kernels
    with ZmqPublisher() as publisher:
        print(f"  nobody reads      {share([publisher])}")
        with reader(publisher) as process:
            process.send_signal(signal.SIGSTOP)
            print(f"  reader sleeps     {share([publisher])}")
            process.send_signal(signal.SIGCONT)
            print(f"  reader reads      {share([publisher])}", flush=True)
    print("what a subscriber gets")
    for name, (_, values) in PAYLOADS.items():
        for hertz in (10, 100, 0):
            at = f"at {hertz} Hz" if hertz else "flat out"
            print(f"  {name:14} {at:9}{published(values, hertz, seconds)}", flush=True)


if __name__ == "__main__":
    main()
