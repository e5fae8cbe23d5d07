"""Where every datagram of a file is, found by one pass over the headers."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.xtc2.format import (
    DGRAM,
    DGRAM_BYTES,
    MAX_SIZE,
    SIZE_OUTSIDE_EXTENT,
    TYPE_MASK,
    XTC_BYTES,
    Bytes,
    Service,
    TypeId,
    service_of,
)

ROW = np.dtype(
    [
        ("timestamp", "<u8"),
        ("offset", "<u8"),
        ("size", "<u4"),
        ("file", "<u2"),
        ("configuration", "<u2"),
        ("service", "u1"),
    ]
)
"""One datagram of the index, 25 bytes; all that is kept per event."""

HEADER = struct.Struct("<QIIHHI")
EQUAL_BEFORE_RUN = 4
FIRST_RUN, LONGEST_RUN = 64, 65536


@dataclass(frozen=True, slots=True)
class Walked:
    """Rows of the whole datagrams, where the walk ended, and why if not at the end.

    ``short`` is True where the bytes simply end within a datagram (a file cut, or still
    growing), False where they are no datagram.
    """

    rows: NDArray[Any]
    end: int
    problem: str = ""
    short: bool = False


def walk_headers(buffer: Bytes, start: int = 0, file: int = 0) -> Walked:
    """Index the datagrams of ``buffer`` from ``start`` on.

    The place of a datagram follows from the size of the one before, so this is a loop; but
    where several in a row have one size the next ones are guessed to have it too, read
    at once, and taken as far as the guess was right.

    >>> walk_headers(np.zeros(10, np.uint8)).problem
    '10 bytes are left where a datagram header has 24'
    """
    parts: list[NDArray[Any]] = []
    single: list[tuple[int, int, int, int, int, int]] = []
    last = equal = 0
    run = FIRST_RUN
    problem, short = "", False
    stop = len(buffer)
    while start < stop:
        size, row, problem, short = _one(buffer, start, stop, file)
        if problem:
            break
        equal = equal + 1 if size == last else 0
        last = size
        if equal < EQUAL_BEFORE_RUN or start + 2 * size > stop:
            single.append(row)
            start += size
            if len(single) == LONGEST_RUN:
                parts.append(np.array(single, ROW))
                single = []
            continue
        rows = _run(buffer, start, size, min(run, (stop - start) // size), file)
        parts += [np.array(single, ROW), rows]
        single = []
        start += size * len(rows)
        if len(rows) < run:
            run, equal = FIRST_RUN, 0
        else:
            run = min(2 * run, LONGEST_RUN)
    rows = np.concatenate([*parts, np.array(single, ROW)])
    return Walked(rows, start, problem, short)


def _one(
    buffer: Bytes, start: int, stop: int, file: int
) -> tuple[int, tuple[int, int, int, int, int, int], str, bool]:
    """Size and row of the datagram at ``start``, or what is wrong with it."""
    nothing = (0, 0, 0, 0, 0, 0)
    left = stop - start
    if left < DGRAM_BYTES:
        what = f"{left} bytes are left where a datagram header has {DGRAM_BYTES}"
        return 0, nothing, what, True
    raw = buffer[start : start + DGRAM_BYTES].tobytes()
    timestamp, env, _, _, contains, extent = HEADER.unpack(raw)
    size = SIZE_OUTSIDE_EXTENT + extent
    service = env >> 24 & 15
    if contains & TYPE_MASK != TypeId.PARENT or service > Service.L1_ACCEPT:
        what = "no datagram header" + ("" if start else "; is it an xtc2 file?")
        return 0, nothing, what, False
    if extent < XTC_BYTES:
        return 0, nothing, f"extent {extent} is smaller than a header", False
    if size > left:
        what = f"a datagram of {size} bytes where {left} are left"
        return 0, nothing, what, True
    if size > MAX_SIZE:
        return 0, nothing, f"a datagram of {size} bytes", False
    return size, (timestamp, start, size, file, 0, service), "", False


def _run(buffer: Bytes, start: int, size: int, count: int, file: int) -> NDArray[Any]:
    """Rows of the datagrams at ``start``, ``start + size`` ... that do have ``size``."""
    headers: Any = np.ndarray((count,), DGRAM, buffer, start, (size,))
    service = service_of(headers["env"])
    good = headers["extent"] == size - SIZE_OUTSIDE_EXTENT
    good &= headers["contains"] & TYPE_MASK == TypeId.PARENT
    good &= service <= Service.L1_ACCEPT
    if not good.all():
        count = int(np.argmin(good))
    rows = np.zeros(count, ROW)
    rows["timestamp"] = headers["timestamp"][:count]
    rows["offset"] = start + size * np.arange(count, dtype=np.uint64)
    rows["size"], rows["file"], rows["service"] = size, file, service[:count]
    return rows
