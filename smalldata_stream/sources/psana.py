"""Runs read by psana itself: the reader of last resort, and the oracle of ours.

psana runs in a child process, one per run, because it may abort the interpreter on damaged
data, keeps detectors by name for the life of a process, and initialises MPI. Files and runs
are found, and counted, as `smalldata_stream.sources.files` does: psana itself ends without
a word where a file is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from smalldata_stream.errors import PsanaError
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.files_events import build_events
from smalldata_stream.sources.files_find import open_all
from smalldata_stream.sources.files_runs import StreamRun, name_says, pair_runs
from smalldata_stream.sources.psana_constants import psana_constants
from smalldata_stream.sources.psana_messages import Job
from smalldata_stream.sources.psana_run import PsanaRun
from smalldata_stream.sources.psana_samples import order, samples
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import Service

__all__ = ["PsanaSource", "psana_constants"]


@dataclass(frozen=True, slots=True)
class PsanaSource:
    """The runs in some xtc2 files, read by psana; see `from_files` and `from_run`.

    ``groups`` has the paths of each event-built group of streams.

    >>> PsanaSource.from_files(["nowhere.xtc2"])
    Traceback (most recent call last):
    smalldata_stream.errors.RunNotFound: nowhere.xtc2: no such file
    """

    groups: Sequence[Sequence[Path]]

    @classmethod
    def from_files(cls, paths: Iterable[str | Path]) -> Self:
        """Files by name; those of one experiment and run are streams of one run.

        Raises `RunNotFound` for a file that is not there.
        """
        return cls(FilesSource.from_files(paths).groups)

    @classmethod
    def from_run(cls, exp: str, run: int, directory: str | Path) -> Self:
        """The files of a run in a directory, one per stream; raises `RunNotFound`."""
        return cls(FilesSource.from_run(exp, run, directory).groups)

    def runs(self) -> Iterator[PsanaRun]:
        """The runs in order; each has a process of its own, which ends with its batches.

        Raises
        ------
        CorruptData
            If a file has no beginning that makes sense.
        PsanaError
            If psana is absent, refuses the files, or dies on them.
        """
        for paths in self.groups:
            faults = FaultLog()
            streams = open_all(paths, faults)
            several = len(streams) > 1 or len(streams[0].files) > 1
            for index, parts in enumerate(pair_runs(streams)):
                job = _job(parts, index, several)
                events = [(str(part.stream.path), part.events) for part in parts]
                there = len(build_events(events, faults).timestamps)
                yield PsanaRun(job, there, faults, streams if several else ())
                faults = FaultLog()


def _job(parts: Sequence[StreamRun], index: int, several: bool) -> Job:
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
    )
