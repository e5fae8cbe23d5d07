"""What is wanted of each Names block of a configuration, for one choice of signals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from smalldata_stream.batch import STRING, Signal
from smalldata_stream.xtc2.columns import Want, dtype_of
from smalldata_stream.xtc2.format import Bytes
from smalldata_stream.xtc2.layout import Layouts
from smalldata_stream.xtc2.names import Configuration, Names
from smalldata_stream.xtc2.recipes import Kind, Place, Recipe, kind_of
from smalldata_stream.xtc2.walk import Sent

Settled: TypeAlias = tuple[str, str, str, tuple[int, ...]]
"""Detector, algorithm, field, and the segments that have one shape."""


def settled_of(signal: Signal, recipe: Recipe) -> Settled:
    """Under what the shape is known that the first value of a signal has told.

    Segments that are not stacked may differ.
    """
    return signal.detector, signal.algorithm, recipe.field, recipe.segments


@dataclass(slots=True)
class Target:
    """What is wanted of one names id; ``impossible`` where it has not got it."""

    place: Place
    layouts: Layouts
    wanted: dict[str, Want]
    keys: dict[str, Settled] = field(default_factory=dict)
    impossible: bool = False


@dataclass(slots=True)
class Targets:
    """The targets of each configuration, made when it is first met.

    ``raw`` has the recipes of the fields that are to be read; ``places`` are the segments
    whose state is followed; ``settled`` has the shapes that only a first value told.
    """

    raw: Mapping[Signal, Recipe]
    places: frozenset[Place]
    settled: dict[Settled, tuple[int, ...]] = field(default_factory=dict)
    _made: dict[int, tuple[Configuration, dict[int, Target]]] = field(default_factory=dict)

    def of(self, configuration: Configuration) -> dict[int, Target]:
        """The targets of a configuration by names id."""
        key = id(configuration)
        if key not in self._made:
            targets = {
                names.id: self._target(names)
                for names in configuration.names.values()
                if kind_of(names) is Kind.EVENT
                and Place(names.detector, names.algorithm, names.segment) in self.places
            }
            self._made[key] = (configuration, targets)
        return self._made[key][1]

    def _target(self, names: Names) -> Target:
        place = Place(names.detector, names.algorithm, names.segment)
        target = Target(place, Layouts(names), {})
        fields = {one.plain: i for i, one in enumerate(names.fields)}
        for signal, recipe in self.raw.items():
            mine = signal[:2] == place[:2] and place.segment in recipe.segments
            if not mine or recipe.field in target.wanted:
                continue
            index = fields.get(recipe.field)
            if index is None or dtype_of(names.fields[index].type) != recipe.info.dtype:
                target.impossible = True
                continue
            target.keys[recipe.field] = settled_of(signal, recipe)
            target.wanted[recipe.field] = Want(
                place=index,
                dtype=recipe.info.dtype,
                shape=recipe.shape,
                frame=recipe.info.frame,
                variable=recipe.info.variable,
            )
        return target

    def weight(self, configurations: Iterable[Configuration]) -> tuple[int, bool]:
        """Bytes per event of what is wanted of a stream; whether some of it varies."""
        fixed: dict[tuple[Place, str], int] = {}
        varies = False
        for configuration in configurations:
            for target in self.of(configuration).values():
                for name, want in target.wanted.items():
                    fixed[target.place, name] = want.nbytes
                    varies |= want.shape is None and want.dtype != STRING
        return sum(fixed.values()), varies

    def settle(self, buffer: Bytes, target: Target, sent: Sent) -> None:
        """Take the first shape met where none was known before the first event."""
        for name, want in target.wanted.items():
            if want.shape is not None or want.variable or want.dtype == STRING:
                continue
            key = target.keys[name]
            if key not in self.settled:
                shape = target.layouts.first_shape(buffer, sent, want.place)
                if shape is None:
                    continue
                self.settled[key] = shape
            target.wanted[name] = replace(want, shape=self.settled[key])
