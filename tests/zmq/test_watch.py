"""smalldata-stream watch, run as a command beside a publisher."""

from __future__ import annotations

import argparse
import threading

import numpy as np
import pytest

from sinks.zmq import ZmqPublisher
from smalldata_stream.cli import watch
from smalldata_stream.client import Client
from smalldata_stream.errors import SourceError
from smalldata_stream.message import Message
from tests.zmq.publishing import SOON


def options(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    watch.arguments(parser)
    return parser.parse_args(argv)


@pytest.fixture
def publisher() -> ZmqPublisher:
    return ZmqPublisher(guard=threading.Lock())


def test_topics_and_newest_values(
    publisher: ZmqPublisher, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = {"energy": np.array(3.5), "shots": np.array(2**64 - 1, np.uint64)}
    once = ["--once", "--timeout", f"{SOON}"]
    arrays["trace"] = np.array([1.0, np.nan, 4.0])
    with publisher:
        publisher.tell({"exp": "xpptut15", "run": 14})
        publisher.describe("plots/azav", {"kind": "line"})
        publisher.offer("gmd", lambda: Message("gmd", {"kind": "event"}, arrays))
        assert watch.run(options(publisher.address, *once, "--interval", "2")) == 0
        everything = capsys.readouterr().out
        watch.run(options(publisher.address, "gm*", *once, "--interval", "0.1"))
        chosen = capsys.readouterr().out
    assert "xpptut15 run 14, 2 topics" in everything
    (gmd,) = (line for line in everything.splitlines() if line.startswith("gmd"))
    assert "energy 3.5, shots 18446744073709551615, trace (3,) 1 to 4" in gmd
    assert "plots/azav" in everything
    assert "plots/azav" not in chosen
    assert "gmd" in chosen


def rate_of(text: str, topic: str) -> float:
    lines = text.splitlines()
    (header,) = (line for line in lines if line.startswith("topic"))
    (row,) = (line for line in lines if line.startswith(topic))
    column = slice(header.index("per s"), header.index("age/s"))
    return float(row[column].strip() or 0.0)  # the first page has no rate yet


def test_rates_come_from_what_is_offered_read_or_not(publisher: ZmqPublisher) -> None:
    stop = threading.Event()

    def offer() -> None:
        while not stop.wait(0.02):
            publisher.offer("gmd", lambda: Message("gmd", {}, {}))

    thread = threading.Thread(target=offer)
    with publisher, Client(publisher.address) as client:
        thread.start()
        try:
            tables = watch.watch(client, ["gmd"], interval=0.7, timeout=SOON)
            rates = (rate_of(text, "gmd") for text in tables)
            rate = next(rate for rate in rates if rate)
        finally:
            stop.set()
            thread.join()
    assert rate < 55  # 50 per second, fewer on a busy machine


def test_silence_is_an_error_in_one_line() -> None:
    with ZmqPublisher() as publisher:
        address = publisher.address
    with pytest.raises(SourceError, match=f"nothing publishes at {address}"):
        watch.run(options(address, "--once", "--timeout", "0.3"))


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("tcp://127.0.0.1:70000", "70000 is no port"),
        ("tcp://daq", "write one such as tcp://host:5555"),
        ("tcp://no-such-host.invalid:5556", "knows no host no-such-host.invalid"),
    ],
)
def test_an_address_that_cannot_be_is_said_to_be_none(address: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        watch.run(options(address, "--once", "--timeout", "0.3"))
