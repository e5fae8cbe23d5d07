"""Datagrams that tell, before the first event, what a run holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from smalldata_stream.sources.files_describe import first_rows
from smalldata_stream.sources.files_runs import StreamRun
from smalldata_stream.xtc2.format import Service
from smalldata_stream.xtc2.recipes import Place


class DgramInFile(NamedTuple):
    """One datagram of a stream, by number of the stream."""

    stream: int
    path: str
    offset: int
    size: int


def samples(parts: Sequence[StreamRun]) -> tuple[DgramInFile, ...]:
    """The datagrams that `smalldata_stream.sources.files` looks at, too."""
    return tuple(
        one for stream, part in enumerate(parts) for one in _of_stream(stream, part)
    )


def order(parts: Sequence[StreamRun]) -> tuple[Place, ...]:
    """Every algorithm of every segment in the order of the data."""
    return tuple(
        Place(names.detector, names.algorithm, names.segment)
        for part in parts
        for number in part.configurations
        for names in part.stream.configurations[number].names.values()
    )


def _of_stream(stream: int, part: StreamRun) -> list[DgramInFile]:
    chosen = [
        first_rows(part.transitions(Service.BEGIN_RUN)),
        first_rows(part.transitions(Service.BEGIN_STEP)),
        first_rows(part.transitions(Service.SLOW_UPDATE)),
        first_rows(part.events),
    ]
    rows = np.concatenate(chosen)
    rows = rows[rows["configuration"] == part.configuration]
    return [
        DgramInFile(
            stream,
            str(part.stream.file(int(row["file"])).path.resolve()),
            int(row["offset"]),
            int(row["size"]),
        )
        for row in rows
    ]
