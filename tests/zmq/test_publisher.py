"""Who gets what, when, and what is not made at all."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import zmq

from sinks.zmq import ZmqPublisher
from smalldata_stream.client import Client
from smalldata_stream.errors import OutputError
from smalldata_stream.karabo import INDEX, decode, source_prefix
from smalldata_stream.message import Message
from tests.zmq.publishing import ENOUGH, SOON, Maker, value, wait_until


@pytest.fixture
def publisher() -> Iterator[ZmqPublisher]:
    with ZmqPublisher() as publisher:
        yield publisher


def test_binds_to_loopback_and_knows_where(publisher: ZmqPublisher) -> None:
    for address in (publisher.address, publisher.rep_address):
        assert address is not None
        host, _, port = address.rpartition(":")
        assert host == "tcp://127.0.0.1"
        assert int(port) > 0


def test_nothing_is_made_for_nobody(publisher: ZmqPublisher) -> None:
    maker = Maker("gmd")
    for _ in range(100):
        assert publisher.wanted(["gmd"]) == set()
        publisher.offer(*maker.offer())
    assert maker.made == 0
    assert publisher.counts.offered == 100
    assert publisher.counts.sent == 0


def test_only_what_is_read_is_made(publisher: ZmqPublisher) -> None:
    read, other = Maker("azav"), Maker("azav2")
    with Client(publisher.address) as client:
        client.subscribe("azav")
        wait_until(lambda: publisher.wanted(["azav", "azav2"]))
        assert publisher.wanted(["azav", "azav2"]) == {"azav"}
        for maker in (read, other, read):
            publisher.offer(*maker.offer())
        wait_until(lambda: value(client.latest("azav", SOON)) == 2)
    assert (read.made, other.made) == (2, 0)
    wait_until(lambda: not publisher.wanted(["azav"]))
    publisher.offer(*read.offer())
    assert read.made == 2


def test_a_late_subscriber_gets_the_last_value_made_for_it(publisher: ZmqPublisher) -> None:
    maker = Maker("gmd")
    for _ in range(3):
        publisher.offer(*maker.offer())
    with Client(publisher.address) as client:
        client.subscribe("gmd")
        wait_until(lambda: publisher.wanted(["gmd"]))
        assert value(client.latest("gmd", SOON)) == 3
    assert maker.made == 1


def test_the_second_subscriber_is_late_too(publisher: ZmqPublisher) -> None:
    maker = Maker("gmd")
    with Client(publisher.address) as early, Client(publisher.address) as late:
        early.subscribe("gmd")
        wait_until(lambda: publisher.wanted(["gmd"]))
        publisher.offer(*maker.offer())
        assert value(early.latest("gmd", SOON)) == 1
        # Nobody calls the publisher from here on: its own thread sends what was made.
        assert value(late.latest("gmd", SOON)) == 1
    assert maker.made == 1


def test_between_events_a_late_subscriber_is_served_under_the_guard() -> None:
    guard, maker = threading.Lock(), Maker("gmd")
    with ZmqPublisher(guard=guard) as publisher, Client(publisher.address) as client:
        publisher.offer(*maker.offer())
        with guard:  # the graph is at work: it must not be disturbed
            client.subscribe("gmd")
            assert "gmd" in client.topics(SOON)
            with pytest.raises(TimeoutError, match="it is published"):
                client.latest("gmd", ENOUGH)
            assert maker.made == 0
        assert value(client.latest("gmd", SOON)) == 1
    assert maker.made == 1


def test_the_index_says_what_there_is(publisher: ZmqPublisher) -> None:
    maker = Maker("gmd")
    publisher.describe("plots/azav", {"kind": "line", "group": "jungfrau"})
    publisher.tell({"exp": "xpptut15", "run": 14, "ledger": [["read", "", 12]]})
    publisher.offer(*maker.offer())
    time.sleep(0.1)
    with Client(publisher.address) as client:
        index = client.latest(INDEX, SOON).metadata
        assert (index["exp"], index["run"], index["ledger"]) == (
            "xpptut15", 14, [["read", "", 12]],
        )  # fmt: skip
        topics = client.topics(SOON)
        assert topics.keys() == {"gmd", "plots/azav"}
        assert topics["plots/azav"]["group"] == "jungfrau"
        assert topics["plots/azav"]["age"] is None
        assert topics["gmd"]["age"] >= 0.1
        assert not topics["gmd"]["read"]
        publisher.forget(["gmd"])
        wait_until(lambda: client.topics(SOON).keys() == {"plots/azav"})
    assert maker.made == 0


def test_numbers_go_on_when_a_topic_is_forgotten(publisher: ZmqPublisher) -> None:
    maker = Maker("gmd")
    with Client(publisher.address) as client:
        client.subscribe("gmd")
        wait_until(lambda: publisher.wanted(["gmd"]))
        publisher.offer(*maker.offer())
        assert value(client.next(SOON)) == 1
        publisher.forget()
        publisher.offer(*maker.offer())
        assert value(client.next(SOON)) == 2


def test_one_broken_plot_does_not_stop_the_others(
    publisher: ZmqPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    good = Maker("good")

    def broken() -> Message:
        raise ZeroDivisionError("no events")

    def unsendable() -> Message:
        return Message("odd", {}, {"x": np.array([object()])})

    with Client(publisher.address) as client:
        client.subscribe()
        wait_until(lambda: publisher.wanted(["good"]))
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                publisher.offer("bad", broken)
                publisher.offer("odd", unsendable)
                publisher.offer("else", lambda: Message("gmd", {}, {}))
                publisher.offer(*good.offer())
        wait_until(lambda: value(client.latest("good", SOON)) == 3)
        wait_until(lambda: client.topics(SOON).get("bad", {}).get("failed"))
        assert not client.topics(SOON)["good"]["failed"]
    assert publisher.counts.failed == 9
    assert len(caplog.records) == 3
    assert "bad is not published: ZeroDivisionError: no events" in caplog.text


def test_a_port_in_use_is_a_clear_error(publisher: ZmqPublisher) -> None:
    with pytest.raises(OutputError, match=r"another program has the port; choose another"):
        ZmqPublisher(publisher.address)
    with pytest.raises(OutputError, match=r"cannot publish at tcp://127"):
        ZmqPublisher(rep_address=publisher.rep_address)
    with pytest.raises(OutputError, match=r"no such address; write 127\.0\.0\.1, or 0"):
        ZmqPublisher("tcp://192.0.2.7:5556")  # of the addresses that nobody has
    with pytest.raises(OutputError, match="cannot publish at nonsense"):
        ZmqPublisher("nonsense")
    maker = Maker("gmd")
    publisher.offer(*maker.offer())  # the first one goes on


def test_what_is_sent_does_not_change_with_the_array(publisher: ZmqPublisher) -> None:
    image = np.zeros((512, 512))
    with Client(publisher.address) as client:
        client.subscribe("image")
        wait_until(lambda: publisher.wanted(["image"]))
        publisher.offer("image", lambda: Message("image", {}, {"image": image}))
        image += 1
        assert not client.latest("image", SOON).arrays["image"].any()


def test_after_close_nothing_is_published_and_nothing_raised() -> None:
    publisher = ZmqPublisher()
    publisher.close()
    publisher.close()
    maker = Maker("gmd")
    publisher.offer(*maker.offer())
    assert publisher.wanted(["gmd"]) == set()
    assert maker.made == 0


def test_garbage_from_the_network_is_ignored(publisher: ZmqPublisher) -> None:
    maker = Maker("gmd")
    with zmq.Context() as context, context.socket(zmq.XSUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(publisher.address)
        for message in (b"", b"\x07", b"\xff" * 100, b"\x00never subscribed"):
            socket.send(message)
        socket.send(b"\x01" + source_prefix("gmd"))
        wait_until(lambda: publisher.wanted(["gmd"]))
        publisher.offer(*maker.offer())
        assert socket.poll(round(SOON * 1000))
        assert value(decode(socket.recv_multipart())[0]) == 1


def test_a_reader_is_served_on_after_its_topics_were_forgotten(
    publisher: ZmqPublisher,
) -> None:
    # Of twenty topics a reader has some values that the publisher does not know to be
    # read; then there are two topics left.
    many = [Maker(f"topic{number}") for number in range(20)]
    with Client(publisher.address) as client:
        client.subscribe()
        wait_until(lambda: publisher.wanted(["topic0"]))
        for maker in [*many, *many[:15]]:
            publisher.offer(*maker.offer())
            client.newest(0.05)
        publisher.forget()
        last = Maker("last")
        for _ in range(10):
            publisher.offer(*last.offer())
            wait_until(lambda: value(client.latest("last", SOON)) == last.number)


def test_who_slept_while_topics_were_added_gets_new_values() -> None:
    """ZMQ forgets a subscriber whose queue is full when the length of queues is changed."""
    large = np.zeros(25_000)
    with (
        ZmqPublisher() as publisher,
        zmq.Context() as context,
        context.socket(zmq.SUB) as socket,
    ):
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, 1)
        socket.setsockopt(zmq.SUBSCRIBE, source_prefix("large"))
        socket.connect(publisher.address)
        wait_until(lambda: publisher.wanted(["large"]))

        def offer(number: int) -> None:
            about = {"timestamp": number}
            publisher.offer("large", lambda: Message("large", about, {"x": large}))

        for number in range(400):  # more than all queues hold
            offer(number)
        for number in range(40):
            publisher.describe(f"more{number}", {})
        seen: list[int] = []

        def newest() -> bool:
            offer(1000 + len(seen))
            while socket.poll(20):
                message, _ = decode(socket.recv_multipart())
                seen.append(message.metadata["timestamp"])
            return bool(seen) and seen[-1] >= 1000

        wait_until(newest)
    assert seen[0] == 0
    assert len(seen) < 400  # it has missed some
