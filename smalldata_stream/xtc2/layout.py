"""Where the fields of a ShapesData are: worked out once per shape, for thousands at once.

A ShapesData whose structure bytes (headers and shapes) are those of another has its fields
at the same places, so a `Layout` is made once and kept. Where the shapes differ from
event to event the places are computed, also for all events at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Mask
from smalldata_stream.xtc2.format import (
    SHAPE_BYTES,
    TYPE_MASK,
    XTC_BYTES,
    Bytes,
    Offsets,
    TypeId,
    gather,
    gather_headers,
)
from smalldata_stream.xtc2.names import Names
from smalldata_stream.xtc2.walk import Problem, Sent

MOST_LAYOUTS_AT_ONCE = 6
MOST_LAYOUTS_KEPT = 256
SHAPES_TYPE_WORD, SHAPES_EXTENT_WORD = 4, 5
"""Words of a ShapesData with the type and the extent of its first part."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Places of the fields from the start of a ShapesData, and their shapes."""

    places: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class Group:
    """Some ShapesData of one names id and where their fields are.

    ``members`` are their places among all; ``shapes`` has, per field, either one shape for
    all or an array (n, rank) where they differ.
    """

    members: Offsets
    starts: Offsets
    layout: Layout | None
    places: Offsets | None = None
    words: NDArray[np.uint32] | None = None

    def where(self, place: int) -> Offsets:
        """Where field ``place`` begins, ``(n,)``."""
        if self.layout is not None:
            return self.starts + self.layout.places[place]
        assert self.places is not None
        column: Offsets = self.places[:, place]
        return column

    def shape(self, names: Names, place: int) -> tuple[int, ...] | NDArray[np.uint32]:
        """The shape of field ``place``: one for all, or (n, rank) where they differ."""
        if self.layout is not None:
            return self.layout.shapes[place]
        one = names.fields[place]
        if not one.rank:
            return ()
        assert self.words is not None
        words: NDArray[np.uint32] = self.words[:, one.array, : one.rank]
        if (words == words[0]).all():
            return tuple(words[0].tolist())
        return words


@dataclass(slots=True)
class Layouts:
    """The layouts met so far of one names id."""

    names: Names
    known: dict[bytes, Layout | None] = field(default_factory=dict)

    def split(self, buffer: Bytes, sent: Sent) -> tuple[list[Group], Mask, list[Problem]]:
        """Groups of equal layout, which of ``sent`` are in none, and why."""
        groups, rest = self._equal(buffer, sent)
        bad = np.zeros(len(sent.starts), bool)
        problems: list[Problem] = []
        if len(rest):
            groups += _varied(buffer, self.names, sent, rest, bad, problems)
        return groups, bad, problems

    def first_shape(self, buffer: Bytes, sent: Sent, place: int) -> tuple[int, ...] | None:
        """The shape of field ``place`` in the first of ``sent`` that makes sense."""
        groups, _, _ = self.split(buffer, sent)
        if not groups:
            return None
        shape = groups[0].shape(self.names, place)
        return shape if isinstance(shape, tuple) else tuple(shape[0].tolist())

    def _equal(self, buffer: Bytes, sent: Sent) -> tuple[list[Group], Offsets]:
        """Groups whose structure is byte for byte the same, and what is left."""
        mask = self.names.structure
        rest = np.arange(len(sent.starts))
        groups: list[Group] = []
        if not (sent.extents >= len(mask)).all():
            return groups, rest
        words = gather(buffer, sent.starts, len(mask)).view("<u4")
        words &= mask.view("<u4")
        # Only in this order, and without anything after the shapes, has the mask seen all.
        plain = words[:, SHAPES_TYPE_WORD] >> 16 & TYPE_MASK == TypeId.SHAPES
        plain &= words[:, SHAPES_EXTENT_WORD] == XTC_BYTES + SHAPE_BYTES * self.names.arrays
        for _ in range(MOST_LAYOUTS_AT_ONCE):
            if not len(rest) or not plain[rest[0]]:
                break
            first = rest[0]
            layout = self._layout(buffer, sent, int(first), words[first].tobytes())
            if layout is None:
                break
            among = words if len(rest) == len(words) else words[rest]
            same = (among == words[first]).all(axis=1)
            groups.append(Group(rest[same], sent.starts[rest[same]], layout))
            rest = rest[~same]
        return groups, rest

    def _layout(self, buffer: Bytes, sent: Sent, row: int, key: bytes) -> Layout | None:
        """The layout of one ShapesData; None where it is no sense."""
        if key not in self.known:
            if len(self.known) >= MOST_LAYOUTS_KEPT:
                self.known.clear()
            one = sent.only(np.arange(len(sent.rows)) == row)
            bad = np.zeros(1, bool)
            found = _varied(buffer, self.names, one, np.zeros(1, np.int64), bad, [])
            self.known[key] = _fixed(self.names, found[0]) if found else None
        return self.known[key]


