"""Subscribers that are slow, asleep, stopped or killed, and publishers that come back."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zmq

from sinks.zmq import ZmqPublisher
from smalldata_stream.client import Client
from smalldata_stream.errors import SourceError
from smalldata_stream.message import Message
from tests.processes import started
from tests.zmq.publishing import ENOUGH, SOON, Maker, value, wait_until

READER = """
import sys, time
from smalldata_stream.client import Client
client = Client(sys.argv[1])
client.subscribe("image")
while True:
    message = client.latest("image", float(sys.argv[2]))
    print(int(message.arrays["values"][0]), flush=True)
    time.sleep(0.02)
"""
HERTZ = 20
"""At a display rate: what is more than so many values old is older than a second."""

MEGABYTE = 250_000
"""Numbers in a megabyte of float32."""


@pytest.fixture
def publisher() -> Iterator[ZmqPublisher]:
    with ZmqPublisher() as publisher:
        yield publisher


def publish(publisher: ZmqPublisher, maker: Maker, rounds: int) -> None:
    """Offer so many values at `HERTZ`; were it held up by a reader, it would not end."""
    for _ in range(rounds):
        publisher.wanted([maker.topic])
        publisher.offer(*maker.offer())
        time.sleep(1 / HERTZ)


def there(client: Client, makers: Sequence[Maker]) -> bool:
    """Whether the client has the newest value of each."""
    newest = client.newest(0.01)
    return all(m.topic in newest and value(newest[m.topic]) == m.number for m in makers)


@contextmanager
def reading(
    publisher: ZmqPublisher, maker: Maker
) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A process that reads, and the numbers of the values that it has read so far."""
    command = [sys.executable, "-c", READER, publisher.address, f"{SOON}"]
    with started(command, stdout=subprocess.PIPE) as process:
        numbers: list[int] = []

        def follow() -> None:
            assert process.stdout is not None
            numbers.extend(int(line) for line in iter(process.stdout.readline, ""))

        thread = threading.Thread(target=follow)
        thread.start()
        wait_until(lambda: publisher.wanted([maker.topic]), 2 * SOON)
        publisher.offer(*maker.offer())
        wait_until(lambda: numbers)
        try:
            yield process, numbers
        finally:
            process.kill()
            thread.join()


def test_iterating_gives_each_topic_once_and_the_newest(publisher: ZmqPublisher) -> None:
    makers = [Maker(name) for name in ("a", "b", "c")]
    with Client(publisher.address) as client:
        client.subscribe()
        wait_until(lambda: publisher.wanted(["a"]))
        for _ in range(5):
            for maker in makers:
                publisher.offer(*maker.offer())
            wait_until(lambda: there(client, makers))
        messages = iter(client)
        found = {m.topic: value(m) for m in (next(messages) for _ in range(3))}
        assert found == {"a": 5, "b": 5, "c": 5}
        with pytest.raises(TimeoutError, match="nothing new"):
            client.next(0.1)
        assert not client.dropped


def test_a_slow_loop_starves_no_topic(publisher: ZmqPublisher) -> None:
    makers = [Maker(name) for name in ("a", "b", "c", "d")]
    seen: list[str] = []
    with Client(publisher.address) as client:
        client.subscribe()
        wait_until(lambda: publisher.wanted(["a"]))
        for _ in range(8):
            for maker in makers:
                publisher.offer(*maker.offer())
            wait_until(lambda: there(client, makers))
            seen.append(client.next(SOON).topic)
    assert sorted(seen) == sorted("abcd" * 2)


def test_what_had_come_before_a_pause_is_not_lost(publisher: ZmqPublisher) -> None:
    makers = [Maker(name) for name in ("a", "b")]
    with Client(publisher.address) as client:
        client.subscribe()
        wait_until(lambda: publisher.wanted(["a"]))
        for maker in makers:
            publisher.offer(*maker.offer())
        first = client.next(SOON).topic
        time.sleep(0.7)  # the graph has come to its end meanwhile
        assert {first, client.next(SOON).topic} == {"a", "b"}
        with pytest.raises(TimeoutError, match="nothing new"):
            client.next(0.3)


def test_after_a_pause_the_newest_is_what_comes(publisher: ZmqPublisher) -> None:
    """A reader that sleeps in the middle of large messages, as a busy notebook does."""
    maker = Maker("image", size=2 * MEGABYTE)
    with Client(publisher.address) as client:
        client.subscribe("image")
        wait_until(lambda: publisher.wanted(["image"]))
        publisher.offer(*maker.offer())
        assert value(client.latest("image", SOON)) == 1
        publish(publisher, maker, 2 * HERTZ)
        assert value(client.latest("image", SOON)) == maker.number
        assert client.dropped["image"] > 0


