"""Results over ZMQ, as karabo-bridge 2.2 lays them out: PUB for all, REP for who asks."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sinks.zmq_topics import TopicPublisher
from smalldata_stream.karabo import INDEX, Stamp, encode, source_prefix
from smalldata_stream.message import Message

log = logging.getLogger(__name__)

ANY_PORT = "tcp://127.0.0.1:*"
INDEX_SECONDS = 1.0
CLIENTS_REMEMBERED = 1000


class ZmqPublisher(TopicPublisher):
    """Publishes messages, one topic each, in the layout of karabo-bridge 2.2.

    Subscribers of ``address`` get each new value; whoever comes late gets the last one.
    A client that sends ``next`` to ``rep_address`` gets the newest values of all topics in
    one message, each time at least one of them is newer than what it got before. The topic
    ``index`` lists once a second what there is: for each topic its kind, title and group,
    how many values were offered, the age of the newest in seconds, whether anybody reads
    it and whether it could be made; and whatever `tell` was told.

    Parameters
    ----------
    address, rep_address
        Where to bind; ``*`` is any free port. Only this machine can read what is bound to
        127.0.0.1, the default; everybody can read what is bound to ``tcp://*``. None for
        ``rep_address`` leaves the second socket out.
    guard
        The lock the graph holds while it changes what ``make`` reads; with it late
        subscribers are served while the graph waits for events, too.
    on_reset
        Called with the topics that a reader asks to begin anew, no topics for all; without
        it such requests are refused. It is called from any thread, in the midst of
        publishing: it may note down what is asked for and must neither wait nor publish.

    Raises
    ------
    OutputError
        If an address cannot be bound.

    Examples
    --------
    >>> import numpy as np
    >>> with ZmqPublisher() as publisher:
    ...     publisher.offer("gmd", lambda: Message("gmd", {}, {"energy": np.array(3.5)}))
    ...     publisher.wanted(["gmd"]), publisher.counts.made
    (set(), 0)
    """

    def __init__(
        self,
        address: str = ANY_PORT,
        rep_address: str | None = ANY_PORT,
        *,
        guard: threading.Lock | None = None,
        on_reset: Callable[[list[str]], None] | None = None,
    ) -> None:
        self._on_reset = on_reset
        self._name = secrets.token_hex(8)
        self._started = time.monotonic()
        self._told: dict[str, Any] = {}
        self._index_due = 0.0
        self._listed: set[str] = set()
        self._waiting: dict[bytes, None] = {}
        self._served: dict[bytes, int] = {}
        super().__init__(address, rep_address, guard)

    @property
    def rep_address(self) -> str | None:
        """Where requests are answered, as clients write it."""
        return self._sockets.requests_address

    def tell(self, about: Mapping[str, Any]) -> None:
        """What the index says of the run from now on: exp, run, ledger ... (JSON-able)."""
        with self._lock:
            self._told |= about

    def describe(self, topic: str, about: Mapping[str, Any]) -> None:
        """What the index says of a topic before its first message: kind, title, group."""
        with self._lock:
            self._topic(topic).about |= about

    def _prefix(self, topic: str) -> bytes:
        return source_prefix(topic)

    def _encode(self, message: Message, number: int) -> list[bytes]:
        return encode(message, Stamp(self._name, number, time.time()))

    def _answer(self, may_make: bool) -> None:
        self._publish_index()
        for client, question in self._sockets.requests():
            if question == [b"next"]:
                self._waiting[client] = None
            else:
                self._sockets.reply(client, [self._reset(question)])
        newest = self.counts.offered
        clients = [c for c in self._waiting if self._served.get(c, 0) < newest]
        frames = self._newest_of_all(may_make) if clients else None
        if not frames:
            return
        for client in clients:
            del self._waiting[client]
            self._served.pop(client, None)
            self._served[client] = newest
            self._sockets.reply(client, frames)
        for client in list(self._served)[:-CLIENTS_REMEMBERED]:
            del self._served[client]

    def _reset(self, question: list[bytes]) -> bytes:
        """Pass on a request to begin topics anew; what to answer."""
        if question[:1] != [b"reset"]:
            return b"Error: bad request; send next"
        if self._on_reset is None:
            return b"Error: this publisher does not let its readers reset plots"
        topics = [topic.decode(errors="replace") for topic in question[1:]]
        unknown = [topic for topic in topics if topic not in self._topics]
        if unknown:
            return f"Error: {unknown[0]!r} is not published".encode()
        try:
            self._on_reset(topics)
        except Exception as error:  # noqa: BLE001  isolation: the callback is anybody's
            log.warning("plots are not reset: %s: %s", type(error).__name__, error)
            return f"Error: {type(error).__name__}: {error}".encode()
        return b"reset"

    def _newest_of_all(self, may_make: bool) -> list[bytes] | None:
        """All topics as one message; None if some cannot be made now."""
        frames: list[bytes] = []
        for name, entry in sorted(self._topics.items()):
            if name != INDEX and self._ready(name, entry, may_make):
                frames += entry.frames or []
            elif name != INDEX and entry.make is not None:
                return None
        return frames

    def _publish_index(self) -> None:
        entry, now = self._topic(INDEX), time.monotonic()
        new = self._topics.keys() != self._listed
        if entry.wanted and (new or now >= self._index_due):
            self._index_due, self._listed = now + INDEX_SECONDS, set(self._topics)
            entry.make, entry.frames = self._index, None
            if self._ready(INDEX, entry, may_make=True):
                self._send(entry)

    def _index(self) -> Message:
        now = time.monotonic()
        topics = {
            name: {
                **entry.about,
                "offers": entry.offers,
                "age": now - entry.offered if entry.offers else None,
                "read": entry.wanted,
                "failed": entry.broken,
            }
            for name, entry in self._topics.items()
            if name != INDEX
        }
        metadata = {
            **self._told,
            "kind": "index",
            "clock": now - self._started,
            "rep_address": self.rep_address,
            "resets": self._on_reset is not None and self.rep_address is not None,
            "counts": asdict(self.counts),
            "topics": topics,
        }
        return Message(INDEX, metadata, {})
