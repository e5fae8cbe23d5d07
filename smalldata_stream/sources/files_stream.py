"""One stream of a run on disk: its chunks, its index file, and the rows of its index."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.errors import CorruptData, RunNotFound, SourceError, because
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import DGRAM_BYTES, Bytes, Service
from smalldata_stream.xtc2.index import ROW, walk_headers
from smalldata_stream.xtc2.names import Configuration, Malformed, Names, parse_configure
from smalldata_stream.xtc2.transitions import Block, read_values

NAME = re.compile(
    r"(?P<exp>.+)-r(?P<run>\d+)-s(?P<stream>\d+)-c(?P<chunk>\d+)"
    r"(?P<smd>\.smd)?\.xtc2(?P<growing>\.inprogress)?"
)
GROWING = ".inprogress"
MOST_CONFIGURATIONS = 65535
INDEX_FILE = 65535
"""Number of the index file in rows; transitions are read from there."""


@dataclass(slots=True)
class MappedFile:
    """A file and its bytes, mapped; nothing is read before it is looked at."""

    path: Path
    buffer: Bytes = field(default_factory=lambda: np.empty(0, np.uint8))
    walked: int = 0

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> bool:
        """Map what the file has become; True if it has grown."""
        try:
            file = self._open()
        except FileNotFoundError:
            raise RunNotFound(f"{self.path}: no such file") from None
        except OSError as error:
            raise SourceError(f"{self.path}: cannot be read: {because(error)}") from error
        with file:
            size = file.seek(0, 2)
            if size <= len(self.buffer):
                return False
            mapped = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
        self.buffer = np.frombuffer(mapped, np.uint8)
        return True

    def _open(self) -> BinaryIO:
        """The file, also when its writer has renamed it in the meantime."""
        try:
            return self.path.open("rb")
        except FileNotFoundError:
            if not self.path.name.endswith(GROWING):
                raise
        self.path = self.path.with_name(self.path.name.removesuffix(GROWING))
        return self.path.open("rb")


@dataclass(slots=True)
class Stream:
    """The datagrams of one stream, in the order of its files.

    ``rows`` is the index; ``row["file"]`` counts in ``files``, ``row["configuration"]`` in
    ``configurations``, each of which was parsed from one of ``configure_rows``. A stream is
    ``broken`` where a Configure cannot be read: nothing after it can be understood.
    """

    path: Path
    faults: FaultLog
    files: list[MappedFile] = field(default_factory=list)
    index: MappedFile | None = None
    configurations: list[Configuration] = field(default_factory=list)
    configure_rows: list[Any] = field(default_factory=list)
    rows: NDArray[Any] = field(default_factory=lambda: np.empty(0, ROW))
    broken: bool = False

    def file(self, number: int) -> MappedFile:
        """The file that rows know by ``number``."""
        if number == INDEX_FILE and self.index is not None:
            return self.index
        return self.files[number]

    def extend(self, rows: NDArray[Any]) -> None:
        """Take further rows, parsing each Configure among them."""
        rows = rows.copy()
        configure = np.flatnonzero(rows["service"] == Service.CONFIGURE)
        if not len(self.configurations) and len(rows) and rows["service"][0] != 2:
            file = self.file(int(rows["file"][0]))
            name = Service(int(rows["service"][0])).name
            hint = " (is it a later chunk? give the one that ends in -c000)"
            what = f"begins with {name}, not with CONFIGURE{hint}"
            raise CorruptData(file.path, int(rows["offset"][0]), what)
        current = max(len(self.configurations) - 1, 0)
        rows["configuration"] = current
        for at in configure.tolist():
            row = rows[at]
            start = int(row["offset"]) + DGRAM_BYTES
            stop = int(row["offset"]) + int(row["size"])
            file = self.file(int(row["file"]))
            try:
                found = parse_configure(file.buffer, start, stop)
            except Malformed as error:
                self.broken = True
                self.rows = np.concatenate([self.rows, rows[:at]])
                raise CorruptData(
                    file.path, error.offset, f"in Configure: {error.what}"
                ) from error
            if len(self.configurations) == MOST_CONFIGURATIONS:
                raise CorruptData(file.path, start, "more configurations than can be")
            self.configurations.append(found)
            self.configure_rows.append(row.copy())
            rows["configuration"][at:] = len(self.configurations) - 1
        self.rows = np.concatenate([self.rows, rows])

    def blocks(self, rows: NDArray[Any], events: NDArray[np.int64]) -> Iterator[Block]:
        """``rows`` as blocks of one file and one configuration."""
        if not len(rows):
            return
        key = rows["file"].astype(np.int64) << 32 | rows["configuration"]
        if (key == key[0]).all():
            yield self._block(rows, events)
            return
        for one in np.unique(key).tolist():
            mine = key == one
            yield self._block(rows[mine], events[mine])

    def _block(self, rows: NDArray[Any], events: NDArray[np.int64]) -> Block:
        file = self.file(int(rows["file"][0]))
        return Block(
            str(file.path),
            file.buffer,
            rows["offset"].astype(np.int64),
            rows["size"].astype(np.int64),
            events,
            rows["timestamp"],
            self.configurations[rows["configuration"][0]],
        )

    def values(self, row: NDArray[Any]) -> list[tuple[Names, dict[str, Any]]]:
        """What the single datagram of ``row``, ``(1,)`` of `ROW`, holds."""
        (block,) = self.blocks(row, np.zeros(1, np.int64))
        return list(read_values(block))


def walk_file(stream: Stream, number: int) -> None:
    """Add the datagrams of file ``number`` from where the walk stands."""
    file = stream.files[number]
    walked = walk_headers(file.buffer, file.walked, number)
    file.walked = walked.end
    if walked.problem and not len(walked.rows) and not len(stream.rows):
        raise CorruptData(file.path, walked.end, walked.problem)
    try:
        stream.extend(walked.rows)
    except CorruptData as error:
        if not stream.configurations:
            raise
        stream.faults.add(str(error.path), error.offset, error.what, 1)
        return
    if walked.problem:
        what = f"{walked.problem}; nothing is read from there on"
        stream.faults.add(str(file.path), walked.end, what, 1)


def next_chunk(stream: Stream, named: str | None) -> Path | None:
    """The file in which a stream goes on: the one ``named``, else the next by number."""
    here = stream.files[-1].path if stream.files else stream.path
    done = {_stem(file.path) for file in stream.files}
    for candidate in (named, numbered_chunk(here)):
        if candidate is None or _stem(here.with_name(candidate)) in done:
            continue
        for path in (here.with_name(candidate), here.with_name(candidate + GROWING)):
            if path.exists():
                return path
    return None


def chunk_named(stream: Stream, rows: NDArray[Any]) -> str | None:
    """The file name in the last chunkinfo among ``rows``."""
    enables = rows[(rows["service"] == Service.ENABLE) & (rows["size"] > DGRAM_BYTES)]
    for row in enables[::-1]:
        for names, values in stream.values(np.array([row], ROW)):
            if names.detector == "chunkinfo" and isinstance(values.get("filename"), str):
                return Path(values["filename"]).name or None
    return None


def numbered_chunk(path: Path) -> str | None:
    """The name of the chunk after ``path``.

    >>> numbered_chunk(Path("xpptut15-r0014-s000-c000.xtc2.inprogress"))
    'xpptut15-r0014-s000-c001.xtc2'
    """
    match = NAME.fullmatch(path.name)
    if match is None:
        return None
    width = len(match["chunk"])
    number = f"{int(match['chunk']) + 1:0{width}d}"
    return f"{path.name[: match.start('chunk')]}{number}.xtc2"


def _stem(path: Path) -> Path:
    """A name that stays when ``.inprogress`` goes."""
    return path.resolve().with_name(path.name.removesuffix(GROWING))
