"""Ctrl-C and SIGTERM that wait until a batch is done."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType


class Shield:
    """Lets no signal come in the midst of a batch: an event is counted whole or not at all.

    While `armed`, both signals raise KeyboardInterrupt: at once where the session waits for
    events, and at the end of the batch while it is `held`. A second one is not kept
    waiting.

    >>> shield = Shield()
    >>> try:
    ...     with shield.armed(), shield.held():
    ...         signal.raise_signal(signal.SIGTERM)
    ...         print("the batch is done")
    ... except KeyboardInterrupt:
    ...     print("the session is over")
    the batch is done
    the session is over
    """

    def __init__(self) -> None:
        self._held = self._asked = False

    @contextmanager
    def armed(
        self, kinds: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM)
    ) -> Iterator[None]:
        """Take these signals; in the main thread only."""
        former = [signal.signal(kind, self._signalled) for kind in kinds]
        try:
            yield
        finally:
            for kind, handler in zip(kinds, former, strict=True):
                signal.signal(kind, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait until the end of this."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._asked:
            self._asked = False
            raise KeyboardInterrupt

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self._held and not self._asked:
            self._asked = True
            return
        raise KeyboardInterrupt
