"""A configuration: the Names blocks of a Configure datagram, by the id that events use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smalldata_stream.xtc2.format import (
    DTYPES,
    HEADER,
    MAX_RANK,
    NAME_BYTES,
    NAMES_HEADER_BYTES,
    NAMES_ID_MASK,
    SHAPE_BYTES,
    TEXT_BYTES,
    TYPE_MASK,
    XTC_BYTES,
    Bytes,
    FieldType,
    TypeId,
)

MAX_DEPTH = 8
ENUM_SEPARATOR = ":"
"""Between field and enum (``gainMode:gainEnum``), and word and enum (``HIGH:gainEnum``)."""


class Malformed(ValueError):
    """Bytes that are no xtc2; ``offset`` is where."""

    def __init__(self, offset: int, what: str):
        self.offset, self.what = offset, what
        super().__init__(f"byte {offset}: {what}")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a Names block; ``array`` is its place among the Shapes, or -1."""

    name: str
    type: FieldType
    rank: int
    array: int

    @property
    def plain(self) -> str:
        """The name as signals have it: without that of its enum."""
        if self.type == FieldType.ENUMVAL:
            return self.name.partition(ENUM_SEPARATOR)[0]
        return self.name

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return int(DTYPES[self.type].itemsize)


@dataclass(frozen=True)
class Names:
    """What one algorithm of one segment of a detector sends, field by field."""

    id: int
    detector: str
    type: str
    serial: str
    algorithm: str
    version: tuple[int, int, int]
    segment: int
    fields: tuple[Field, ...]

    @cached_property
    def arrays(self) -> int:
        """Number of fields that have a shape."""
        return sum(field.rank > 0 for field in self.fields)

    @cached_property
    def structure(self) -> Bytes:
        """Which bytes of a ShapesData tell its layout, all bits set; others are zero.

        From its header to the header of its Data, in the order Shapes, Data: ids, types,
        extents, and as many words of each shape as the field has dimensions (what is left
        of the five is not initialised).
        """
        header = [0xFF] * 4 + [0] * 2 + [0xFF] * 6
        shapes = [
            byte
            for field in self.fields
            if field.rank
            for byte in [0xFF] * 4 * field.rank + [0] * (SHAPE_BYTES - 4 * field.rank)
        ]
        return np.array([*header, *header, *shapes, *header], np.uint8)


@dataclass(frozen=True)
class Configuration:
    """The Names of a stream from one Configure on."""

    names: Mapping[int, Names]


def _text(buffer: Bytes, start: int) -> str:
    raw = buffer[start : start + TEXT_BYTES].tobytes()
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _word(buffer: Bytes, start: int) -> int:
    return int.from_bytes(buffer[start : start + 4].tobytes(), "little")


def children(
    buffer: Bytes, start: int, stop: int, depth: int = 0
) -> Iterator[tuple[int, int, int, TypeId, int]]:
    """(offset, src, damage, type, extent) of each Xtc in a region, Parents opened.

    The careful walk for single datagrams; `walk` does thousands at once. Raises
    `Malformed` where an extent or a type cannot be.
    """
    while start < stop:
        if start + XTC_BYTES > stop:
            raise Malformed(start, f"{stop - start} bytes are too few for a header")
        src, damage, contains, extent = HEADER.unpack(
            buffer[start : start + XTC_BYTES].tobytes()
        )
        if extent < XTC_BYTES or start + extent > stop:
            raise Malformed(start, f"extent {extent} where {stop - start} bytes are left")
        kind = contains & TYPE_MASK
        if kind > TypeId.NAMES:
            raise Malformed(start, f"unknown type {kind}")
        if kind == TypeId.PARENT:
            if depth == MAX_DEPTH:
                raise Malformed(start, f"nested more than {MAX_DEPTH} deep")
            yield from children(buffer, start + XTC_BYTES, start + extent, depth + 1)
        else:
            yield start, src, damage, TypeId(kind), extent
        start += extent


def parse_names(buffer: Bytes, start: int, extent: int) -> Names:
    """The Names block at ``start``; raises `Malformed`."""
    body = extent - NAMES_HEADER_BYTES
    if body < 0 or body % NAME_BYTES:
        raise Malformed(start, f"a Names block of {extent} bytes")
    text = start + XTC_BYTES + 4
    version = _word(buffer, text + 4 * TEXT_BYTES)
    fields: list[Field] = []
    arrays = 0
    for entry in range(start + NAMES_HEADER_BYTES, start + extent, NAME_BYTES):
        kind, rank = _word(buffer, entry + 516), _word(buffer, entry + 520)
        if kind > FieldType.ENUMDICT or rank > MAX_RANK:
            raise Malformed(entry, f"a field of type {kind} and rank {rank}")
        name = _text(buffer, entry + 260)
        fields.append(Field(name, FieldType(kind), rank, arrays if rank else -1))
        arrays += rank > 0
    return Names(
        id=_word(buffer, start) & NAMES_ID_MASK,
        type=_text(buffer, text),
        detector=_text(buffer, text + TEXT_BYTES),
        serial=_text(buffer, text + 2 * TEXT_BYTES),
        algorithm=_text(buffer, text + 3 * TEXT_BYTES),
        version=(version >> 16 & 255, version >> 8 & 255, version & 255),
        segment=_word(buffer, text + 4 * TEXT_BYTES + 4),
        fields=tuple(fields),
    )


def parse_configure(buffer: Bytes, start: int, stop: int) -> Configuration:
    """The configuration in the children of a Configure; raises `Malformed`."""
    found: dict[int, Names] = {}
    for offset, _, _, kind, extent in children(buffer, start, stop):
        if kind == TypeId.NAMES:
            names = parse_names(buffer, offset, extent)
            found[names.id] = names
    return Configuration(found)
