"""The format against karabo-bridge itself, and its clients against the publisher."""

from __future__ import annotations

from typing import Any

import karabo_bridge
import msgpack
import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from karabo_bridge.serializer import deserialize, serialize

from sinks.zmq import ZmqPublisher
from smalldata_stream.batch import STRING
from smalldata_stream.karabo import INDEX, Stamp, decode, encode, source_prefix
from smalldata_stream.message import Message
from tests.zmq.publishing import EVENT, SOON, Maker, value, wait_until

STAMP = Stamp("a publisher", 7, 1.75e9)

ARRAYS = hnp.arrays(
    st.one_of(
        hnp.integer_dtypes(endianness="?"),
        hnp.unsigned_integer_dtypes(endianness="?"),
        hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
        hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
        hnp.boolean_dtypes(),
    ),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
)


@given(st.dictionaries(st.text(min_size=1), ARRAYS, max_size=4))
def test_every_array_comes_back_as_it_was(arrays: dict[str, Any]) -> None:
    message, stamp = decode(encode(Message("det/plot", {"kind": "line"}, arrays), STAMP))
    assert stamp == STAMP
    assert message.topic == "det/plot"
    assert message.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        got = message.arrays[name]
        assert got.dtype == array.dtype
        assert got.shape == array.shape
        np.testing.assert_array_equal(got, array)
        assert not got.flags.writeable


@given(st.dictionaries(st.text(min_size=1), ARRAYS, max_size=4))
def test_karabo_bridge_reads_the_same_numbers(arrays: dict[str, Any]) -> None:
    data, _ = deserialize(encode(Message("det", {}, arrays), STAMP))
    assert data.keys() == {"det"}
    assert data["det"].keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(np.asarray(data["det"][name]), array)


def test_the_frames_are_those_that_karabo_bridge_makes() -> None:
    image = np.arange(6, dtype=np.uint16).reshape(2, 3)
    ours = encode(Message("det", {}, {"n": np.array(5), "image": image}), STAMP)
    head = msgpack.unpackb(ours[0])
    data = {"det": {"n": np.int64(5), "image": image}}
    theirs = serialize(data, {"det": head["metadata"]})
    assert [bytes(frame) for frame in theirs] == ours


def test_64_bit_timestamps_and_integers_stay_integers() -> None:
    large = 2**64 - 1
    arrays = {"shots": np.array(large, np.uint64), "low": np.array(-(2**63))}
    frames = encode(Message("det", {"timestamp": EVENT}, arrays), STAMP)
    data, meta = deserialize(frames)
    assert data["det"]["shots"] == large
    assert meta["det"]["timestamp.tid"] == EVENT
    assert meta["det"]["timestamp.sec"] == "1771152000"  # 1140000000 s after 1990
    assert meta["det"]["timestamp.frac"] == "123456789" + "0" * 9
    assert meta["det"]["timestamp"] == pytest.approx(1_771_152_000.123456789, abs=1e-6)
    message, _ = decode(frames)
    assert message.metadata["timestamp"] == EVENT
    assert message.arrays["low"].item() == -(2**63)


def test_text_goes_as_text() -> None:
    arrays = {"one": np.array("élan", STRING), "two": np.array(["a", "bc"])}
    frames = encode(Message("scan", {}, arrays), STAMP)
    assert deserialize(frames)[0]["scan"] == {"one": "élan", "two": ["a", "bc"]}
    assert decode(frames)[0].arrays["two"].tolist() == ["a", "bc"]


def test_what_has_no_plain_bytes_is_refused() -> None:
    for array in (np.array([object()]), np.zeros(2, [("a", "i4")])):
        with pytest.raises(TypeError, match="det: x is"):
            encode(Message("det", {}, {"x": array}), STAMP)


@pytest.mark.parametrize("frames", [[b"x"], [b"\x80", b"\x80"], [b"gmd", b"\x01"], []])
def test_other_frames_are_refused(frames: list[bytes]) -> None:
    with pytest.raises(ValueError, match="not a message of smalldata_stream"):
        decode(frames)


def test_a_topic_is_not_the_beginning_of_another() -> None:
    first = encode(Message("plot/azav2", {}, {}), STAMP)[0]
    assert first.startswith(source_prefix("plot/azav2"))
    assert not first.startswith(source_prefix("plot/azav"))


def test_karabo_client_that_asks() -> None:
    one, two = Maker("one"), Maker("two")
    with (
        ZmqPublisher() as publisher,
        zmq.Context() as context,
        karabo_bridge.Client(publisher.rep_address, context=context) as client,
    ):
        client._socket.setsockopt(zmq.RCVTIMEO, 100)
        with pytest.raises(TimeoutError):
            client.next()  # nothing was ever published: the answer waits
        publisher.offer(*one.offer())
        publisher.offer(*two.offer())
        assert (one.made, two.made) == (0, 0)
        data, meta = answer(client, publisher)
        assert data.keys() == {"one", "two"}
        assert data["two"]["values"].tolist() == [1, 1, 1]
        assert meta["one"]["timestamp.tid"] == EVENT
        with pytest.raises(TimeoutError):
            answer(client, publisher, tries=3)  # the same again is no news
        publisher.offer(*two.offer())
        data, _ = answer(client, publisher)
        assert data["one"]["values"].tolist() == [1, 1, 1]
        assert data["two"]["values"].tolist() == [2, 2, 2]
    assert (one.made, two.made) == (1, 2)


def answer(
    client: karabo_bridge.Client, publisher: ZmqPublisher, tries: int = 100
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``client`` gets while the graph looks after its publisher."""
    for _ in range(tries):
        publisher.wanted([])
        try:
            found: tuple[dict[str, Any], dict[str, Any]] = client.next()
        except TimeoutError:
            continue
        return found
    raise TimeoutError


def test_a_bad_request_is_told_so() -> None:
    with (
        ZmqPublisher() as publisher,
        zmq.Context() as context,
        context.socket(zmq.REQ) as socket,
    ):
        socket.setsockopt(zmq.LINGER, 0)
        assert publisher.rep_address is not None
        socket.connect(publisher.rep_address)
        socket.send(b"give")
        assert socket.poll(round(SOON * 1000))
        assert socket.recv().startswith(b"Error: bad request")


def test_karabo_client_that_subscribes() -> None:
    maker = Maker("plots/line")
    with (
        ZmqPublisher() as publisher,
        zmq.Context() as context,
        karabo_bridge.Client(
            publisher.address, sock="SUB", timeout=SOON, context=context
        ) as client,
    ):
        wait_until(lambda: publisher.wanted(["plots/line"]))
        publisher.offer(*maker.offer())
        found: dict[str, Any] = {}
        for _ in range(5):
            if "plots/line" not in found:
                found |= client.next()[0]
        assert found["plots/line"]["values"].dtype == np.float32
        assert found["plots/line"]["values"].tolist() == [1, 1, 1]
        assert found.keys() <= {"plots/line", INDEX}
    assert value(maker.offer()[1]()) == 2
