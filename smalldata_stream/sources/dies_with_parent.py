"""How a child with psana in it ends: without a word, when its parent does."""

from __future__ import annotations

import fcntl
import os
import signal
import threading


def die_with_parent() -> None:
    """End when standard input does; Ctrl-C is the parent's affair.

    The kernel sends SIGIO when the parent's end is closed; psana may be deep in C then.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=_end_of_input, daemon=True).start()


def _end_of_input() -> None:
    os.read(0, 1)  # for a parent that was gone before the kernel was asked
    os._exit(0)
