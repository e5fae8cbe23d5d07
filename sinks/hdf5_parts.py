"""One file of several: each rank writes a part, the parts become the file of the run."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sinks.hdf5_copy import Part
from sinks.hdf5_file import PartialFile
from sinks.hdf5_layout import check
from smalldata_stream.batch import Column
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Result

log = logging.getLogger(__name__)

NEVER = float("inf")
OPEN_PARTS = 200


class Rows(NamedTuple):
    """Rows ``first`` to ``last`` of a part."""

    part: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Merged:
    """What putting the parts together has cost."""

    parts: int
    nbytes: int
    seconds: float


@dataclass(slots=True)
class PartSink:
    """Writes what one rank reduces, and at the end, in one rank, the file of the run.

    Attributes
    ----------
    folder
        Where the parts are.
    name
        Of the part written here; there is none before the first row.
    compression
        As of `Hdf5Sink`.
    whole
        Path of the file of the run once `end` has made it.
    order
        What `end` puts together, in time order. Where that is all of the part written
        here and nothing else, the part becomes the file.
    merged
        What this has cost; None where nothing had to be put together.
    """

    folder: Path
    name: str
    compression: Literal["bitshuffle-lz4", "gzip", "none"]
    whole: Path | None = None
    order: Sequence[Rows] = ()
    merged: Merged | None = None
    _declaration: Declaration | None = None
    _file: PartialFile | None = None

    @property
    def rows(self) -> int:
        """Rows written here so far."""
        return self._file.rows if self._file is not None else 0

    def begin(self, declaration: Declaration) -> None:
        """Check; raises `OutputError` where this cannot become one file."""
        check(declaration)
        self._declaration = declaration

    def write(self, timestamps: NDArray[np.uint64], record: Mapping[str, Column]) -> None:
        """Add events to the part."""
        if self._file is None:
            self._file = self._create(self.name)
        self._file.append(timestamps, record)

    def checkpoint(self) -> None:
        """Have all rows so far on the disk."""
        if self._file is not None:
            self._file.checkpoint()

    def end(self, totals: Mapping[str, Result], ledger: Ledger) -> None:
        """Make the file of the run from ``order``, with totals and ledger."""
        mine = [Rows(self.name, 0, self.rows)]
        if self._file is not None and joined(self.order) == mine:
            file, self._file = self._file, None
        else:
            self.close()
            file = self._put_together()
        never = file.finish(totals, ledger)
        if never:
            log.warning("no event had a value, so no dataset is made: %s", ", ".join(never))
        self.whole = file.path

    def close(self) -> None:
        """Close the part; nothing more is written to it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def abort(self) -> None:
        """Leave the part as the last checkpoint made it, or later."""
        if self._file is not None and not self._file.closed:
            self._file.abandon()
        self._file = None

    def _create(self, name: str) -> PartialFile:
        assert self._declaration is not None
        return PartialFile(self.folder / name, self._declaration, self.compression, NEVER)

    def _put_together(self) -> PartialFile:
        started = time.monotonic()
        (self.folder / "whole.h5").unlink(missing_ok=True)
        file = self._create("whole.h5")
        parts = OpenParts(self.folder)
        try:
            for rows in joined(self.order):
                file.copy(parts[rows.part], rows.first, rows.last)
        except BaseException:
            if not file.closed:
                file.abandon()
            file.path.unlink(missing_ok=True)  # its place on the disk is needed
            raise
        finally:
            parts.close()
        self.merged = Merged(
            len(parts.sizes), sum(parts.sizes.values()), time.monotonic() - started
        )
        return file


@dataclass(slots=True)
class OpenParts:
    """The parts in a folder, opened when first asked for, and not too many at a time."""

    folder: Path
    sizes: dict[str, int] = field(default_factory=dict)
    _open: OrderedDict[str, Part] = field(default_factory=OrderedDict)

    def __getitem__(self, name: str) -> Part:
        if name not in self._open:
            if len(self._open) == OPEN_PARTS:
                self._open.popitem(last=False)[1].close()
            self._open[name] = Part(self.folder / name)
            self.sizes[name] = self._open[name].nbytes
        self._open.move_to_end(name)
        return self._open[name]

    def close(self) -> None:
        """Close what is open."""
        while self._open:
            self._open.popitem()[1].close()


def joined(order: Sequence[Rows]) -> list[Rows]:
    """The same rows in as few pieces as there can be.

    >>> joined([Rows("a", 0, 2), Rows("a", 2, 5), Rows("b", 0, 0), Rows("a", 5, 6)])
    [Rows(part='a', first=0, last=6)]
    """
    pieces: list[Rows] = []
    for rows in order:
        if rows.first == rows.last:
            continue
        if pieces and pieces[-1].part == rows.part and pieces[-1].last == rows.first:
            rows = Rows(rows.part, pieces.pop().first, rows.last)
        pieces.append(rows)
    return pieces
