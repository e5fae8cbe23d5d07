"""What readers want begun anew, noted down until the graph is between two batches."""

from __future__ import annotations

import threading
from collections.abc import Collection


class Resets:
    """Topics that somebody asked to be reset; `ask` comes from any thread.

    >>> resets = Resets()
    >>> resets.ask(["plots/gmd/x"])
    >>> resets.take(), resets.take()
    ({'plots/gmd/x'}, None)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._topics: set[str] | None = None

    def ask(self, topics: Collection[str]) -> None:
        """Note down ``topics``; none means all."""
        with self._lock:
            if not topics or self._topics == set():
                self._topics = set()
            else:
                self._topics = (self._topics or set()) | set(topics)

    def take(self) -> set[str] | None:
        """What was asked for since the last call: None for nothing, empty for all."""
        with self._lock:
            topics, self._topics = self._topics, None
            return topics
