"""What publishing costs the graph, and what a subscriber gets.

    python -m benchmarks.bench_zmq [--seconds S]

The subscriber is a process of its own on this machine. Cost is the time the graph's thread
spends in ``wanted`` and ``offer``; latency is from ``offer`` to the message in the hands of
the subscriber, by the clock of the machine.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sinks.zmq import ZmqPublisher
from smalldata_stream.message import Message

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
    print("what a subscriber gets")
    for name, (_, values) in PAYLOADS.items():
        for hertz in (10, 100, 0):
            at = f"at {hertz} Hz" if hertz else "flat out"
            print(f"  {name:14} {at:9}{published(values, hertz, seconds)}", flush=True)


if __name__ == "__main__":
    main()
