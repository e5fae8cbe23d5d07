"""What a run holds, told by psana's objects: Configure, and the first events.

psana's containers are turned into the words of `smalldata_stream.xtc2`, whose `describe`
names, stacks and derives the fields, so that both readers call a thing by one name.
"""

# ruff: noqa: SLF001 (psana's containers have nothing but private members to ask)
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from smalldata_stream.batch import Signal
from smalldata_stream.xtc2.describe import TOLD_BY_EVENTS, Description, describe
from smalldata_stream.xtc2.format import FieldType
from smalldata_stream.xtc2.names import ENUM_SEPARATOR, Configuration, Field, Names
from smalldata_stream.xtc2.recipes import Kind, Place, kind_of
from smalldata_stream.xtc2.transitions import Sample

_L1_ACCEPT = 12
SERVICES = {Kind.SLOW: 10, Kind.STEP: 6, Kind.EVENT: _L1_ACCEPT}
"""The datagrams that bring values: SlowUpdate, BeginStep, L1Accept."""


class Layout:
    """Where every field of a run is in psana's objects, and what the run holds."""

    def __init__(self, configures: Sequence[Any], order: Sequence[Place]):
        """``order`` is that of the data, which psana's containers do not keep."""
        place_of = {place: i for i, place in enumerate(order)}
        self._names = [
            sorted(_names(each), key=lambda names: place_of.get(_place(names), len(order)))
            for each in configures
        ]
        read = {Kind.CONFIG, Kind.EVENT}
        told = {
            names.detector: None
            for there in self._names
            for names in there
            if kind_of(names) in read
        }
        self._config = _configuration(configures, told)
        self._aliases = _aliases(configures)
        self._samples: dict[Place, Sample] = defaultdict(Sample)
        self.streams: dict[Place, list[int]] = defaultdict(list)
        for stream, there in enumerate(self._names):
            for names in there:
                self.streams[_place(names)].append(stream)
        self._paths: dict[tuple[str, str, str], str] = {
            (names.detector, names.algorithm, bare(one)): _path(one)
            for there in self._names
            for names in there
            for one in names.fields
        }

    def look(self, service: int, dgrams: Sequence[Any]) -> None:
        """Learn shapes and enums from one event or transition; what is damaged has none."""
        for dgram, there in zip(dgrams, self._names, strict=True):
            for names in there if dgram is not None and not dgram._xtc.damage else ():
                if SERVICES.get(kind_of(names)) == service:
                    place = _place(names)
                    container = contribution([dgram], place, [0])
                    if container is not None and not container._xtc.damage:
                        _look(names, container, self._samples[place])
                        self._tell(names, container)

    def _tell(self, names: Names, container: Any) -> None:
        """Take what an event says of the configuration of a detector, of one segment."""
        field = TOLD_BY_EVENTS.get(names.type)
        known = self._config.setdefault(names.detector, {}) if field else {}
        key = (names.algorithm, field or "")
        if field and key not in known and hasattr(container, field):
            known[key] = np.array(getattr(container, field))

    def describe(self) -> Description:
        """The detectors of the run and a recipe for each signal, as far as is known."""
        configurations = [
            Configuration({names.id: names for names in there}) for there in self._names
        ]
        return describe(configurations, self._samples, self._config, self._aliases)

    def path(self, signal: Signal) -> str:
        """Where the value of a field is in its algorithm's container."""
        return self._paths[signal]


def _place(names: Names) -> Place:
    return Place(names.detector, names.algorithm, names.segment)


def bare(one: Field) -> str:
    """The name of a field without that of its enum."""
    return one.name.partition(ENUM_SEPARATOR)[0] if _is_enum(one) else one.name


def _path(one: Field) -> str:
    return f"{bare(one)}.value" if _is_enum(one) else one.name


def _is_enum(one: Field) -> bool:
    return one.type == FieldType.ENUMVAL


