"""A rank of an MPI job and the process that watches it.

A rank that is killed can say nothing, and MPI knows only that it is gone. So a rank works
in a child of the process that the launcher started: when it dies, its parent still knows
which block it had in hand, says so, and ends in a way that makes the launcher end the job.
When the parent is killed, the child says so, and ends, too.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from smalldata_stream.rank import IN_HAND, rank_told

_STDERR = 2
"""Not `sys.stderr`, which all ranks but the first close to what every rank would say."""


def watched(work: Callable[[], int]) -> int:
    """Do ``work`` in a child; returns what it does, or dies as the child does.

    To be called before anything starts a thread.
    """
    # The parent holds one end of a pipe as long as it lives, the child reads the other.
    lives, alive = os.pipe()
    child = os.fork()
    if not child:
        os.close(alive)
        threading.Thread(target=_end_with_parent, args=(lives,), daemon=True).start()
        return work()
    os.close(lives)
    stopped = False

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        os.kill(child, number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        os._exit(code)
    if not stopped:
        _say(f"rank {rank_told()} was killed by {signal.Signals(-code).name}")
    # As the child died: the launcher then ends the other ranks.
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    os._exit(1)


def _end_with_parent(lives: int) -> None:
    """Say so when the parent has gone, however it went, and end."""
    os.read(lives, 1)  # nothing ever comes
    _say(f"rank {rank_told()} lost the process that watches it, which was killed,")
    os.kill(os.getpid(), signal.SIGKILL)


def _say(what: str) -> None:
    said = f"error: {what} with {IN_HAND} in hand; the same command with --resume finishes"
    os.write(_STDERR, f"{said} the file\n".encode())
