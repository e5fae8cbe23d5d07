"""What a run on disk holds, from its configurations and its first events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.sources.files_runs import StreamRun
from smalldata_stream.xtc2.describe import TOLD_BY_EVENTS, Description, describe
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import DGRAM_BYTES, FieldType, Service
from smalldata_stream.xtc2.index import ROW
from smalldata_stream.xtc2.names import Names
from smalldata_stream.xtc2.recipes import Kind, Place, kind_of
from smalldata_stream.xtc2.transitions import Sample, sample

FIRST_EVENTS = 100
OTHER_SIZES = 100


def describe_run(parts: Sequence[StreamRun], faults: FaultLog) -> Description:
    """Detectors and recipes of the run that ``parts`` are of."""
    samples: dict[Place, Sample] = {}
    config: dict[str, dict[tuple[str, str], dict[int, Any]]] = {}
    aliases: dict[str, str] = {}
    configurations = []
    owner: dict[Place, StreamRun] = {}
    for part in parts:
        mine = [part.stream.configurations[i] for i in part.configurations.tolist()]
        for configuration in mine:
            for names in configuration.names.values():
                _own(names, part, owner, faults)
        configurations += mine
        for rows in (
            first_rows(part.events),
            first_rows(part.transitions(Service.SLOW_UPDATE)),
            first_rows(part.transitions(Service.BEGIN_STEP)),
        ):
            sample(list(part.stream.blocks(rows, np.arange(len(rows)))), samples)
        for row in _telling(part):
            for names, values in part.stream.values(row):
                _tell(names, values, config, aliases)
        for names, values in _told_by_events(part):
            _tell(names, values, config, aliases)
    one_each = {
        detector: {key: _whole(values) for key, values in fields.items()}
        for detector, fields in config.items()
    }
    return describe(configurations, samples, one_each, aliases)


def first_rows(rows: NDArray[Any]) -> NDArray[Any]:
    """The first rows, and the first of each further size, as far as a few hundred go."""
    _, first = np.unique(rows["size"], return_index=True)
    chosen = np.union1d(
        np.arange(min(FIRST_EVENTS, len(rows))), np.sort(first)[:OTHER_SIZES]
    )
    return rows[chosen]


def _own(
    names: Names, part: StreamRun, owner: dict[Place, StreamRun], faults: FaultLog
) -> None:
    """Note which stream has a segment; two that have it is a fault."""
    if kind_of(names) is not Kind.EVENT:
        return
    place = Place(names.detector, names.algorithm, names.segment)
    first = owner.setdefault(place, part)
    if first is not part:
        what = (
            f"{'.'.join(place[:2])} segment {place.segment} is in {first.stream.path} too; "
            "where both have it, that one is taken"
        )
        faults.add(str(part.stream.path), 0, what, 1)


def _telling(part: StreamRun) -> list[NDArray[Any]]:
    """The datagrams that say how detectors were configured when the first event came."""
    first = part.configuration
    rows = np.array(part.stream.configure_rows[first : first + 1], ROW)
    events = part.events["timestamp"][:1]
    for service in (Service.BEGIN_RUN, Service.BEGIN_STEP):
        more = part.transitions(service)
        if len(events):
            more = more[more["timestamp"] <= events[0]]
        rows = np.concatenate([rows, more])
    return [np.array([row], ROW) for row in rows if row["size"] > DGRAM_BYTES]


def _told_by_events(part: StreamRun) -> Iterator[tuple[Names, dict[str, Any]]]:
    """What events say of the configuration of a detector, from the first that does."""
    missing = {
        (names.detector, names.segment)
        for i in part.configurations.tolist()
        for names in part.stream.configurations[i].names.values()
        if TOLD_BY_EVENTS.get(names.type) in {one.name for one in names.fields}
    }
    for number in range(min(FIRST_EVENTS, len(part.events)) if missing else 0):
        for names, values in part.stream.values(part.events[number : number + 1]):
            field = TOLD_BY_EVENTS.get(names.type, "")
            if field in values and (names.detector, names.segment) in missing:
                missing.remove((names.detector, names.segment))
                yield names, {field: values[field]}
        if not missing:
            return


def _tell(
    names: Names,
    values: Mapping[str, Any],
    config: dict[str, dict[tuple[str, str], dict[int, Any]]],
    aliases: dict[str, str],
) -> None:
    if names.detector == "epicsinfo":
        keys = str(values.get("keys", "")).split(",")
        aliases |= {
            name: str(value).split("\n")[0]
            for name, value in values.items()
            if name != "keys" and keys[:1] == ["epicsname"]
        }
        return
    if kind_of(names) not in (Kind.CONFIG, Kind.EVENT):
        return
    fields = config.setdefault(names.detector, {})
    for one in names.fields:
        if one.type != FieldType.ENUMDICT and one.name in values:
            key = (names.algorithm, one.plain)
            fields.setdefault(key, {})[names.segment] = values[one.name]


def _whole(values: Mapping[int, Any]) -> Any:
    """The one value, or a tuple with one per segment."""
    in_order = tuple(values[segment] for segment in sorted(values))
    return in_order[0] if len(in_order) == 1 else in_order
