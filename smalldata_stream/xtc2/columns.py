"""The values of one names id as columns: fixed shapes, frames, variable lengths, text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import STRING, Array, Mask, Ragged
from smalldata_stream.xtc2.format import DTYPES, Bytes, FieldType, Offsets, gather
from smalldata_stream.xtc2.layout import Group, Layouts
from smalldata_stream.xtc2.names import Names
from smalldata_stream.xtc2.walk import Problem, Sent

Piece: TypeAlias = Array | list[Array] | Ragged
"""Values of one segment: stacked, one view per event, or of variable length."""

WIDEST_SPAN, WIDEST_HOLE = 65536, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """How one field of a segment is to come.

    ``shape`` is that of one event, None where it varies (rank 1) or is text; ``nbytes`` are
    those of one event's value, 0 where they vary.
    """

    place: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...] | None
    frame: bool = False
    variable: bool = False
    nbytes: int = attribute(init=False)

    def __post_init__(self) -> None:
        values = prod(self.shape) if self.shape is not None else 0
        object.__setattr__(self, "nbytes", self.dtype.itemsize * values)


@dataclass(slots=True)
class Taken:
    """Values of the ShapesData at which ``good`` (n,), by field."""

    good: Mask
    values: dict[str, Piece]
    problems: list[Problem]


def take_fields(
    buffer: Bytes, layouts: Layouts, sent: Sent, wanted: Mapping[str, Want]
) -> Taken:
    """The wanted fields of all of ``sent``; what has another shape is not good."""
    groups, bad, problems = layouts.split(buffer, sent)
    names = layouts.names
    good = ~bad
    for group in groups:
        fits = _fits(names, group, wanted)
        if fits is not None and not fits.all():
            good[group.members[~fits]] = False
            problems.append(_other_shape(names, group, wanted, fits))
    if not good.all():
        groups = [g for g in (_only(group, good) for group in groups) if len(g.members)]
    parts = [_values(buffer, names, group, wanted) for group in groups]
    if len(groups) == 1:
        return Taken(good, parts[0], problems)
    order = np.argsort(
        np.concatenate([np.empty(0, np.int64), *(group.members for group in groups)])
    )
    values = {
        field: _merged([part[field] for part in parts], order, want)
        for field, want in wanted.items()
    }
    return Taken(good, values, problems)


def _fits(names: Names, group: Group, wanted: Mapping[str, Want]) -> Mask | None:
    """Which members have the shapes that are wanted; None where all do."""
    fits: Mask | None = None
    for want in wanted.values():
        if want.shape is None:
            continue
        shape = group.shape(names, want.place)
        if isinstance(shape, tuple):
            if shape == want.shape:
                continue
            return np.zeros(len(group.members), bool)
        same: Mask = (shape == np.array(want.shape, np.uint32)).all(axis=1)
        fits = same if fits is None else fits & same
    return fits


def _other_shape(
    names: Names, group: Group, wanted: Mapping[str, Want], fits: Mask
) -> Problem:
    first = int(np.argmin(fits))
    told = []
    for field, want in wanted.items():
        if want.shape is None:
            continue
        shape = group.shape(names, want.place)
        there = shape if isinstance(shape, tuple) else tuple(shape[first].tolist())
        if there != want.shape:
            told.append(f"{field} of another shape than {want.shape}")
    what = f"{names.detector}.{names.algorithm}: {', '.join(told)}"
    return Problem(what, int((~fits).sum()), int(group.starts[first]))


def _only(group: Group, good: Mask) -> Group:
    keep = good[group.members]
    if keep.all():
        return group
    return Group(
        group.members[keep],
        group.starts[keep],
        group.layout,
        None if group.places is None else group.places[keep],
        None if group.words is None else group.words[keep],
    )


def _values(
    buffer: Bytes, names: Names, group: Group, wanted: Mapping[str, Want]
) -> dict[str, Piece]:
    values: dict[str, Piece] = {}
    dense: list[tuple[str, Want]] = []
    for field, want in wanted.items():
        if want.frame:
            values[field] = _frames(buffer, group.where(want.place), want)
        elif want.shape is None:
            values[field] = _variable(buffer, names, group, want)
        else:
            dense.append((field, want))
    if group.layout is None:
        for field, want in dense:
            raw = gather(buffer, group.where(want.place), want.nbytes)
            values[field] = _typed(raw, 0, want)
        return values
    for span in _spans(dense, group.layout.places):
        begin = group.layout.places[span[0][1].place]
        end = max(group.layout.places[want.place] + want.nbytes for _, want in span)
        raw = gather(buffer, group.starts + begin, end - begin)
        for field, want in span:
            values[field] = _typed(raw, group.layout.places[want.place] - begin, want)
    return values


def _spans(
    dense: Sequence[tuple[str, Want]], places: Sequence[int]
) -> list[list[tuple[str, Want]]]:
    """Fields that lie close enough to be fetched together."""
    spans: list[list[tuple[str, Want]]] = []
    begin = end = -1
    for item in sorted(dense, key=lambda item: places[item[1].place]):
        start = places[item[1].place]
        stop = start + item[1].nbytes
        near = start - end <= WIDEST_HOLE and stop - begin <= WIDEST_SPAN
        if spans and near:
            spans[-1].append(item)
        else:
            spans.append([item])
            begin = start
        end = stop
    return spans


def _typed(raw: Bytes, start: int, want: Want) -> Array:
    """The values of one field from rows of bytes, aligned and contiguous."""
    assert want.shape is not None
    n, width = raw.shape
    if width == want.nbytes:
        return raw.reshape(-1).view(want.dtype).reshape(n, *want.shape)
    if not n or not want.nbytes:
        return np.empty((n, *want.shape), want.dtype)
    if want.shape == ():
        one: Array = np.ndarray((n,), want.dtype, raw, start, (width,))
        return one.copy()
    part = np.ascontiguousarray(raw[:, start : start + want.nbytes])
    return part.reshape(-1).view(want.dtype).reshape(n, *want.shape)


def _frames(buffer: Bytes, starts: Offsets, want: Want) -> list[Array]:
    """Views of the buffer, one per event; no byte is copied."""
    assert want.shape is not None
    return [np.ndarray(want.shape, want.dtype, buffer, start) for start in starts.tolist()]


def _variable(buffer: Bytes, names: Names, group: Group, want: Want) -> Piece:
    """Text, or values of variable length."""
    starts = group.where(want.place)
    shape = group.shape(names, want.place)
    item = names.fields[want.place].itemsize
    if isinstance(shape, tuple):
        count = prod(shape)
        raw = gather(buffer, starts, count * item)
        lengths = np.full(len(starts), count)
    else:
        lengths = shape.astype(np.int64).prod(axis=1)
        ends = (starts + lengths * item).tolist()
        parts = [buffer[a:b].tobytes() for a, b in zip(starts.tolist(), ends, strict=True)]
        if want.dtype == STRING:
            return np.array([text_of(part) for part in parts], STRING)
        raw = np.frombuffer(b"".join(parts), np.uint8)
    if want.dtype == STRING:
        return texts(raw)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged(raw.reshape(-1).view(want.dtype), offsets)


def text_of(raw: bytes) -> str:
    """Text up to the first NUL."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def texts(raw: Bytes) -> NDArray[Any]:
    """``(n,)`` text from rows of bytes; each distinct one is decoded once."""
    n, width = raw.shape
    if not n or not width:
        return np.array([""] * n, STRING)
    distinct, which = np.unique(raw.view(f"S{width}")[:, 0], return_inverse=True)
    decoded: NDArray[Any] = np.array([text_of(one) for one in distinct.tolist()], STRING)
    return decoded[which]


def _merged(parts: Sequence[Piece], order: Offsets, want: Want) -> Piece:
    """The values of several groups in the order of events."""
    if want.frame:
        frames = [frame for part in parts if isinstance(part, list) for frame in part]
        return [frames[i] for i in order.tolist()]
    if want.shape is None and want.dtype != STRING:
        ragged = [one for part in parts if isinstance(part, Ragged) for one in part]
        return Ragged.of([ragged[i] for i in order.tolist()], want.dtype)
    if not parts:
        return np.empty((0, *(want.shape or ())), want.dtype)
    merged: Array = np.concatenate([np.asarray(part) for part in parts])[order]
    return merged


def dtype_of(kind: FieldType) -> np.dtype[Any]:
    """dtype of the values of a field."""
    return STRING if kind == FieldType.CHARSTR else DTYPES[kind]
