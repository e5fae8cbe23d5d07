"""From the segments' values to a detector's columns: gaps, stacks, derived fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import (
    STRING,
    Array,
    Column,
    Frames,
    Mask,
    Ragged,
    Signal,
    Status,
    take,
)
from smalldata_stream.xtc2.columns import Piece
from smalldata_stream.xtc2.recipes import Place, Recipe
from smalldata_stream.xtc2.stack import stack_segments

OK, MISSING, DAMAGED = int(Status.OK), int(Status.MISSING), int(Status.DAMAGED)
States = NDArray[np.uint8]
Segments = Mapping[tuple[str, str], tuple[int, ...]]
Part = tuple[NDArray[np.int64], dict[str, Piece]]
"""Places in the batch, and the values there by field."""


@dataclass(slots=True)
class Gathered:
    """What is gathered of a batch: per place, the state of each event and the values."""

    events: int
    state: dict[Place, States] = field(default_factory=dict)
    parts: dict[Place, list[Part]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """Status by detector; and by algorithm, which events can have a value."""

    status: Mapping[str, States]
    present: Mapping[tuple[str, str], Mask]


def standing(batch: Gathered, segments: Segments) -> Standing:
    """How the detectors stand in each event.

    A detector is damaged where one of its parts is, OK where one of its algorithms has all
    segments, else missing. An algorithm has values where the detector is OK and all of its
    segments are there.
    """
    status: dict[str, States] = {}
    complete: dict[tuple[str, str], Mask] = {}
    for key, numbers in segments.items():
        states = [batch.state[Place(*key, number)] for number in numbers]
        worst = states[0] if len(states) == 1 else np.maximum.reduce(states)
        complete[key] = worst == OK
        old = status.get(key[0])
        status[key[0]] = worst.copy() if old is None else _together(old, worst)
    present = {key: mask & (status[key[0]] == OK) for key, mask in complete.items()}
    return Standing(status, present)


def _together(one: States, other: States) -> States:
    """Damaged where either is, else OK where either is."""
    both = np.minimum(one, other)
    both[(one == DAMAGED) | (other == DAMAGED)] = DAMAGED
    return both


def assemble(
    signal: Signal,
    recipe: Recipe,
    shape: tuple[int, ...] | None,
    batch: Gathered,
    present: Mask | None,
) -> Column:
    """The column of a field of the data; ``shape`` is that of one segment.

    ``present`` is None where all events have it.
    """
    key = (signal.detector, signal.algorithm)
    pieces = [
        _joined(batch.parts.get(Place(*key, segment), []), recipe, shape, present)
        for segment in recipe.segments
    ]
    if len(pieces) > 1:
        return Column(stack_segments(pieces, recipe.info), present)
    (piece,) = pieces
    if isinstance(piece, list):
        return Column(Frames(piece, shape=shape, dtype=recipe.info.dtype), present)
    return Column(piece, present)


def _joined(
    parts: Sequence[Part],
    recipe: Recipe,
    shape: tuple[int, ...] | None,
    present: Mask | None,
) -> Piece:
    """One segment's values of the events ``present``, in their order."""
    if not parts:
        return nothing(recipe, shape)
    kept = [_kept(events, values[recipe.field], present) for events, values in parts]
    if len(kept) == 1:
        return kept[0][1]
    order = np.argsort(np.concatenate([events for events, _ in kept]), kind="stable")
    pieces = [piece for _, piece in kept]
    if isinstance(pieces[0], list):
        frames = [frame for piece in pieces if isinstance(piece, list) for frame in piece]
        return [frames[i] for i in order.tolist()]
    if isinstance(pieces[0], Ragged):
        ragged = [one for piece in pieces if isinstance(piece, Ragged) for one in piece]
        return Ragged.of([ragged[i] for i in order.tolist()], recipe.info.dtype)
    joined: Array = np.concatenate([np.asarray(piece) for piece in pieces])
    return joined if (np.diff(order) == 1).all() else joined[order]


def _kept(
    events: NDArray[np.int64], piece: Piece, present: Mask | None
) -> tuple[NDArray[np.int64], Piece]:
    if present is None:
        return events, piece
    keep = present[events]
    if keep.all():
        return events, piece
    if isinstance(piece, list):
        kept = [one for one, k in zip(piece, keep.tolist(), strict=True) if k]
        return events[keep], kept
    rest = take(piece, keep)
    assert not isinstance(rest, Frames)
    return events[keep], rest


def no_values(recipe: Recipe, events: Mask) -> Column:
    """A column of gaps for as many events as the mask ``events`` has."""
    piece = nothing(recipe, recipe.info.shape)
    gaps = np.zeros(len(events), bool)
    if isinstance(piece, list):
        return Column(Frames([], shape=recipe.info.shape, dtype=recipe.info.dtype), gaps)
    return Column(piece, gaps)


def nothing(recipe: Recipe, shape: tuple[int, ...] | None) -> Piece:
    """No value, of the kind that the recipe would give."""
    info = recipe.info
    if info.frame:
        return []
    if info.variable:
        return Ragged.of([], info.dtype)
    if shape is None:
        shape = () if info.dtype == STRING else (0,) * info.rank  # a text is one value
    return np.empty((0, *shape), info.dtype)


def derive(recipe: Recipe, inputs: Sequence[Column]) -> Column:
    """A derived column from its inputs, which have the same gaps.

    Raises ValueError or IndexError where their shapes are not those of such a detector.
    """
    assert recipe.derived is not None
    if recipe.derived.compute is None:
        return inputs[0]
    if not len(inputs[0].values):
        return no_values(recipe, inputs[0].mask)
    arrays: list[Array] = []
    for column in inputs:
        values = column.values
        assert not isinstance(values, Ragged)
        arrays.append(values.stack() if isinstance(values, Frames) else values)
    result = recipe.derived.compute(*arrays)
    if recipe.info.frame:
        frames = Frames(list(result), shape=recipe.info.shape, dtype=recipe.info.dtype)
        return Column(frames, inputs[0].present)
    return Column(result, inputs[0].present)
