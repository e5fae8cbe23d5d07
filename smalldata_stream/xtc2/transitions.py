"""Single datagrams read whole, and what the first datagrams of a stream show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smalldata_stream.batch import STRING
from smalldata_stream.xtc2.columns import Want, dtype_of, take_fields
from smalldata_stream.xtc2.format import (
    DGRAM,
    DGRAM_BYTES,
    Bytes,
    FieldType,
    Offsets,
    gather,
)
from smalldata_stream.xtc2.layout import Layouts
from smalldata_stream.xtc2.names import ENUM_SEPARATOR, Configuration, Names
from smalldata_stream.xtc2.walk import walk

MOST_SHAPES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Datagrams of one file and one configuration.

    ``events`` are their places in the batch, increasing; ``timestamps`` what the index
    says, compared with the datagrams themselves.
    """

    path: str
    buffer: Bytes
    starts: Offsets
    sizes: Offsets
    events: Offsets
    timestamps: Any
    configuration: Configuration


@dataclass(slots=True)
class Sample:
    """Shapes met of each field, and the words of each enum."""

    shapes: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)
    enums: dict[str, dict[int, str]] = field(default_factory=dict)

    def note(self, name: str, shape: tuple[int, ...]) -> None:
        """Remember that ``name`` had ``shape``."""
        known = self.shapes.setdefault(name, [])
        if shape not in known and len(known) < MOST_SHAPES:
            known.append(shape)


def read_values(block: Block) -> Iterator[tuple[Names, dict[str, Any]]]:
    """What each ShapesData of the single datagram of ``block`` holds, field by field.

    The general path: any content, one datagram at a time. What is no sense is left out.
    """
    known = block.configuration.names
    found = walk(block.buffer, block.starts, block.sizes, known)
    if found.bad.any():
        return
    for names_id, sent in found.sent.items():
        names = known[names_id]
        layouts = Layouts(names)
        groups, bad, _ = layouts.split(block.buffer, sent)
        if bad.any():
            continue
        wanted: dict[str, Want] = {}
        for place, one in enumerate(names.fields):
            shape = groups[0].shape(names, place)
            dtype = dtype_of(one.type)
            text = dtype == STRING
            assert isinstance(shape, tuple)
            wanted[one.name] = Want(place=place, dtype=dtype, shape=None if text else shape)
        taken = take_fields(block.buffer, layouts, sent, wanted)
        values = {name: _one(value) for name, value in taken.values.items()}
        yield names, values


def _one(column: Any) -> Any:
    """The first value: a string, a number, or an array that cannot be written."""
    value = column[0]
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
        return value
    return value if isinstance(value, str) else value.item()


def enums_of(names: Names, values: Mapping[str, Any]) -> dict[str, dict[int, str]]:
    """Enum name to (value to word), as the dictionary fields of ``names`` say."""
    enums: dict[str, dict[int, str]] = {}
    for one in names.fields:
        if one.type == FieldType.ENUMDICT and one.name in values:
            word, _, enum = one.name.rpartition(ENUM_SEPARATOR)
            value = values[one.name]
            if isinstance(value, int):
                enums.setdefault(enum, {})[value] = word
    return enums


def sample(blocks: list[Block], samples: dict[Any, Sample]) -> None:
    """Note in ``samples``, by (detector, algorithm, segment), what ``blocks`` show.

    What is damaged shows nothing: it may have any shape, and would be taken for the run's.
    """
    for block in blocks:
        known = block.configuration.names
        found = walk(block.buffer, block.starts, block.sizes, known)
        header = gather(block.buffer, block.starts, DGRAM_BYTES).view(DGRAM)[:, 0]
        whole = ~found.bad & (header["damage"] == 0)
        for names_id, every in found.sent.items():
            sent = every.only(whole[every.rows] & (every.damage == 0))
            names = known[names_id]
            groups, _, _ = Layouts(names).split(block.buffer, sent)
            key = (names.detector, names.algorithm, names.segment)
            noted = samples.setdefault(key, Sample())
            for place, one in enumerate(names.fields):
                for group in groups:
                    shape = group.shape(names, place)
                    if isinstance(shape, tuple):
                        noted.note(one.name, shape)
                        continue
                    for row in np.unique(shape, axis=0)[:MOST_SHAPES].tolist():
                        noted.note(one.name, tuple(row))
            if not noted.enums:
                noted.enums = _first_enums(block, names_id, sent.rows)


def _first_enums(block: Block, names_id: int, rows: Offsets) -> dict[str, dict[int, str]]:
    names = block.configuration.names[names_id]
    if not any(one.type == FieldType.ENUMDICT for one in names.fields) or not len(rows):
        return {}
    first = rows[:1]
    one = Block(
        block.path,
        block.buffer,
        block.starts[first],
        block.sizes[first],
        block.events[first],
        block.timestamps[first],
        block.configuration,
    )
    for other, values in read_values(one):
        if other.id == names_id:
            return enums_of(names, values)
    return {}
