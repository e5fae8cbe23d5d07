"""A child process with psana in it: started, talked to, and mourned."""

from __future__ import annotations

import mmap
import os
import sys
from typing import Any

from smalldata_stream.errors import PsanaError
from smalldata_stream.sources import psana_wire as wire
from smalldata_stream.sources.child_process import ChildProcess

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


class PsanaProcess(ChildProcess):
    """psana in a process of its own."""

    def __init__(self) -> None:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_LAUNCHERS)  # the child is no rank of an MPI job
        }
        counter = os.memfd_create("smalldata_stream")
        try:
            os.truncate(counter, mmap.PAGESIZE)
            self._seen = mmap.mmap(counter, mmap.PAGESIZE, prot=mmap.PROT_READ)
            super().__init__(
                "psana_child", counter, environment=environment, at_end=self._seen.close
            )
        finally:
            os.close(counter)

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
            raise self._death() from None

    def _death(self) -> PsanaError:
        how, said = self.obituary()
        last = f"; it said last: {said}" if said else " without a word"
        return PsanaError(f"psana {how}{last}")
