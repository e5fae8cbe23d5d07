"""How a process of ours ended, in words for an error."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import IO

LAST_LINES = 5
MOST_BYTES = 4096


def how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """What became of a process that has ended, or is about to.

    >>> import sys
    >>> how_it_ended(subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"]))
    'ended with exit code 7'
    """
    code = process.wait()
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def last_words(said: IO[bytes]) -> str:
    r"""The last lines that are not empty of what a process has printed, in one line.

    >>> import io
    >>> last_words(io.BytesIO(b"one\ntwo\n\nthree\nfour\n"))
    'one | two | three | four'
    """
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - MOST_BYTES))
    lines = said.read().decode(errors="replace").splitlines()
    return " | ".join([line.strip() for line in lines if line.strip()][-LAST_LINES:])
