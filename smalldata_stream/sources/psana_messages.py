"""What psana's process is told, and what it tells, beside the batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import BatchLimits, Signal
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.psana_samples import DgramInFile
from smalldata_stream.xtc2.recipes import Place

UNDER_WAY = 2
"""Batches that the child may send before the first is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Open a run: number ``index`` of a file, or the one in a directory.

    ``order`` is that of the detectors, ``samples`` are looked at for shapes; ``stop`` is
    the number of events to read, where it is known that more kill psana; ``times`` are
    those of the events, where every stream has them in order and none twice.
    """

    index: int = 0
    file: str | None = None
    directory: str | None = None
    exp: str = ""
    number: int = 0
    begin: int = 0
    source: str = ""
    order: tuple[Place, ...] = ()
    samples: tuple[DgramInFile, ...] = ()
    stop: int | None = None
    times: NDArray[np.uint64] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Read these signals of the events ``skip`` to ``stop``; then may come a later part."""

    signals: Sequence[Signal]
    detectors: Sequence[str]
    limits: BatchLimits
    skip: int = 0
    stop: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantsJob:
    """Ask psana's database for the constants of detectors, by name and long name.

    ``cache`` is the file in which psana keeps what it has fetched, instead of the database.
    """

    exp: str
    run: int
    long_names: Mapping[str, str]
    cache: str = ""


@dataclass(frozen=True, slots=True)
class ConstantsFound:
    """What psana's database has, by detector: (value, where it is from) per constant."""

    constants: Mapping[str, Mapping[str, tuple[Any, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryJob:
    """Read a geometry text of psana, or one of those that come with it, by name."""

    text: str = ""
    standard: str = ""


@dataclass(frozen=True, slots=True)
class GeometryFound:
    """Position x, y, z of each pixel, and its row and column in the image."""

    arrays: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """The run; None where psana finds no further one.

    ``computed`` has the fields that only psana's classes can make.
    """

    info: RunInfo | None
    computed: Collection[Signal] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """psana raised an exception before there was anything to read.

    ``down`` says that its database was not reached, whatever it would have been asked for.
    """

    what: str
    down: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """All batches of a request have been sent.

    ``gaps`` has in how many datagrams something was not as it was said to be, ``lost`` how
    many events could not be given; ``error`` is what psana raised, where it did not come to
    the end by itself.
    """

    gaps: Mapping[str, int]
    lost: Mapping[str, int]
    error: str | None
