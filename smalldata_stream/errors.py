"""Every exception of smalldata_stream.

::

    SmalldataError
    ├── GraphError          the graph file asks for something that cannot be
    ├── SourceError         the data cannot be read
    │   ├── RunNotFound     no such run, directory or file
    │   ├── CorruptData     the bytes of a file are damaged; says file and offset
    │   └── PsanaError      psana is absent, refused, or died
    ├── ConstantsError      calibration constants are absent or do not fit
    │   └── DatabaseError   psana's database is not reached, whatever it is asked for
    ├── NodeFailures        too many events failed in the nodes of a batch job
    └── OutputError         the result cannot be written
        └── WriteFailed     what was begun cannot be written on: disk full, quota ...
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class SmalldataError(Exception):
    """What went wrong, in one line a scientist can act on."""


class GraphError(SmalldataError):
    """The graph asks for something that cannot be; names file and line where known."""

    def __init__(self, what: str, *, file: str | None = None, line: int | None = None):
        self.what, self.file, self.line = what, file, line
        where = f"{file}:{line}: " if file is not None and line is not None else ""
        super().__init__(where + what)


class SourceError(SmalldataError):
    """The data cannot be read."""


class RunNotFound(SourceError):
    """No such run, directory or file."""


class CorruptData(SourceError):
    """The bytes of a file are damaged.

    >>> str(CorruptData(Path("a.xtc2"), 96, "extent 4 is smaller than a header"))
    'a.xtc2: damaged at byte 96: extent 4 is smaller than a header'
    """

    def __init__(self, path: Path | str, offset: int, what: str):
        self.path, self.offset, self.what = Path(path), offset, what
        super().__init__(f"{path}: damaged at byte {offset}: {what}")

    def __reduce__(self) -> tuple[type[CorruptData], tuple[Path, int, str]]:
        return type(self), (self.path, self.offset, self.what)


class PsanaError(SourceError):
    """psana is absent, refused the data, or died on it."""


class ConstantsError(SmalldataError):
    """Calibration constants are absent or do not fit the detector."""


class DatabaseError(ConstantsError):
    """psana's database is not reached, or is down: it has no answer for any detector."""


class NodeFailures(SmalldataError):
    """Too many events failed in the nodes of a batch job."""


class OutputError(SmalldataError):
    """The result cannot be written."""


class WriteFailed(OutputError):
    """What was begun cannot be written on, and is left as it was last whole.

    ``why`` is the system's reason, ``kept`` the number of events that are safe.

    >>> str(WriteFailed(Path("run7.h5"), "No space left on device", 1200))
    'run7.h5 cannot be written: No space left on device'
    """

    def __init__(self, path: Path | str, why: str, kept: int):
        self.path, self.why, self.kept = Path(path), why, kept
        super().__init__(f"{path} cannot be written: {why}")

    def __reduce__(self) -> tuple[type[WriteFailed], tuple[Path, str, int]]:
        return type(self), (self.path, self.why, self.kept)


MOST = 40
"""So many names are told of what exists; a run may have hundreds of EPICS variables."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Near spellings first, then what exists, as the end of an error message.

    >>> did_you_mean("jungfrua", ["jungfrau", "opal"])
    "did you mean 'jungfrau'? There is: jungfrau, opal"
    >>> did_you_mean("x", [])
    'there is none'
    >>> did_you_mean("x", ["jungfrau"])
    'there is: jungfrau'
    >>> did_you_mean("x", map(str, range(1000, 1300)))[-18:]
    '1039, and 260 more'
    """
    names = sorted(known)
    if not names:
        return "there is none"
    near = difflib.get_close_matches(name, names, n=2)
    more = f", and {len(names) - MOST} more" if len(names) > MOST else ""
    there = f"here is: {', '.join(names[:MOST])}{more}"
    return f"did you mean {' or '.join(map(repr, near))}? T{there}" if near else f"t{there}"


def because(error: Exception) -> str:
    """Why the system refused, without number and path.

    >>> because(FileNotFoundError(2, "No such file or directory", "x"))
    'No such file or directory'
    """
    return getattr(error, "strerror", None) or str(error)
