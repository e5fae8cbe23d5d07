"""What a publisher sends, read by one thread for all browsers of a dashboard."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from smalldata_stream.addresses import silence
from smalldata_stream.client import Client
from smalldata_stream.errors import SmalldataError, SourceError
from smalldata_stream.karabo import INDEX
from smalldata_stream.message import Message

LOOK_SECONDS = 0.1
"""How long wishes of browsers wait at most until they are met."""

RATE_SECONDS = 4.0
"""The rate of events is that of so many last seconds."""


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a publisher at one moment; times are those of `time.monotonic`.

    ``index`` is the newest index, ``heard`` when it came (or when the feed began),
    ``messages`` the newest message of each topic that somebody wants. ``newest`` is the
    timestamp of the newest event (0 before the first), ``moved`` when the graph last
    offered a value (0 before the first), ``rate`` how many events are read per second.
    ``workers`` is how many processes make the results, 0 where nobody says it; ``problem``
    what is wrong with what the publisher sends.
    """

    heard: float
    index: Mapping[str, Any] = field(default_factory=dict)
    messages: Mapping[str, Message] = field(default_factory=dict)
    newest: int = 0
    moved: float = 0.0
    rate: float | None = None
    workers: int = 0
    problem: str = ""

    @property
    def topics(self) -> Mapping[str, Mapping[str, Any]]:
        """The plots there are, and what the index says of each."""
        topics: Mapping[str, Mapping[str, Any]] = self.index.get("topics", {})
        return {name: about for name, about in topics.items() if name.startswith("plots/")}


class Feed:
    """Reads one publisher in a thread of its own; `state` is the newest there is.

    Only what some reader wants is subscribed to, so a dashboard that nobody looks at costs
    the graph nothing. Readers are told apart by identity.

    Raises
    ------
    SourceError
        If ``address`` is no address.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.state = State(heard=time.monotonic())
        self._client = Client(address)
        self._reads: deque[tuple[float, int]] = deque()
        self._published = 0.0
        self._wanted: dict[object, frozenset[str]] = {}
        self._subscribed: set[str] = set()
        self._resets: SimpleQueue[tuple[list[str], Future[None]]] = SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until the publisher shows itself.

        Raises
        ------
        SourceError
            If it does not within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while not self.state.index:
            if self.state.problem:
                raise SourceError(self.state.problem)
            if time.monotonic() > deadline:
                raise SourceError(silence(self.address, seconds))
            time.sleep(LOOK_SECONDS / 2)

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.close()

    # ------------------------------------------------------------------- for the readers

    @property
    def readers(self) -> int:
        """How many there are."""
        return len(self._wanted)

    def want(self, reader: object, topics: Collection[str]) -> None:
        """Have ``topics``, and no others, read for ``reader`` from now on."""
        self._wanted[reader] = frozenset(topics)

    def leave(self, reader: object) -> None:
        """Read nothing for ``reader`` any more."""
        self._wanted.pop(reader, None)

    def reset(self, topics: Sequence[str]) -> Future[None]:
        """Ask the publisher to begin ``topics`` anew; the result is None, or an error."""
        done: Future[None] = Future()
        self._resets.put((list(topics), done))
        return done

    # ----------------------------------------------------------------------- in the thread

    def _run(self) -> None:
        self._client.subscribe(INDEX)
        while not self._closed.is_set():
            self._ask_for_resets()
            self._follow_readers()
            try:
                self.state = self._after(self._client.newest(LOOK_SECONDS))
            except (SourceError, LookupError, TypeError) as error:
                self.state = replace(self.state, problem=self._said(error))
                self._closed.wait(LOOK_SECONDS)

    def _said(self, error: Exception) -> str:
        """What is wrong; messages that lack something are of another version of us."""
        if isinstance(error, SourceError):
            return str(error)
        return f"{self.address}: not what this version publishes: {error!r}"

    def _ask_for_resets(self) -> None:
        while True:
            try:
                topics, done = self._resets.get_nowait()
            except Empty:
                return
            try:
                self._client.reset(topics)
            except (SmalldataError, TimeoutError) as error:
                done.set_exception(error)
            else:
                done.set_result(None)

    def _follow_readers(self) -> None:
        wanted = frozenset[str]().union(*self._wanted.copy().values())
        if wanted - self._subscribed:
            self._client.subscribe(*wanted - self._subscribed)
        if self._subscribed - wanted:
            self._client.unsubscribe(*self._subscribed - wanted)
        self._subscribed = set(wanted)

    def _after(self, found: Mapping[str, Message]) -> State:
        """The state with what has come."""
        state, now = self.state, time.monotonic()
        index = found.get(INDEX)
        if index is not None and index.metadata is not state.index:
            if index.metadata["clock"] < state.index.get("clock", 0.0):  # another publisher
                self._reads.clear()
                self._published = 0.0
            moved = max((now - age for age in ages(index.metadata)), default=0.0)
            state = replace(
                state,
                index=index.metadata,
                heard=now,
                moved=moved,
                rate=self._rate(index),
                problem="",
            )
        # What the client forgot when it connected anew is still the newest there is.
        known = {**state.messages, **found}
        messages = {topic: known[topic] for topic in self._subscribed & known.keys()}
        newest = self._newest_event(found.values())
        moved = now if newest else state.moved
        told = [m.metadata["workers"] for m in found.values() if "workers" in m.metadata]
        return replace(
            state,
            messages=messages,
            newest=newest or state.newest,
            moved=moved,
            workers=max(told, default=state.workers),
        )

    def _newest_event(self, messages: Iterable[Message]) -> int:
        """The timestamp in what was published last, 0 if nothing is new.

        Not the highest timestamp: a run that is played again begins with lower ones.
        """
        newest = 0
        for message in messages:
            published, timestamp = (
                message.metadata["published"],
                message.metadata["timestamp"],
            )
            if timestamp and published > self._published:
                self._published, newest = published, timestamp
        return newest

    def _rate(self, index: Message) -> float | None:
        ledger = index.metadata.get("ledger")
        if not isinstance(ledger, Mapping) or "read" not in ledger:
            return None
        self._reads.append((index.metadata["clock"], ledger["read"]))
        while self._reads[-1][0] - self._reads[0][0] > RATE_SECONDS:
            self._reads.popleft()
        seconds = self._reads[-1][0] - self._reads[0][0]
        events = self._reads[-1][1] - self._reads[0][1]
        return events / seconds if seconds > 0 and events >= 0 else None


def ages(index: Mapping[str, Any]) -> list[float]:
    """How old the newest value of each topic is, in seconds, where there is one.

    >>> ages({"topics": {"gmd": {"age": 0.5}, "plots/gmd/x": {"age": None}}})
    [0.5]
    """
    topics: Mapping[str, Mapping[str, Any]] = index.get("topics", {})
    return [about["age"] for about in topics.values() if about.get("age") is not None]
