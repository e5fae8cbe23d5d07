"""Publishing the newest value of each topic, for those who read it and when they do."""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Self

import zmq

from sinks.zmq_sockets import Sockets
from smalldata_stream.message import Message

log = logging.getLogger(__name__)

SERVE_SECONDS = 0.1
"""How often late subscribers and requests are served while the graph is busy or waits."""

LOOK_SECONDS = 0.02
"""... and no more often while the graph works: it asks after each batch."""

AGAIN_SECONDS = 0.1
"""A value is not sent again sooner than this, however many late subscribers come."""

REPEAT_SECONDS = 0.5
"""A value that nothing newer follows is sent once more, so long after the next one should
have come: a full queue refuses the newest."""

EXPECTED_SECONDS = 1.0
"""A next value is expected as soon as this one came after the last, within so long."""


@dataclass(slots=True)
class Topic:
    """The newest value of a topic: as ``make`` until somebody reads it, then as ``frames``.

    ``wanted``: somebody subscribes to it; ``due``: a late subscriber waits for it;
    ``repeat``: it was sent once, and a full queue may have refused it;
    ``broken``: it could not be made; ``offers``: how often a value was offered; ``every``:
    seconds until the next one is expected.
    """

    prefix: bytes
    make: Callable[[], Message] | None = None
    frames: list[bytes] | None = None
    wanted: bool = False
    due: bool = False
    repeat: bool = False
    broken: bool = False
    offers: int = 0
    offered: float = 0.0
    every: float = 0.0
    sent: float = 0.0
    about: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Counts:
    """What a publisher did: values offered, of these made, sent, sent again, failed.

    A subscriber that reads too slowly misses values without the publisher being told;
    `smalldata_stream.client.Client.dropped` counts them where they are missed.
    """

    offered: int = 0
    made: int = 0
    sent: int = 0
    again: int = 0
    failed: int = 0
    bytes: int = 0