def _fixed(names: Names, group: Group) -> Layout:
    """The layout of a group of one."""
    assert group.places is not None
    places = (group.places[0] - group.starts[0]).tolist()
    shapes = [group.shape(names, place) for place in range(len(names.fields))]
    return Layout(tuple(places), tuple(s for s in shapes if isinstance(s, tuple)))


def _varied(
    buffer: Bytes,
    names: Names,
    sent: Sent,
    members: Offsets,
    bad: Mask,
    problems: list[Problem],
) -> list[Group]:
    """The places of all fields of each of ``members``, whatever their shapes."""

    def reject(wrong: Mask, what: str) -> None:
        nonlocal members
        if wrong.any():
            first = int(sent.starts[members[np.argmax(wrong)]])
            problems.append(Problem(f"{what} of {_title(names)}", int(wrong.sum()), first))
            bad[members[wrong]] = True
            members = members[~wrong]

    shapes, data, data_end, wrong = _halves(buffer, names, sent, members)
    shapes, data, data_end = shapes[~wrong], data[~wrong], data_end[~wrong]
    reject(wrong, "no Shapes and Data")
    if not len(members):
        return []
    words: NDArray[np.uint32] = (
        gather(buffer, shapes + XTC_BYTES, SHAPE_BYTES * names.arrays)
        .view("<u4")
        .reshape(len(members), names.arrays, 5)
    )
    sizes = np.empty((len(members), len(names.fields)))
    for place, one in enumerate(names.fields):
        sizes[:, place] = one.itemsize
        if one.rank:
            extents = words[:, one.array, : one.rank].astype(np.float64)
            sizes[:, place] *= extents.prod(axis=1)
    too_long = sizes.sum(axis=1) > data_end - data - XTC_BYTES
    ends = np.cumsum(np.where(too_long[:, None], 0, sizes).astype(np.int64), axis=1)
    places = (data + XTC_BYTES)[:, None] + ends - np.where(too_long[:, None], 0, sizes)
    places, words = places[~too_long].astype(np.int64), words[~too_long]
    reject(too_long, "shapes larger than the data")
    if not len(members):
        return []
    return [Group(members, sent.starts[members], None, places, words)]


def _halves(
    buffer: Bytes, names: Names, sent: Sent, members: Offsets
) -> tuple[Offsets, Offsets, Offsets, Mask]:
    """Where Shapes and Data begin, where Data ends, in either order; and where not."""
    start = sent.starts[members]
    end = start + sent.extents[members]
    shapes, data, data_end = (np.full(len(members), -1) for _ in range(3))
    at = start + XTC_BYTES
    wrong = np.zeros(len(members), bool)
    for _ in range(2):
        here = ~wrong & (at + XTC_BYTES <= end)
        header = gather_headers(buffer, at[here])
        extent = np.full(len(members), XTC_BYTES)
        kind = np.full(len(members), -1)
        extent[here], kind[here] = header["extent"], header["contains"] & TYPE_MASK
        wrong |= here & ((extent < XTC_BYTES) | (at + extent > end))
        is_data, is_shapes = here & (kind == TypeId.DATA), here & (kind == TypeId.SHAPES)
        is_shapes &= extent >= XTC_BYTES + SHAPE_BYTES * names.arrays
        data[is_data], data_end[is_data] = at[is_data], (at + extent)[is_data]
        shapes[is_shapes] = at[is_shapes]
        at = at + extent
    wrong |= data < 0
    if names.arrays:
        wrong |= shapes < 0
    return shapes, data, data_end, wrong


def _title(names: Names) -> str:
    return f"{names.detector}.{names.algorithm} segment {names.segment}"
