"""Runs in xtc2 files: several streams, their chunks and index files, as batches.

A run is indexed first (25 bytes per datagram), then decoded batch by batch from the mapped
files; what is not asked for is not read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.errors import RunNotFound, SourceError, did_you_mean
from smalldata_stream.protocols import Fault, Run
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.fallback import Fallback
from smalldata_stream.sources.files_blocks import FileBlocks
from smalldata_stream.sources.files_describe import describe_run
from smalldata_stream.sources.files_events import EventTable, build_events
from smalldata_stream.sources.files_find import (
    first_chunks,
    missing_streams,
    open_all,
    runs_in,
)
from smalldata_stream.sources.files_live import LiveFiles
from smalldata_stream.sources.files_reader import RunReader, check_signals
from smalldata_stream.sources.files_runs import StreamRun, begin_of, identity, pair_runs
from smalldata_stream.sources.files_stream import NAME
from smalldata_stream.sources.files_wait import wait_for_run
from smalldata_stream.xtc2.describe import Description
from smalldata_stream.xtc2.faults import FaultLog

__all__ = ["FilesRun", "FilesSource", "LiveFiles"]


@dataclass(frozen=True, slots=True)
class FilesSource:
    """The runs in some xtc2 files; see `from_files` and `from_run`.

    ``groups`` has the paths of each event-built group of streams; ``growing`` what is
    waited for instead: experiment, run, directory, and how.

    >>> FilesSource.from_files(["nowhere.xtc2"])
    Traceback (most recent call last):
    smalldata_stream.errors.RunNotFound: nowhere.xtc2: no such file
    """

    groups: Sequence[Sequence[Path]]
    growing: tuple[str, int, Path, LiveFiles] | None = None

    @classmethod
    def from_files(cls, paths: Iterable[str | Path]) -> Self:
        """Files by name; those of one experiment and run are streams of one run.

        Later chunks of a file are found beside it. Raises `RunNotFound` for a file that
        is not there.
        """
        files = [Path(path) for path in paths]
        if not files:
            raise RunNotFound("no file given")
        groups: dict[object, list[Path]] = {}
        for path in dict.fromkeys(files):
            if path.is_dir():
                raise RunNotFound(
                    f"{path}: a directory; give the files in it, or experiment, run number "
                    "and directory"
                )
            if not path.is_file():
                raise RunNotFound(f"{path}: no such file")
            match = NAME.fullmatch(path.name)
            key = (match["exp"], int(match["run"]), path.parent) if match else path
            groups.setdefault(key, []).append(path)
        return cls([first_chunks(group) for group in groups.values()])

    @classmethod
    def from_run(
        cls, exp: str, run: int, directory: str | Path, *, live: LiveFiles | None = None
    ) -> Self:
        """The files ``<exp>-r<run>-s*-c000.xtc2`` in a directory, one per stream.

        Raises `RunNotFound` where there is none; says what runs there are. With ``live``
        the files may still be growing, and may not be there yet.
        """
        folder = Path(directory)
        if live is not None:
            return cls([], (exp, run, folder, live))
        if not folder.is_dir():
            raise RunNotFound(f"{folder}: no such directory")
        found = runs_in(folder)
        files = found.get((exp, run), [])
        if not files:
            names = [f"{name} run {number}" for name, number in found]
            hint = did_you_mean(f"{exp} run {run}", names)
            raise RunNotFound(f"no run {run} of {exp} in {folder}; {hint}")
        return cls([first_chunks(files)])

    def runs(self) -> Iterator[Run]:
        """The runs in order; raises `SourceError` where nothing can be read."""
        if self.growing is not None:
            yield wait_for_run(*self.growing)
        for paths in self.groups:
            faults = FaultLog()
            streams = open_all(paths, faults)
            missing_streams(paths, faults)
            for parts in pair_runs(streams):
                yield FilesRun(parts, faults)
                faults = FaultLog()


@dataclass(slots=True)
class FilesRun:
    """One run on disk; implements `smalldata_stream.protocols.Run`."""

    parts: Sequence[StreamRun]
    log: FaultLog
    _description: Description = field(init=False)
    _fallback: Fallback = field(init=False)
    _info: RunInfo = field(init=False)
    _table: EventTable = field(init=False)
    _used: bool = False
    _batches: FileBlocks | None = None

    def __post_init__(self) -> None:
        self._description = describe_run(self.parts, self.log)
        self._fallback = Fallback(self.parts, self._description)
        self._table = build_events(
            [(str(part.stream.path), part.events) for part in self.parts], self.log
        )
        exp, number = identity(self.parts)
        self._info = RunInfo(
            exp=exp,
            number=number,
            detectors=self._fallback.detectors,
            begin=begin_of(self.parts),
            source="files: "
            + ", ".join(str(part.stream.path) for part in self.parts)
            + self._fallback.source,
            events=len(self._table.timestamps),
        )

    @property
    def info(self) -> RunInfo:
        """What the run holds."""
        return self._info

    @property
    def faults(self) -> Sequence[Fault]:
        """Damage met so far, added up by file and kind."""
        log = FaultLog()
        log.merge(self.log)
        if self._batches is not None:
            log.merge(self._batches.damage)
        return [*log.faults(), *self._fallback.faults]

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        """The events in order of time; only ``signals`` are read. Can be called once.

        Raises `SourceError` for a signal that the run has not got.
        """
        blocks = self._batches = self.blocks(signals, limits)
        return (batch for number in range(blocks.count) for batch in blocks.read(number))

    def blocks(self, signals: Collection[Signal], limits: BatchLimits) -> FileBlocks:
        """The run in blocks, for several readers; see `protocols.Divisible`."""
        if self._used:
            raise SourceError("the batches of a run can be asked for once")
        self._used = True
        check_signals(self._info, signals)
        beside = self._fallback.begin(list(dict.fromkeys(signals)), limits)
        streams = [part.stream for part in self.parts]
        damage = FaultLog()
        reader = RunReader(self._description, streams, beside.ours, damage)
        for part in self.parts:
            reader.take_transitions(part.stream, part.others)
        self.log.take(damage)
        return FileBlocks(reader, self._table, beside, limits, damage)
