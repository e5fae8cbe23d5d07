"""Cut streams into runs, and put the streams' runs that are one run together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.sources.files_stream import NAME, Stream
from smalldata_stream.xtc2.format import Service
from smalldata_stream.xtc2.index import ROW


@dataclass(slots=True)
class StreamRun:
    """One run of one stream: index rows of its events and of all else in it.

    ``told`` is the experiment and number that its BeginRun says, ``begin`` the timestamp of
    its first datagram, ``configuration`` the number of the one in force then, ``place`` the
    number of runs before it in the stream.
    """

    stream: Stream
    events: NDArray[Any]
    others: NDArray[Any]
    told: tuple[str, int] | None
    begin: int
    configuration: int
    place: int = 0

    @classmethod
    def of(cls, stream: Stream, rows: NDArray[Any]) -> StreamRun:
        """The run that ``rows`` are."""
        is_event = rows["service"] >= Service.L1_ACCEPT_END_OF_BATCH
        others = rows[~is_event]
        begin = int(rows["timestamp"][0]) if len(rows) else 0
        configuration = int(rows["configuration"][0]) if len(rows) else 0
        told = told_by(stream, others)
        return cls(stream, rows[is_event], others, told, begin, configuration)

    def transitions(self, service: Service) -> NDArray[Any]:
        """Rows of one kind of transition."""
        found: NDArray[Any] = self.others[self.others["service"] == service]
        return found

    @property
    def rows(self) -> NDArray[Any]:
        """All rows: first those of the transitions, then those of the events."""
        return np.concatenate([self.others, self.events])

    @property
    def configurations(self) -> NDArray[np.uint16]:
        """Numbers of the configurations that its rows refer to."""
        numbers = [np.unique(rows["configuration"]) for rows in (self.others, self.events)]
        return np.union1d(*numbers)


def cut_runs(stream: Stream) -> list[StreamRun]:
    """The runs in a stream, in the order of the file; takes the rows from the stream.

    A run begins with BeginRun, or with the first datagram where there is none, or with a
    Configure after an EndRun. A Configure within a run belongs to it.
    """
    rows = stream.rows
    service = rows["service"]
    events_before = np.concatenate(
        [[0], np.cumsum(service >= Service.L1_ACCEPT_END_OF_BATCH, dtype=np.int64)]
    )
    cuts, begun, ended = [0], False, False
    marks = (Service.CONFIGURE, Service.BEGIN_RUN, Service.END_RUN)
    for at in np.flatnonzero(np.isin(service, marks)).tolist():
        if service[at] == Service.END_RUN:
            ended = True
            continue
        has_events = events_before[at] > events_before[cuts[-1]]
        begins = service[at] == Service.BEGIN_RUN and (begun or has_events)
        if begins or (service[at] == Service.CONFIGURE and ended):
            cuts.append(at)
            begun = ended = False
        begun |= bool(service[at] == Service.BEGIN_RUN)
    parts = [rows[a:b] for a, b in zip(cuts, [*cuts[1:], len(rows)], strict=True)]
    runs = [StreamRun.of(stream, part) for part in parts if len(part)]
    stream.rows = rows[:0].copy()
    full = [
        run for run in runs if len(run.events) or len(run.transitions(Service.BEGIN_RUN))
    ]
    found = full or runs[:1]
    return [replace(run, place=place) for place, run in enumerate(found)]


def told_by(stream: Stream, rows: NDArray[Any]) -> tuple[str, int] | None:
    """Experiment and number as the run's BeginRun says them."""
    for row in rows[rows["service"] == Service.BEGIN_RUN]:
        for names, values in stream.values(np.array([row], ROW)):
            if names.detector == "runinfo" and {"expt", "runnum"} <= set(values):
                return str(values["expt"]), int(values["runnum"])
    return None


def name_says(stream: Stream) -> tuple[str, int] | None:
    """Experiment and run number as the file name says them."""
    match = NAME.fullmatch(stream.path.name)
    return (match["exp"], int(match["run"])) if match else None


def pair_runs(streams: Sequence[Stream]) -> list[list[StreamRun]]:
    """For each run, its part of every stream that has it, runs in order of time.

    Runs go together that say the same experiment and number; one that says nothing goes
    with those of its place in the other streams.
    """
    per_stream = [cut_runs(stream) for stream in streams]
    by_place: dict[int, tuple[str, int]] = {}
    for runs in per_stream:
        for place, run in enumerate(runs):
            if run.told is not None:
                by_place.setdefault(place, run.told)
    together: dict[tuple[Any, int], list[StreamRun]] = {}
    for runs in per_stream:
        seen: dict[Any, int] = {}
        for place, run in enumerate(runs):
            key: Any = run.told or by_place.get(place, place)
            seen[key] = seen.get(key, 0) + 1
            together.setdefault((key, seen[key]), []).append(run)
    return sorted(together.values(), key=begin_of)


def begin_of(parts: Sequence[StreamRun]) -> int:
    """Timestamp of the first datagram of a run."""
    return min(part.begin for part in parts)


def identity(parts: Sequence[StreamRun]) -> tuple[str, int]:
    """Experiment and number: from BeginRun, else from the file name, else none."""
    told = [part.told for part in parts if part.told is not None]
    names = [said for part in parts if (said := name_says(part.stream))]
    return (told + names + [("", 0)])[0]
