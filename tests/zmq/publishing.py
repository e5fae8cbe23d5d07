"""What the tests of this folder publish, and how they wait: bounded, on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from smalldata_stream.message import Message

SOON = 60.0
"""Seconds after which something that must happen counts as not happening."""

ENOUGH = 3.0
"""Seconds after which what must not happen has not; the index comes within them."""

EVENT = (1_140_000_000 << 32) + 123_456_789


class Maker:
    """Makes messages of one topic, and counts how many were made."""

    def __init__(self, topic: str, size: int = 3) -> None:
        self.topic, self.size, self.made, self.number = topic, size, 0, 0

    def offer(self) -> tuple[str, Callable[[], Message]]:
        """The arguments of ``offer`` for the next value."""
        self.number += 1
        number = self.number

        def make() -> Message:
            self.made += 1
            values = np.full(self.size, number, np.float32)
            return Message(
                self.topic, {"kind": "line", "timestamp": EVENT}, {"values": values}
            )

        return self.topic, make


def wait_until(true: Callable[[], Any], seconds: float = SOON) -> None:
    """Wait for something that happens in another thread or process."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def value(message: Message) -> int:
    """The number that `Maker` put into a message."""
    return int(message.arrays["values"][0])