def test_a_stopped_process_sees_nothing_older_than_a_second(
    publisher: ZmqPublisher,
) -> None:
    maker = Maker("image", size=MEGABYTE)
    with reading(publisher, maker) as (process, numbers):
        publish(publisher, maker, HERTZ // 4)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: state_of(process.pid) == "T")
        before = maker.number
        publish(publisher, maker, 2 * HERTZ)
        resumed = maker.number
        process.send_signal(signal.SIGCONT)

        def goes_on() -> bool:
            publish(publisher, maker, 1)
            return numbers[-1] > resumed

        wait_until(goes_on)
        # The one that was in the reader's hands when it stopped is older.
        assert len({n for n in numbers if before < n <= resumed - HERTZ}) <= 1


def state_of(pid: int) -> str:
    """What a process is doing, as the kernel has it: R, S, T ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_killed_subscriber_is_forgotten(publisher: ZmqPublisher) -> None:
    maker = Maker("image", size=MEGABYTE)
    with reading(publisher, maker) as (process, _):
        process.kill()
        process.wait(SOON)
        publish(publisher, maker, HERTZ // 4)
        wait_until(lambda: not publisher.wanted(["image"]))
    made = maker.made
    publisher.offer(*maker.offer())
    assert maker.made == made


def test_a_publisher_that_comes_back_is_found() -> None:
    maker = Maker("gmd")
    with ZmqPublisher() as first:
        address = first.address
        with Client(address) as client:
            client.subscribe("gmd")
            wait_until(lambda: first.wanted(["gmd"]))
            for _ in range(5):
                first.offer(*maker.offer())
            wait_until(lambda: value(client.latest("gmd", SOON)) == 5)
            first.close()
            with ZmqPublisher(address) as second:
                # A client subscribes again when it next looks.
                wait_until(lambda: client.newest(0.01) and second.wanted(["gmd"]))
                second.offer(*maker.offer())
                wait_until(lambda: value(client.latest("gmd", SOON)) == 6)
            assert not client.dropped


def test_the_last_value_gets_there_even_if_it_was_missed(publisher: ZmqPublisher) -> None:
    """Far more than may be in flight, and the newest is what a full queue refuses."""
    maker = Maker("gmd", size=MEGABYTE // 4)
    with Client(publisher.address) as client:
        client.subscribe("gmd")
        wait_until(lambda: publisher.wanted(["gmd"]))
        publisher.offer(*maker.offer())
        assert value(client.next(SOON)) == 1
        for _ in range(200):
            publisher.offer(*maker.offer())
        received = 0
        while value(client.latest("gmd", SOON)) != 201:
            client.next(SOON)
            received += 1
    assert client.dropped["gmd"] > 0
    assert client.dropped["gmd"] + received <= 200


def test_timeouts_say_what_there_is(publisher: ZmqPublisher) -> None:
    with Client(publisher.address) as client:
        publisher.describe("plots/azav", {"kind": "line"})
        assert "plots/azav" in client.topics(SOON)
        with pytest.raises(TimeoutError, match=r"did you mean 'plots/azav'\?"):
            client.latest("plots/azva", ENOUGH)
        with pytest.raises(TimeoutError, match="it is published, but there was no event"):
            client.latest("plots/azav", ENOUGH)


def test_nobody_there() -> None:
    with ZmqPublisher() as publisher:
        address = publisher.address
    with Client(address) as client, pytest.raises(TimeoutError, match="nothing publishes"):
        client.latest("gmd", 0.2)


def test_wrong_addresses_and_strangers() -> None:
    with pytest.raises(
        SourceError, match=r"'host:1' is no address .*; write one such as tcp"
    ):
        Client("host:1")
    with zmq.Context() as context, context.socket(zmq.PUB) as stranger:
        stranger.bind("tcp://127.0.0.1:*")
        with Client(stranger.getsockopt_string(zmq.LAST_ENDPOINT)) as client:
            client.subscribe()

            def heard() -> bool:
                stranger.send(b"hello")
                return bool(client.newest(0.05))

            with pytest.raises(SourceError, match="not a message of smalldata_stream"):
                wait_until(heard)


def test_arrays_are_numpy_with_their_dtype(publisher: ZmqPublisher) -> None:
    arrays = {"shots": np.array(2**64 - 1, np.uint64), "mask": np.array([True, False])}
    with Client(publisher.address) as client:
        client.subscribe("gmd")
        wait_until(lambda: publisher.wanted(["gmd"]))
        publisher.offer("gmd", lambda: Message("gmd", {"timestamp": 2**63}, arrays))
        message = client.latest("gmd", SOON)
    assert message.arrays["shots"].dtype == np.uint64
    assert message.arrays["shots"] == np.uint64(2**64 - 1)
    assert message.arrays["mask"].tolist() == [True, False]
    assert message.metadata["timestamp"] == 2**63
