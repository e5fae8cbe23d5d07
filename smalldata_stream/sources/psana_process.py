"""A child process with psana in it: started, talked to, and mourned."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from smalldata_stream.errors import PsanaError
from smalldata_stream.last_words import how_it_ended, last_words
from smalldata_stream.sources import psana_wire as wire

_LAUNCHERS = (
    "PMI",
    "OMPI_",
    "PRTE_",
    "MPI_",
    "MPIR_",
    "HYDRA_",
    "HYDI_",
    "MV2_",
    "SLURM_",
    "PALS_",
)
"""Beginnings of the variables by which an MPI launcher tells a process its rank."""


class PsanaProcess:
    """psana in a process of its own: may die of bad data, and dies with this one.

    What psana prints is kept apart and shown only when it dies.
    """

    def __init__(self) -> None:
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
        self._talk, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        counter = os.memfd_create("smalldata_stream")
        try:
            os.truncate(counter, mmap.PAGESIZE)
            self._seen = mmap.mmap(counter, mmap.PAGESIZE, prot=mmap.PROT_READ)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "smalldata_stream.sources.psana_child",
                 str(theirs.fileno()), str(counter)],
                stdin=subprocess.PIPE, stdout=self._said, stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(), counter), env=_environment(),
            )  # fmt: skip
        finally:
            os.close(counter)
            theirs.close()
        self._end = weakref.finalize(
            self, _bury, self._process, self._talk, self._said, self._seen
        )

    @property
    def count(self) -> int:
        """How far the child has come: samples looked at, then events read."""
        return int.from_bytes(self._seen[:8], sys.byteorder)

    def tell(self, message: object) -> None:
        """Send ``message``; a child that has died is noticed by `hear`."""
        try:
            wire.send(self._talk, message)
        except (BrokenPipeError, ConnectionResetError):
            return

    def want_batch(self) -> None:
        """Allow the child to send one more batch."""
        try:
            self._talk.send(b"+")
        except (BrokenPipeError, ConnectionResetError):
            return

    def hear(self, timeout: float | None = None) -> Any:
        """The next message.

        Raises
        ------
        PsanaError
            If the child died instead; says how, and what psana said last.
        TimeoutError
            If nothing came in ``timeout`` seconds.
        """
        self._talk.settimeout(timeout)
        try:
            return wire.receive(self._talk)
        except (EOFError, ConnectionResetError):
            raise PsanaError(self._obituary()) from None

    def _obituary(self) -> str:
        how, said = how_it_ended(self._process), last_words(self._said)
        return f"psana {how}" + (f"; it said last: {said}" if said else " without a word")

    def close(self) -> None:
        """End the child, whatever it does."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _bury(
    process: subprocess.Popen[bytes], talk: socket.socket, said: IO[bytes], seen: mmap.mmap
) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
    talk.close()
    said.close()
    seen.close()


def _environment() -> dict[str, str]:
    """Ours, but the child is no rank of an MPI job, and finds this package as we do."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(_LAUNCHERS)
    }
    root = str(Path(__file__).parents[2])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH")]))
    return kept
