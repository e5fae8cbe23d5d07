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

from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.files_find import open_all
from smalldata_stream.sources.files_runs import pair_runs
from smalldata_stream.sources.psana_constants import psana_constants
from smalldata_stream.sources.psana_run import PsanaRun, run_by_psana
from smalldata_stream.xtc2.faults import FaultLog

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
                yield run_by_psana(parts, index, faults, streams if several else ())
                faults = FaultLog()
