"""Read what a graph publishes: the newest values, never old ones.

>>> import threading
>>> import numpy as np
>>> from sinks.zmq import ZmqPublisher
>>> graph = threading.Lock()
>>> with ZmqPublisher(guard=graph) as publisher, Client(publisher.address) as client:
...     message = Message("gmd", {"kind": "event"}, {"energy": np.array([3.5])})
...     publisher.offer("gmd", lambda: message)
...     client.latest("gmd").arrays["energy"]
array([3.5])
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import zmq

from smalldata_stream.addresses import check_port, reachable, silence
from smalldata_stream.errors import SourceError, did_you_mean
from smalldata_stream.karabo import INDEX, Stamp, decode, source_prefix
from smalldata_stream.message import Message

PAUSE_SECONDS = 0.5
"""A client that has not looked for so long connects anew instead of reading what queued."""

SETTLE_SECONDS = 0.2
"""The publisher serves late subscribers within this time."""

DRAIN_SECONDS = 0.25
SLICE_SECONDS = 0.1
QUEUE = 64


class Client:
    """Reads the topics of one publisher; use it from one thread.

    Whatever has queued up is drained before a message is handed out. What was published
    while nobody looked is older than it seems, and a full queue refuses the new, not the
    old: so after a pause of `PAUSE_SECONDS` the connection is made anew, and the publisher
    sends the newest value of each topic. Nothing is handed out that was published more than
    a second ago, unless there is nothing newer.

    When the publisher is restarted at the same address, the client finds it.

    Attributes
    ----------
    dropped
        By topic, messages that were published while it was subscribed to and did not get
        here, because the reader or the network was too slow.

    Raises
    ------
    SourceError
        If ``address`` is no address, or something else answers there.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.dropped: Counter[str] = Counter()
        self._prefixes: set[bytes] = set()
        self._context = zmq.Context()
        self._newest: dict[str, Message] = {}
        self._stamps: dict[str, Stamp] = {}
        self._unseen: set[str] = set()
        self._handed_out: dict[str, int] = {}
        try:
            check_port(address)
            self._connect()
        except (ValueError, zmq.ZMQError) as error:
            self._context.destroy(linger=0)
            raise SourceError(
                f"{address!r} is no address ({error}); write one such as tcp://host:5555"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect."""
        self._context.destroy(linger=0)

    # ------------------------------------------------------------------------- reading

    def subscribe(self, *topics: str) -> None:
        """Have the publisher send ``topics`` from now on, or all where none is named."""
        for prefix in map(source_prefix, topics) if topics else [b""]:
            if prefix not in self._prefixes:
                self._prefixes.add(prefix)
                self._socket.setsockopt(zmq.SUBSCRIBE, prefix)

    def unsubscribe(self, *topics: str) -> None:
        """Have ``topics`` sent no more, and forget what came of them."""
        for topic in topics:
            prefix = source_prefix(topic)
            if prefix in self._prefixes:
                self._prefixes.discard(prefix)
                self._socket.setsockopt(zmq.UNSUBSCRIBE, prefix)
            self._newest.pop(topic, None)
            # What is not sent meanwhile is not missed.
            self._stamps.pop(topic, None)

    def topics(self, timeout: float = 3.0) -> dict[str, Mapping[str, Any]]:
        """What there is, and what is said of it: kind, title, group, age in seconds ..."""
        index = self.latest(INDEX, timeout)
        topics: dict[str, Mapping[str, Any]] = index.metadata["topics"]
        return topics

    def latest(self, topic: str, timeout: float = 3.0) -> Message:
        """The newest message of ``topic``, subscribing to it if need be.

        ``message.arrays`` are numpy arrays by name, read-only;
        ``message.metadata["timestamp"]`` is that of the newest event in them, an int.

        Raises
        ------
        TimeoutError
            If there is none within ``timeout`` seconds; names what there is.
        """
        self.subscribe(topic, INDEX)
        deadline = time.monotonic() + timeout
        self._drain(0.0)
        while topic not in self._newest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(self._silence(topic, timeout))
            self._drain(min(left, SLICE_SECONDS))
        self._unseen.discard(topic)
        return self._newest[topic]

    def newest(self, wait: float = 0.0) -> dict[str, Message]:
        """The newest message of each topic subscribed to, after at most ``wait`` seconds.

        Returns as soon as something is new.
        """
        self._drain(wait)
        return dict(self._newest)

    def next(self, timeout: float | None = None) -> Message:
        """The next message that was not handed out yet, the index left out.

        Of the topics that have one, that which was handed out the longest time ago; always
        its newest, so a slow reader misses some. Subscribes to all if to none.

        Raises
        ------
        TimeoutError
            If there is none within ``timeout`` seconds.
        """
        if not self._prefixes:
            self.subscribe()
        deadline = None if timeout is None else time.monotonic() + timeout
        self._drain(0.0)
        while True:
            there = self._unseen & self._newest.keys()
            left = SLICE_SECONDS if deadline is None else deadline - time.monotonic()
            if there and (left <= 0 or time.monotonic() >= self._settled):
                break
            if left <= 0:
                raise TimeoutError(f"nothing new from {self.address} within {timeout:g} s")
            self._drain(min(left, SLICE_SECONDS))
        topic = min(there, key=lambda t: self._handed_out.get(t, 0))
        self._unseen.discard(topic)
        self._handed_out[topic] = max(self._handed_out.values(), default=0) + 1
        return self._newest[topic]

    def __iter__(self) -> Iterator[Message]:
        """Messages as they come, without end; see `next`."""
        while True:
            yield self.next()

    # ---------------------------------------------------------------------- requests

    def reset(self, topics: Sequence[str] | None = None, timeout: float = 3.0) -> None:
        """Have the publisher begin ``topics`` anew, for all who read them; None is all.

        Raises
        ------
        SourceError
            If the publisher does not allow it, or does not know one of the topics.
        TimeoutError
            If there is no answer within ``timeout`` seconds. The request socket of a
            publisher on another machine is not to be reached unless it was opened to it.
        """
        if topics is not None and not topics:
            return
        index = self.latest(INDEX, timeout).metadata
        if not index.get("resets"):
            raise SourceError(f"{self.address} does not let its readers reset plots")
        address = reachable(str(index["rep_address"]), self.address)
        question = [b"reset", *(topic.encode() for topic in topics or ())]
        with self._context.socket(zmq.REQ) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(address)
            socket.send_multipart(question)
            if not socket.poll(round(timeout * 1000)):
                raise TimeoutError(f"no answer from {address} within {timeout:g} s")
            (answer,) = socket.recv_multipart()[:1]
        if answer != b"reset":
            raise SourceError(f"{address}: {answer.decode(errors='replace')}")

    # ---------------------------------------------------------------------- connection

    def _connect(self) -> None:
        socket = self._context.socket(zmq.SUB)
        self._socket: zmq.Socket[bytes] = socket
        for option, value in (
            (zmq.RCVHWM, QUEUE),
            (zmq.LINGER, 0),
            (zmq.RECONNECT_IVL, 100),
            (zmq.RECONNECT_IVL_MAX, 1000),
            # A host that has vanished does not close its connections.
            (zmq.HEARTBEAT_IVL, 2000),
            (zmq.HEARTBEAT_TIMEOUT, 6000),
        ):
            socket.setsockopt(option, value)
        for prefix in self._prefixes:
            socket.setsockopt(zmq.SUBSCRIBE, prefix)
        socket.connect(self.address)
        self._looked = time.monotonic()
        self._settled = self._looked + SETTLE_SECONDS

    def _drain(self, wait: float) -> None:
        """Wait for a message, then take all that are there."""
        deadline, taken = time.monotonic() + wait, False
        self._connect_after_pause()
        while True:
            left = max(0.0, min(deadline - time.monotonic(), SLICE_SECONDS))
            # The queue is refilled by another thread, which needs a moment.
            arrived = self._socket.poll(1 if taken else round(left * 1000))
            if self._connect_after_pause():
                continue
            if arrived:
                self._take(self._socket.recv_multipart(copy=False))
            elif taken or time.monotonic() >= deadline:
                return
            taken = taken or bool(arrived)
            if time.monotonic() > deadline + DRAIN_SECONDS:
                return

    def _connect_after_pause(self) -> bool:
        """Leave behind what queued up while nobody looked, in sleep or stopped."""
        paused = time.monotonic() - self._looked > PAUSE_SECONDS
        if paused:
            self._socket.close(linger=0)
            self._newest.clear()
            self._connect()
        self._looked = time.monotonic()
        return paused

    def _take(self, frames: list[zmq.Frame]) -> None:
        try:
            message, stamp = decode([frame.buffer for frame in frames])
        except ValueError as error:
            raise SourceError(f"{self.address}: {error}") from error
        topic, last = message.topic, self._stamps.get(message.topic)
        self._newest[topic], self._stamps[topic] = message, stamp
        if last is not None and last.publisher == stamp.publisher:
            if stamp.number <= last.number:  # sent again, for a late subscriber
                return
            if stamp.number > last.number + 1:
                self.dropped[topic] += stamp.number - last.number - 1
        if topic != INDEX:
            self._unseen.add(topic)

    def _silence(self, topic: str, timeout: float) -> str:
        index = self._newest.get(INDEX)
        if index is None:
            return silence(self.address, timeout)
        what = f"no message of {topic!r} from {self.address} within {timeout:g} s"
        topics = index.metadata["topics"]
        if topic in topics:
            return f"{what}; it is published, but there was no event yet"
        return f"{what}; {did_you_mean(topic, topics)}"
