"""From configurations and the first events to what a run holds: detectors and recipes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from smalldata_stream.batch import STRING, Signal
from smalldata_stream.run import DetectorInfo, FieldInfo
from smalldata_stream.xtc2.columns import dtype_of
from smalldata_stream.xtc2.derived import derived_of
from smalldata_stream.xtc2.format import FieldType
from smalldata_stream.xtc2.names import ENUM_SEPARATOR, Configuration, Field, Names
from smalldata_stream.xtc2.recipes import Kind, Place, Recipe, kind_of
from smalldata_stream.xtc2.transitions import Sample

FRAME_BYTES = 65536

TOLD_BY_EVENTS: Mapping[str, str] = {"usdusb": "_name"}
"""Fields by type of detector that are of its configuration, though each event has them.

They are taken from the first event, so that they are known before it is reduced.
"""


VARYING = re.compile(r"hsd\.chan\d\d")
"""Type and field of what varies in length, though many events may have the same.

Events without peaks, of which a run may begin with thousands, are all of one length.
"""


@dataclass(frozen=True, slots=True)
class Description:
    """The detectors of a run, and a recipe for every signal.

    ``raw`` has those of the data alone; a derived field may have the name of one of them.
    ``segments`` is by detector and algorithm, for those of events.
    """

    detectors: Mapping[str, DetectorInfo]
    raw: Mapping[Signal, Recipe]
    recipes: Mapping[Signal, Recipe]
    segments: Mapping[tuple[str, str], tuple[int, ...]]


def unknown(description: Description) -> set[Signal]:
    """The signals of events whose shape the events looked at have not shown."""
    return {
        signal
        for signal, recipe in description.raw.items()
        if recipe.kind is Kind.EVENT and recipe.info.rank and recipe.info.shape is None
        if not recipe.info.variable and recipe.info.dtype != STRING
    }


def completed(old: Description, new: Description) -> Description:
    """``old``, with the shapes that only the events behind ``new`` have shown."""

    def chosen(mine: Mapping[Signal, Recipe], theirs: Mapping[Signal, Recipe]) -> Any:
        return {
            signal: theirs.get(signal, recipe) if recipe.info.shape is None else recipe
            for signal, recipe in mine.items()
        }

    recipes = chosen(old.recipes, new.recipes)
    detectors = {
        name: replace(
            info, fields={key: recipes[Signal(name, *key)].info for key in info.fields}
        )
        for name, info in old.detectors.items()
    }
    return replace(old, detectors=detectors, raw=chosen(old.raw, new.raw), recipes=recipes)


@dataclass(slots=True)
class _Seen:
    """What is known of one field of one segment."""

    field: Field
    shapes: list[tuple[int, ...]]
    enum: Mapping[int, str] | None = None
    varies: bool = False
    alias: str = ""

    @property
    def variable(self) -> bool:
        text = self.field.type == FieldType.CHARSTR
        several = self.varies or len(self.shapes) > 1
        return not text and self.field.rank == 1 and several

    @property
    def shape(self) -> tuple[int, ...] | None:
        if self.field.type == FieldType.CHARSTR or not self.field.rank:
            return ()
        return self.shapes[0] if self.shapes and not self.variable else None


@dataclass(slots=True)
class _Algorithm:
    """What is known of one algorithm of a detector."""

    names: Names
    kind: Kind
    segments: dict[int, dict[str, _Seen]] = field(default_factory=dict)


def describe(
    configurations: Iterable[Configuration],
    samples: Mapping[Place, Sample],
    config: Mapping[str, Mapping[tuple[str, str], Any]],
    aliases: Mapping[str, str],
) -> Description:
    """What a run of these configurations holds.

    ``samples`` has the shapes met in the first events, ``config`` the values of the
    configuration by detector, ``aliases`` the name of the PV behind an EPICS field.
    """
    configurations = tuple(configurations)
    found = _algorithms(configurations, samples, aliases)
    serials = _serials(configurations)
    raw: dict[Signal, Recipe] = {}
    derived: dict[Signal, Recipe] = {}
    for (detector, name), algorithm in found.items():
        for output, recipe in _recipes(algorithm):
            raw.setdefault(Signal(detector, name, output), recipe)
        derived |= _derived(detector, name, algorithm, raw)
    recipes = raw | derived
    detectors: dict[str, DetectorInfo] = {}
    for (detector, name), algorithm in found.items():
        first = algorithm.names
        old = detectors.get(detector) or DetectorInfo(
            name=detector,
            type=first.type,
            fields={},
            serial=serials[detector],
            segments=(),
            config=config.get(detector, {}),
        )
        fields = {
            (signal.algorithm, signal.field): recipe.info
            for signal, recipe in recipes.items()
            if signal[:2] == (detector, name)
        }
        detectors[detector] = replace(
            old,
            fields={**old.fields, **fields},
            versions={**old.versions, name: first.version},
            segments=tuple(sorted({*old.segments, *algorithm.segments})),
        )
    segments = {
        key: tuple(sorted(one.segments))
        for key, one in found.items()
        if one.kind is Kind.EVENT
    }
    return Description(detectors, raw, recipes, segments)


def _algorithms(
    configurations: Iterable[Configuration],
    samples: Mapping[Place, Sample],
    aliases: Mapping[str, str],
) -> dict[tuple[str, str], _Algorithm]:
    found: dict[tuple[str, str], _Algorithm] = {}
    for configuration in configurations:
        for names in configuration.names.values():
            kind = kind_of(names)
            if kind in (Kind.NONE, Kind.CONFIG):
                continue
            key = (names.detector, names.algorithm)
            algorithm = found.setdefault(key, _Algorithm(names, kind))
            fields = algorithm.segments.setdefault(names.segment, {})
            sample = samples.get(Place(*key, names.segment), Sample())
            for name, seen in _seen(names, sample):
                seen.alias = aliases.get(name, "") if kind is Kind.SLOW else ""
                fields.setdefault(name, seen)
    return found


def _serials(configurations: Iterable[Configuration]) -> dict[str, str]:
    """Serial numbers of the segments, joined as the calibration database knows them."""
    found: dict[str, dict[int, str]] = {}
    for configuration in configurations:
        for names in configuration.names.values():
            found.setdefault(names.detector, {}).setdefault(names.segment, names.serial)
    return {
        detector: "_".join(serial for _, serial in sorted(of_segments.items()))
        for detector, of_segments in found.items()
    }


def _seen(names: Names, sample: Sample) -> Iterator[tuple[str, _Seen]]:
    for one in names.fields:
        if one.type == FieldType.ENUMDICT:
            continue
        enum = one.name.rpartition(ENUM_SEPARATOR)[2]
        words = sample.enums.get(enum) if one.type == FieldType.ENUMVAL else None
        varies = VARYING.fullmatch(f"{names.type}.{one.plain}") is not None
        yield one.plain, _Seen(one, sample.shapes.get(one.name, []), words, varies)


def _recipes(algorithm: _Algorithm) -> Iterator[tuple[str, Recipe]]:
    """Output field and recipe for each field of the segments."""
    if algorithm.kind is not Kind.EVENT:
        for segment, fields in sorted(algorithm.segments.items()):
            for name, seen in fields.items():
                yield name, _single(name, seen, segment, algorithm.kind)
        return
    names = list(dict.fromkeys(n for f in algorithm.segments.values() for n in f))
    for name in names:
        per_segment = {
            segment: fields[name]
            for segment, fields in sorted(algorithm.segments.items())
            if name in fields
        }
        if len(algorithm.segments) == 1:
            ((segment, seen),) = per_segment.items()
            yield name, _single(name, seen, segment, algorithm.kind)
        elif _stackable(algorithm, per_segment):
            yield name, _stacked(name, per_segment, algorithm.kind)
        else:
            for segment, seen in per_segment.items():
                recipe = _single(name, seen, segment, algorithm.kind)
                yield f"{name}_{segment}", recipe


def _single(name: str, seen: _Seen, segment: int, kind: Kind) -> Recipe:
    text = seen.field.type == FieldType.CHARSTR
    dtype = dtype_of(seen.field.type)
    info = FieldInfo(
        dtype=dtype,
        rank=0 if text else seen.field.rank,
        shape=seen.shape,
        variable=seen.variable,
        frame=kind is Kind.EVENT and is_large(dtype, seen.shape),
        long_name=seen.alias,
        enum=seen.enum,
    )
    shape = None if text or seen.variable else seen.shape
    return Recipe(info=info, kind=kind, field=name, segments=(segment,), shape=shape)


def _stackable(algorithm: _Algorithm, per_segment: Mapping[int, _Seen]) -> bool:
    if len(per_segment) < len(algorithm.segments):
        return False
    kinds = {(seen.field.type, seen.field.rank) for seen in per_segment.values()}
    shapes = {seen.shape for seen in per_segment.values()} - {None}
    varies = any(seen.variable for seen in per_segment.values())
    return len(kinds) == 1 and len(shapes) <= 1 and not varies


def _stacked(name: str, per_segment: Mapping[int, _Seen], kind: Kind) -> Recipe:
    seen = next((s for s in per_segment.values() if s.shape is not None), None)
    first = seen or next(iter(per_segment.values()))
    one = _single(name, first, 0, kind)
    shape = stacked_shape(first.shape, len(per_segment))
    rank = one.info.rank + 1 if shape is None else len(shape)
    large = is_large(one.info.dtype, shape)
    info = replace(one.info, rank=rank, shape=shape, frame=large)
    return replace(one, info=info, segments=tuple(per_segment))


def stacked_shape(shape: tuple[int, ...] | None, segments: int) -> tuple[int, ...] | None:
    """Shape of the values of several segments: a leading 1 becomes their number.

    >>> stacked_shape((1, 512, 1024), 8), stacked_shape((4,), 2), stacked_shape((), 3)
    ((8, 512, 1024), (2, 4), (3,))
    """
    if shape is None:
        return None
    return (segments, *(shape[1:] if shape[:1] == (1,) else shape))


def is_large(dtype: np.dtype[Any], shape: tuple[int, ...] | None) -> bool:
    """Whether values come as `Frames`.

    >>> is_large(np.dtype(np.uint16), (512, 1024)), is_large(np.dtype(np.uint16), None)
    (True, False)
    """
    if not shape or dtype == STRING:
        return False
    return dtype.itemsize * prod(shape) >= FRAME_BYTES


def _derived(
    detector: str,
    name: str,
    algorithm: _Algorithm,
    recipes: Mapping[Signal, Recipe],
) -> dict[Signal, Recipe]:
    """The recipes of what is computed from the fields of one algorithm."""
    made: dict[Signal, Recipe] = {}
    if algorithm.kind is not Kind.EVENT:
        return made
    first = algorithm.names
    raw = {
        signal.field: recipe
        for signal, recipe in recipes.items()
        if signal[:2] == (detector, name)
    }
    for derived in derived_of(first.type, name, first.version, list(raw)):
        inputs = derived.inputs_among(list(raw))
        if not inputs:
            continue
        infos = [raw[one].info for one in inputs]
        info = derived.describe(infos)
        if info is None:
            continue
        if info.shape is not None:
            info = replace(info, frame=is_large(info.dtype, info.shape))
        signals: Sequence[Signal] = [Signal(detector, name, one) for one in inputs]
        made[Signal(detector, name, derived.field)] = Recipe(
            info=info, kind=Kind.EVENT, derived=derived, inputs=tuple(signals)
        )
    return made
