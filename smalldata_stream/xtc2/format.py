"""The words of the xtc2 format: headers, services, types; little endian, nothing padded.

A file is datagrams back to back. A datagram is a timestamp, an ``env`` word and an Xtc;
an Xtc is a header and children. Children of an event are ShapesData, one per segment and
algorithm, each holding Shapes (five words per array) and Data (fields back to back).
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]


class Service(IntEnum):
    """What a datagram is: an event (L1Accept) or a transition."""

    CLEAR_READOUT = 0
    RESET = 1
    CONFIGURE = 2
    UNCONFIGURE = 3
    BEGIN_RUN = 4
    END_RUN = 5
    BEGIN_STEP = 6
    END_STEP = 7
    ENABLE = 8
    DISABLE = 9
    SLOW_UPDATE = 10
    L1_ACCEPT_END_OF_BATCH = 11
    L1_ACCEPT = 12


class TypeId(IntEnum):
    """What an Xtc holds; the low 12 bits of its word ``contains``."""

    PARENT = 0
    SHAPES_DATA = 1
    SHAPES = 2
    DATA = 3
    NAMES = 4


class FieldType(IntEnum):
    """Type of a field as a Names block says it."""

    UINT8 = 0
    UINT16 = 1
    UINT32 = 2
    UINT64 = 3
    INT8 = 4
    INT16 = 5
    INT32 = 6
    INT64 = 7
    FLOAT = 8
    DOUBLE = 9
    CHARSTR = 10
    ENUMVAL = 11
    ENUMDICT = 12


DTYPES: tuple[np.dtype[Any], ...] = (
    *map(np.dtype, ("u1", "<u2", "<u4", "<u8", "i1", "<i2", "<i4", "<i8", "<f4", "<f8")),
    *map(np.dtype, ("u1", "<i4", "<i4")),
)
"""dtype of one element, by `FieldType`."""

XTC = np.dtype([("src", "<u4"), ("damage", "<u2"), ("contains", "<u2"), ("extent", "<u4")])
DGRAM = np.dtype([("timestamp", "<u8"), ("env", "<u4"), *XTC.descr])

DGRAM_BYTES = 24
XTC_BYTES = 12
MAX_SIZE = 2**32 - 1
HEADER = struct.Struct("<IHHI")
"""An Xtc header: src, damage, contains, extent."""
SIZE_OUTSIDE_EXTENT = 12
"""A datagram is this much longer than its extent says: timestamp and env word."""

NAMES_HEADER_BYTES = 1048
NAME_BYTES = 524
TEXT_BYTES = 256
SHAPE_BYTES = 20
MAX_RANK = 5
TYPE_MASK = 0x0FFF
NAMES_ID_MASK = 0x0FFF_FFFF


def service_of(env: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """The service of each datagram from its ``env`` word."""
    return ((env >> 24) & 15).astype(np.uint8)


def gather(buffer: Bytes, starts: Offsets, nbytes: int) -> Bytes:
    """``(n, nbytes)``: the bytes of ``buffer`` from each of ``starts`` (a copy).

    One call for any spacing and alignment: the buffer is seen as overlapping windows,
    one beginning at each byte, of which numpy picks those asked for.

    >>> gather(np.arange(10, dtype=np.uint8), np.array([0, 5]), 3).tolist()
    [[0, 1, 2], [5, 6, 7]]
    """
    if not len(starts) or not nbytes:
        return np.empty((len(starts), nbytes), np.uint8)
    shape = (len(buffer) - nbytes + 1,)
    windows: Any = np.ndarray(shape, f"V{nbytes}", buffer, strides=(1,))
    picked: Bytes = windows[starts].view(np.uint8).reshape(len(starts), nbytes)
    return picked


def gather_headers(buffer: Bytes, starts: Offsets) -> NDArray[Any]:
    """``(n,)`` of `XTC`: the Xtc headers that begin at ``starts``."""
    return gather(buffer, starts, XTC_BYTES).view(XTC)[:, 0]
