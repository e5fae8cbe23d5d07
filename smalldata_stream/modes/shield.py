"""Ctrl-C and SIGTERM that wait until a batch is done, and are never lost."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

AGAIN_SECONDS = 0.05
"""After so long a signal that was lost comes again."""


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
        self._depth, self._asked = 0, False
        self._last: int = signal.SIGINT

    @contextmanager
    def armed(
        self, kinds: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM)
    ) -> Iterator[None]:
        """Take these signals; in the main thread only."""
        with ExitStack() as stack:
            for kind in kinds:
                stack.callback(signal.signal, kind, signal.signal(kind, self._signalled))
            stack.enter_context(insisting(lambda: self._last))
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait until the end of this, and of all around it that is held."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._asked and not self._depth:
            self._asked = False
            raise KeyboardInterrupt

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._last = number
        if self._depth and not self._asked:
            self._asked = True
            return
        raise KeyboardInterrupt


@contextmanager
def insisting(kind: Callable[[], int] = lambda: signal.SIGINT) -> Iterator[None]:
    """Have the signal ``kind`` come again where its KeyboardInterrupt was swallowed.

    That is what becomes of an exception in a ``__del__`` or a callback of a weak reference,
    and a signal may strike there as everywhere. In the main thread only.
    """
    former, main = sys.unraisablehook, threading.get_ident()
    timers: list[threading.Timer] = []

    def swallowed(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            former(unraisable)
            return
        # Not from here, where it would be swallowed, too.
        timer = threading.Timer(AGAIN_SECONDS, signal.pthread_kill, [main, kind()])
        timer.daemon = True
        timers.append(timer)
        timer.start()

    sys.unraisablehook = swallowed
    try:
        yield
    finally:
        sys.unraisablehook = former
        for timer in timers:
            timer.cancel()
