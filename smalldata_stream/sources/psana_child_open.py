"""psana itself: its import, and opening one run with it."""

# ruff: noqa: SLF001 (psana has no public way to these)
from __future__ import annotations

import importlib.util
import itertools
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Signal
from smalldata_stream.sources.psana_child_gate import Gate
from smalldata_stream.sources.psana_messages import Job
from smalldata_stream.sources.psana_samples import DgramInFile


def stand_in_for_krtc() -> None:
    """Let psana be imported where its Kerberos binding is not installed."""
    if "krtc" in sys.modules or importlib.util.find_spec("krtc") is not None:
        return

    class KerberosTicket:
        def __init__(self, service: str):
            raise RuntimeError(
                f"a Kerberos ticket for {service} is needed: install lcls-krtc"
            )

    module = types.ModuleType("krtc")
    module.__dict__["KerberosTicket"] = KerberosTicket
    sys.modules["krtc"] = module


def import_psana() -> Any:
    """psana, alone: neither a rank of somebody's MPI nor a client of the logbook."""
    os.environ["PS_PARALLEL"] = "none"
    stand_in_for_krtc()
    import psana
    from psana.psexp import ds_base

    leave_no_shared_memory()
    # Directory mode asks a web service which files there are, even when told where.
    ds_base.DataSourceBase._get_file_info_from_db = lambda self, run: {}
    return psana


def leave_no_shared_memory() -> None:
    """Have the kernel take back MPI's shared memory when this process ends, killed or not.

    MPI is initialised by the import of psana; MPICH names its file by the process id, and
    nobody else opens it: this process is alone.
    """
    for file in Path("/dev/shm").glob(f"mpich_shm_{os.getpid():x}_*"):
        file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Opened:
    """A run as psana has opened it."""

    source: Any
    run: Any

    @property
    def configures(self) -> Sequence[Any]:
        """The Configure datagram of each stream."""
        configures: Sequence[Any] = self.run.configs
        return configures

    def event(self, dgrams: Sequence[Any]) -> Any:
        """psana's object of an event, which its detector classes take."""
        from psana.event import Event

        return Event(dgrams=list(dgrams), run=self.run._run_ctx)

    def method(self, signal: Signal) -> Callable[[Any], Any]:
        """The method of psana's detector class that has the name of the field.

        Where psana has none, calling it raises LookupError.
        """
        method: Callable[[Any], Any]
        method = getattr(self.interface(signal), signal.field, _no_method)
        return method

    def interface(self, signal: Signal) -> Any:
        """psana's object for one algorithm of a detector; None where it has no class."""
        try:
            return getattr(self.run.Detector(signal.detector), signal.algorithm)
        except (AttributeError, KeyError):
            return None

    def decode(self, one: DgramInFile) -> Any:
        """A single datagram, whatever comes before it."""
        from psana.dgram import Dgram

        file = os.open(one.path, os.O_RDONLY)
        raw = bytearray(os.pread(file, one.size, one.offset))
        os.close(file)
        return Dgram(config=self.configures[one.stream], view=raw, offset=0)

    def gate(self, times: NDArray[np.uint64] | None) -> Gate | None:
        """Have psana read chosen events alone; ``times`` are those of all, in order.

        None where that cannot be: it can where psana reads small data first.
        """
        reader = getattr(self.run._evt_iter, "smdr_man", None)
        if reader is None or times is None:
            return None
        self.run._evt_iter.smdr_man = gate = Gate(reader, times)
        return gate

    def dgrams(self) -> Iterator[Sequence[Any]]:
        """One list per event or transition: the datagram of each stream, or None.

        Can go on after its end where a gate was the reason for it.
        """
        dgrams: Iterator[Sequence[Any]] = self.run._evt_iter
        return dgrams

    def experiment(self) -> tuple[str, int] | None:
        """Experiment and number as BeginRun has them."""
        for dgram in self.source.beginruns:
            for segment in getattr(dgram, "runinfo", {}).values():
                return str(segment.runinfo.expt), int(segment.runinfo.runnum)
        return None


def _no_method(event: object) -> None:
    raise LookupError("its class has no such method")


def service(dgrams: Sequence[Any]) -> int:
    """What the datagrams of one moment are."""
    for dgram in dgrams:
        if dgram is not None:
            kind: int = dgram.service()
            return kind
    return 0


def open_run(job: Job) -> Opened | None:
    """The run ``job.index`` of the job's file or directory; None if there are fewer."""
    psana = import_psana()
    where: dict[str, Any] = {"exp": "run", "run": 1, "dir": job.directory}
    if job.file is not None:
        where = {"files": [job.file]}
    source = psana.DataSource(**where, skip_calib_load="all", batch_size=1000)
    run = next(itertools.islice(source.runs(), job.index, None), None)
    return run and Opened(source, run)
