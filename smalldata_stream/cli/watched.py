"""A rank of an MPI job and the process that watches it.

A rank that is killed can say nothing, and MPI knows only that it is gone. So a rank works
in a child of the process that the launcher started: when it dies, its parent still knows
which block it had in hand, says so, and ends in a way that makes the launcher end the job.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from smalldata_stream.errors import SmalldataError
from smalldata_stream.rank import IN_HAND, rank_told

_PR_SET_PDEATHSIG = 1


def watched(work: Callable[[], int]) -> int:
    """Do ``work`` in a child; returns what it does, or dies as the child does.

    To be called before anything starts a thread.
    """
    parent = os.getpid()
    child = os.fork()
    if not child:
        _die_with(parent)
        return work()
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
    name = signal.Signals(-code).name
    if not stopped:
        print(
            f"error: rank {rank_told()} was killed by {name} with {IN_HAND} in hand; "
            "the same command with --resume finishes the file",
            file=sys.stderr,
            flush=True,
        )
    # As the child died: the launcher then ends the other ranks.
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    os._exit(1)


def _die_with(parent: int) -> None:
    """Be killed when ``parent`` dies, however it does."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise SmalldataError(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        os._exit(1)