def getter(path: str) -> Callable[[Any], Any]:
    """A function that takes ``path`` from a container of psana's.

    Points in a name make nested containers; a number among them makes a dict.
    """
    pieces = path.split(".")
    if not any(piece.isdigit() for piece in pieces):
        return attrgetter(path)

    def get(container: Any) -> Any:
        for piece in pieces:
            if isinstance(container, dict):
                container = container.get(int(piece))
            else:
                container = getattr(container, piece)
        return container

    return get


def contribution(dgrams: Sequence[Any], place: Place, streams: Sequence[int]) -> Any:
    """The container of one algorithm of one segment; None where it was not sent."""
    for stream in streams:
        try:
            return getattr(getattr(dgrams[stream], place[0])[place[2]], place[1])
        except (AttributeError, KeyError):
            continue
    return None


def _names(configure: Any) -> Iterator[Names]:
    number = 0
    for detector, segments in vars(configure.software).items():
        for segment, declared in segments.items():
            for algorithm, container in vars(declared).items():
                if algorithm in ("dettype", "detid"):
                    continue
                yield Names(
                    id=number,
                    detector=detector,
                    type=declared.dettype,
                    serial=declared.detid,
                    algorithm=algorithm,
                    version=container.version,
                    segment=segment,
                    fields=tuple(_fields(container)),
                )
                number += 1


def _fields(names: Any, prefix: str = "") -> Iterator[Field]:
    for name, below in _inside(names):
        if not prefix and name in ("software", "version"):
            continue
        if hasattr(below, "_type"):
            yield Field(f"{prefix}{name}", FieldType(below._type), below._rank, -1)
        elif isinstance(below, dict) or hasattr(below, "__dict__"):
            yield from _fields(below, f"{prefix}{name}.")


def _inside(container: Any) -> list[tuple[Any, Any]]:
    return list((container if isinstance(container, dict) else vars(container)).items())


def _look(names: Names, container: Any, sample: Sample) -> None:
    for one in names.fields:
        try:
            if _is_enum(one):
                words = getter(bare(one))(container).names
                enum = one.name.partition(ENUM_SEPARATOR)[2]
                sample.enums[enum] = {
                    int(value): str(word) for value, word in words.items()
                }
            elif one.rank and one.type < FieldType.CHARSTR:
                sample.note(one.name, getter(one.name)(container).shape)
        except AttributeError:
            continue


def _configuration(
    configures: Sequence[Any], detectors: Iterable[str]
) -> dict[str, dict[tuple[str, str], Any]]:
    """What Configure says of each detector: one value, or one per segment."""
    found: dict[str, dict[tuple[str, str], dict[int, Any]]] = {}
    for configure in configures:
        for detector in detectors:
            for segment, algorithms in getattr(configure, detector, {}).items():
                for algorithm, container in vars(algorithms).items():
                    for name, value in _values(container) if algorithm != "_xtc" else ():
                        values = found.setdefault(detector, {})
                        values.setdefault((algorithm, name), {})[segment] = value
    return {
        detector: {key: _one_or_all(values) for key, values in fields.items()}
        for detector, fields in found.items()
    }


def _values(container: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in _inside(container):
        if name == "_xtc":
            continue
        if hasattr(value, "names") and hasattr(value, "value"):
            yield f"{prefix}{name}", value.value
        elif isinstance(value, dict) or hasattr(value, "__dict__"):
            yield from _values(value, f"{prefix}{name}.")
        else:
            yield (
                f"{prefix}{name}",
                value.copy() if isinstance(value, np.ndarray) else value,
            )


def _one_or_all(values: Mapping[int, Any]) -> Any:
    ordered = tuple(values[segment] for segment in sorted(values))
    return ordered[0] if len(ordered) == 1 else ordered


def _aliases(configures: Sequence[Any]) -> dict[str, str]:
    """The PV behind each EPICS field, where Configure has the table."""
    found: dict[str, str] = {}
    for configure in configures:
        for segment in getattr(configure, "epicsinfo", {}).values():
            values = dict(_values(segment.epicsinfo))
            keys = values.pop("keys", "")
            if keys.split(",")[0] == "epicsname":
                found |= {name: value.split("\n")[0] for name, value in values.items()}
    return found
