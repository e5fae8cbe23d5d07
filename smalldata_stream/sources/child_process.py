"""A module of ours in a process of its own, because psana is in it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from smalldata_stream.last_words import how_it_ended, last_words


class ChildProcess:
    """A child that may die of bad data, and dies with this process.

    What it prints is kept apart and shown only when it dies. It closes at the end of the
    context, or with the last reference to this.
    """

    def __init__(
        self,
        module: str,
        memory: int,
        *arguments: object,
        environment: Mapping[str, str],
        at_end: Callable[[], object],
    ) -> None:
        """Start ``smalldata_stream.sources.<module>``.

        Its arguments are the numbers of its socket and of the memory file ``memory``, then
        the others; ``at_end`` is called when it has ended.
        """
        with ExitStack() as undo:
            undo.callback(at_end)
            self._said: IO[bytes] = undo.enter_context(tempfile.TemporaryFile())
            self._talk, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.enter_context(self._talk)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", f"smalldata_stream.sources.{module}",
                     *map(str, (theirs.fileno(), memory, *arguments))],
                    stdin=subprocess.PIPE, stdout=self._said, stderr=subprocess.STDOUT,
                    pass_fds=(theirs.fileno(), memory), env=_found_as_we_are(environment),
                )  # fmt: skip
            undo.pop_all()  # it has started: what it needs is closed when it ends
        self._end = weakref.finalize(
            self, _bury, self._process, self._talk, self._said, at_end
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def obituary(self) -> tuple[str, str]:
        """How it ended, and what it said last, once it is known to have died."""
        return how_it_ended(self._process), last_words(self._said)

    def close(self) -> None:
        """End the child, whatever it does."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bury(
    process: subprocess.Popen[bytes],
    talk: socket.socket,
    said: IO[bytes],
    at_end: Callable[[], object],
) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
    talk.close()
    said.close()
    at_end()


def _found_as_we_are(environment: Mapping[str, str]) -> dict[str, str]:
    """The child finds this package where we do, installed or not."""
    root = str(Path(__file__).parents[2])
    paths = filter(None, [root, environment.get("PYTHONPATH")])
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}