class TopicPublisher(ABC):
    """Publishes topics from the graph's thread; never waits, never raises for the network.

    A thread of its own looks after late subscribers and requests while the graph works or
    waits for events. It calls ``make`` only while it holds ``guard`` without waiting for
    it: give the lock under which the graph changes what ``make`` reads, and late
    subscribers are served between events too. Without it ``make`` is called in `offer` and
    `wanted` alone.
    """

    def __init__(
        self, address: str, requests: str | None, guard: threading.Lock | None
    ) -> None:
        self.counts = Counts()
        self._topics: dict[str, Topic] = {}
        # Numbers of a topic go on after it was forgotten: clients tell messages by them.
        self._numbers: Counter[str] = Counter()
        self._subscriptions: set[bytes] = set()
        self._served_at = -math.inf
        self._guard = guard
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._sockets = Sockets(address, requests)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """Where results are published, as clients write it."""
        return self._sockets.address

    # ------------------------------------------------------------ for the graph's thread

    def wanted(self, topics: Iterable[str]) -> set[str]:
        """Those of ``topics`` that somebody reads; serves whoever has come meanwhile."""
        with self._lock:
            if self._closed.is_set():
                return set()
            if time.monotonic() - self._served_at >= LOOK_SECONDS:
                self._serve(may_make=True)
            return {topic for topic in topics if self._has_reader(topic)}

    def offer(self, topic: str, make: Callable[[], Message]) -> None:
        """A new value of ``topic``; ``make`` is called only if somebody reads it.

        Now, or when a late subscriber comes: it must give the message until the next offer
        of the topic, so it must not hold views of a batch. An error in it is logged and
        counted; the other topics go on.
        """
        with self._lock:
            if self._closed.is_set():
                return
            entry, now = self._topic(topic), time.monotonic()
            entry.every = min(now - entry.offered, EXPECTED_SECONDS)
            entry.make, entry.frames, entry.offered = make, None, now
            entry.offers += 1
            self.counts.offered += 1
            if entry.wanted and self._ready(topic, entry, may_make=True):
                self._send(entry)

    def forget(self, topics: Collection[str] | None = None) -> None:
        """Publish ``topics`` no more, or none of all: their run is over."""
        with self._lock:
            for topic in list(self._topics) if topics is None else topics:
                self._topics.pop(topic, None)

    def close(self) -> None:
        """Stop publishing; what is in flight has a moment to leave."""
        self._closed.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        with self._lock:
            self._sockets.close()

    # --------------------------------------------------------------- what kinds differ in

    @abstractmethod
    def _prefix(self, topic: str) -> bytes:
        """What all messages of ``topic`` begin with."""

    @abstractmethod
    def _encode(self, message: Message, number: int) -> list[bytes]:
        """The frames of a message."""

    @abstractmethod
    def _answer(self, may_make: bool) -> None:
        """Answer requests, and publish what the kind itself publishes."""

    # -------------------------------------------------------------------- under the lock

    def _run(self) -> None:
        while not self._closed.wait(SERVE_SECONDS):
            if time.monotonic() - self._served_at < SERVE_SECONDS / 2:
                continue  # the graph's thread does it, in passing
            with self._lock:
                # Only tried: waiting for the graph here would make it wait for us.
                free = self._guard is not None and self._guard.acquire(blocking=False)
                try:
                    self._serve(may_make=free)
                finally:
                    if free and self._guard is not None:
                        self._guard.release()

    def _serve(self, may_make: bool) -> None:
        self._meet_subscribers()
        self._served_at = now = time.monotonic()
        for name, entry in self._topics.items():
            age = now - entry.sent
            late = entry.due and age >= AGAIN_SECONDS
            expected = entry.every + REPEAT_SECONDS
            quiet = entry.repeat and age >= expected and entry.wanted
            if (late or quiet) and self._ready(name, entry, may_make):
                self._send(entry, again=True)
        self._answer(may_make)

    def _meet_subscribers(self) -> None:
        news = list(self._sockets.subscriptions())
        for comes, prefix in news:
            if comes:
                self._subscriptions.add(prefix)
                for entry in self._topics.values():
                    entry.due |= overlap(prefix, entry.prefix)
            else:
                self._subscriptions.discard(prefix)
        if news:
            for entry in self._topics.values():
                entry.wanted = self._is_wanted(entry.prefix)
                entry.due &= entry.wanted

    def _is_wanted(self, prefix: bytes) -> bool:
        return any(overlap(subscription, prefix) for subscription in self._subscriptions)

    def _has_reader(self, topic: str) -> bool:
        if topic in self._topics:
            return self._topics[topic].wanted
        return self._is_wanted(self._prefix(topic))

    def _topic(self, topic: str) -> Topic:
        if topic not in self._topics:
            prefix = self._prefix(topic)
            self._topics[topic] = Topic(prefix, wanted=self._is_wanted(prefix))
        return self._topics[topic]

    def _ready(self, name: str, entry: Topic, may_make: bool) -> bool:
        """Have the frames of the newest value; False if they cannot be made, or not now."""
        if entry.frames is not None or entry.make is None or not may_make:
            return entry.frames is not None
        make, entry.make = entry.make, None
        try:
            message = make()
            if message.topic != name:
                raise ValueError(f"the message is of {message.topic}")
            entry.frames = self._encode(message, self._numbers[name] + 1)
        except Exception as error:  # noqa: BLE001  isolation: make and its values are anybody's
            self.counts.failed += 1
            if not entry.broken:
                log.warning(
                    "%s is not published: %s: %s", name, type(error).__name__, error
                )
            entry.broken = True
            return False
        entry.broken = False
        entry.about |= {
            key: message.metadata[key]
            for key in ("kind", "title", "group")
            if key in message.metadata
        }
        self._numbers[name] += 1
        self.counts.made += 1
        return True

    def _send(self, entry: Topic, *, again: bool = False) -> None:
        frames = entry.frames or []
        entry.due, entry.repeat, entry.sent = False, not again, time.monotonic()
        try:
            self._sockets.send(frames)
        except zmq.ZMQError as error:
            self.counts.failed += 1
            log.warning("%s cannot send: %s", self.address, error)
            return
        self.counts.sent += 1
        self.counts.again += again
        self.counts.bytes += sum(map(len, frames))


def overlap(subscription: bytes, prefix: bytes) -> bool:
    """Whether a subscription gets messages that begin with ``prefix``.

    >>> overlap(b"", b"gmd"), overlap(b"gmd", b"gmd"), overlap(b"g2", b"gmd")
    (True, True, False)
    """
    return prefix.startswith(subscription) or subscription.startswith(prefix)
