"""One run that psana reads in a process of its own."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.counted import counted
from smalldata_stream.errors import PsanaError, SourceError
from smalldata_stream.protocols import Fault
from smalldata_stream.run import FieldInfo, RunInfo
from smalldata_stream.sources.files_events import EventTable, build_events
from smalldata_stream.sources.files_reader import check_signals
from smalldata_stream.sources.files_runs import StreamRun, name_says
from smalldata_stream.sources.files_stream import Stream
from smalldata_stream.sources.psana_blocks import PsanaBlocks, PsanaDamage
from smalldata_stream.sources.psana_files import link_streams
from smalldata_stream.sources.psana_messages import (
    UNDER_WAY,
    Described,
    Ended,
    Failed,
    Job,
    Request,
)
from smalldata_stream.sources.psana_process import PsanaProcess
from smalldata_stream.sources.psana_samples import order, samples
from smalldata_stream.sources.psana_wire import PackedBatch, Unpacker
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import Service

BLOCKS = 4
"""A block is so many of those of our own reader: between two, psana has to wait."""

_DEATHS = 3
"""Children that may die on datagrams looked at beforehand."""


def run_by_psana(
    parts: Sequence[StreamRun], index: int, log: FaultLog, streams: Sequence[Stream] = ()
) -> PsanaRun:
    """Start psana on the run that ``parts`` are of, number ``index`` of its files.

    ``streams`` are those that psana has to build events of; without, it reads one file.

    Raises
    ------
    PsanaError
        If psana is absent, refuses the files, or dies on them.
    """
    events = [(str(part.stream.path), part.events) for part in parts]
    table = build_events(events, log)
    rows = [part.events["timestamp"] for part in parts]
    in_order = all((one[1:] > one[:-1]).all() for one in rows)
    job = _job(parts, index, table.timestamps if in_order else None, several=bool(streams))
    size = BLOCKS * table.block_size
    return PsanaRun(job, table, log, streams, size=size)


def _job(
    parts: Sequence[StreamRun],
    index: int,
    times: NDArray[np.uint64] | None,
    *,
    several: bool,
) -> Job:
    source = f"psana: {', '.join(str(part.stream.path) for part in parts)}"
    if not any(len(part.transitions(Service.BEGIN_RUN)) for part in parts):
        raise PsanaError(f"{source}: without a BeginRun psana does not see the run")
    if several and index:
        raise PsanaError(f"{source}: of several runs in a directory psana reads one")
    names = [said for part in parts if (said := name_says(part.stream))]
    exp, number = (*names, ("", 0))[0]
    return Job(
        index=index,
        file=None if several else str(parts[0].stream.path.resolve()),
        exp=exp,
        number=number,
        begin=min(part.begin for part in parts),
        source=source,
        order=order(parts),
        samples=samples(parts),
        times=times,
    )


class PsanaRun:
    """One run; a protocols.Run. Where psana dies, what it had read before is given first.

    Raises
    ------
    PsanaError
        If psana refuses the data or dies before the first event.
    """

    def __init__(
        self,
        job: Job,
        table: EventTable,
        log: FaultLog,
        streams: Sequence[Stream] = (),
        *,
        size: int = 4096,
    ):
        """``table`` has the events by the headers, ``log`` what those had wrong.

        ``streams`` are those that psana has to build events of, ``size`` the number of
        events of a block.
        """
        self._size = size
        folder = str(link_streams(streams)) if streams else None
        self._remove = weakref.finalize(self, _remove, folder)
        self._job = replace(job, directory=folder)
        self._table, self._there = table, len(table.timestamps)
        self._log = log
        self._divided = False
        self.damage = PsanaDamage(job.source)
        self._deaths = 0
        self._death: PsanaError | None = None
        self._begun = False
        self.computed: Collection[Signal] = ()
        self._process = PsanaProcess()
        try:
            self._info = self._describe()
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> RunInfo:
        """What the run holds, known before the first event."""
        return self._info

    @property
    def faults(self) -> Sequence[Fault]:
        """Damage met so far; complete once `batches` is exhausted."""
        apart = self._divided
        return (*self._log.faults(), *(() if apart else self.damage.faults()))

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        """The events as psana gives them; can be called once.

        Raises
        ------
        PsanaError
            If psana raises or dies; all good events before have been given then.
        SourceError
            If a signal is unknown, or this is called twice.
        """
        request = self._request(signals, limits)

        def every() -> Iterator[Batch]:
            try:
                yield from self.part(request)
            finally:
                self.close()

        return every()

    def blocks(self, signals: Collection[Signal], limits: BatchLimits) -> PsanaBlocks:
        """The run in blocks, for several readers; see `protocols.Divisible`.

        Each reader has a psana that reads the events of its blocks and gets over the others
        in the small data; of a run in one file, which has none, psana reads all.
        """
        request = self._request(signals, limits)
        self._divided = True
        return PsanaBlocks(self, request, self._size, self._table)

    def _request(self, signals: Collection[Signal], limits: BatchLimits) -> Request:
        if self._begun:
            raise SourceError("the batches of a run can be asked for once")
        wanted = tuple(dict.fromkeys(signals))
        check_signals(self._info, wanted)
        self._begun = True
        detectors = tuple(dict.fromkeys(signal.detector for signal in wanted))
        return Request(wanted, detectors, limits)

    def part(self, request: Request) -> Iterator[Batch]:
        """The events of one request."""
        unpacker = Unpacker()
        given, read = 0, request.skip
        self._ask(request)
        while True:
            try:
                message = self._process.hear()
            except PsanaError as death:
                self._salvage(death, given, replace(request, skip=read))
                continue
            if not isinstance(message, PackedBatch):
                break
            self._process.want_batch()
            given += len(message.timestamps)
            read = message.read
            columns = {
                signal: unpacker.column(packed, self._field(signal))
                for signal, packed in zip(request.signals, message.columns, strict=True)
            }
            status = dict(zip(request.detectors, message.status, strict=True))
            yield Batch(message.timestamps, message.steps, columns, status)
        self._end(message, given, request)

    def _field(self, signal: Signal) -> FieldInfo:
        return self._info.detectors[signal.detector].fields[signal[1:]]

    def _ask(self, request: Request) -> None:
        self._process.tell(request)
        for _ in range(UNDER_WAY):
            self._process.want_batch()

    def _describe(self) -> RunInfo:
        while True:
            self._process.tell(self._job)
            try:
                message = self._process.hear()
            except PsanaError as death:
                self._without_sample(death)
                continue
            break
        if isinstance(message, Failed):
            raise PsanaError(f"{self._job.source}: psana raised {message.what}")
        assert isinstance(message, Described)
        if message.info is None:
            raise PsanaError(
                f"{self._job.source}: psana finds no run number {self._job.index}"
            )
        self.computed = message.computed
        return message.info

    def _without_sample(self, death: PsanaError) -> None:
        """A new child that leaves out the datagram that the last one died of."""
        at = self._process.count - 1
        self._deaths += 1
        if at < 0 or self._deaths > _DEATHS:
            raise PsanaError(f"{self._job.source}: {death}, before the first event")
        kept = self._job.samples[:at] + self._job.samples[at + 1 :]
        self._start(replace(self._job, samples=kept))

    def _start(self, job: Job) -> None:
        self._process.close()
        self._process = PsanaProcess()
        self._job = job

    def _salvage(self, death: PsanaError, given: int, request: Request) -> None:
        """A new child that stops before what killed the last one, if that is of any use."""
        good = self._process.count
        if self._death is not None or good <= request.skip:
            raise self._lost(self._death or death, given, request) from None
        self._death = death
        self._start(replace(self._job, stop=good))
        self._describe()
        self._ask(request)

    def _lost(self, death: PsanaError, given: int, request: Request) -> PsanaError:
        self._compare(given, request)
        return PsanaError(f"{self._job.source}: {death}, after {counted(given, 'event')}")

    def _end(self, message: object, given: int, request: Request) -> None:
        """Say what came to light; raise if psana did not come to the end by itself."""
        if isinstance(message, Failed):
            raise self._lost(PsanaError(f"psana raised {message.what}"), given, request)
        assert isinstance(message, Ended)
        self.damage.gaps.update(message.gaps)
        self.damage.lost.update(message.lost)
        lost = sum(message.lost.values())
        if message.error is not None:
            death = PsanaError(f"psana raised {message.error}")
            raise self._lost(death, given + lost, request)
        if self._death is not None:
            raise self._lost(self._death, given + lost, request)
        self._compare(given + lost, request)

    def _compare(self, met: int, request: Request) -> None:
        """Compare with what the headers say is there: psana ends silently on a cut file."""
        stop = self._there if request.stop is None else min(request.stop, self._there)
        lost = stop - request.skip - met
        if lost > 0:
            self.damage.lost["there by the headers, but psana did not give it"] += lost

    def close(self) -> None:
        """End psana's process."""
        self._process.close()
        self._remove()


def _remove(folder: str | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
