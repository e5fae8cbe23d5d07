"""Bytes of xtc2 files, as odd as a test needs them; written from the format alone."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"]
CHARSTR, ENUMVAL, ENUMDICT = 10, 11, 12
PARENT, SHAPES_DATA, SHAPES, DATA, NAMES = range(5)
CONFIGURE, UNCONFIGURE, BEGIN_RUN, END_RUN, BEGIN_STEP, END_STEP = 2, 3, 4, 5, 6, 7
ENABLE, DISABLE, SLOW_UPDATE, L1_ACCEPT = 8, 9, 10, 12
SECOND = 1 << 32


@dataclass(frozen=True)
class Block:
    """A Names block: ``fields`` is name to (type code or dtype, rank)."""

    id: int
    detector: str
    type: str
    algorithm: str
    version: tuple[int, int, int]
    fields: Mapping[str, tuple[str | int, int]]
    segment: int = 0
    serial: str = "serial"

    def code(self, name: str) -> int:
        kind = self.fields[name][0]
        return kind if isinstance(kind, int) else TYPES.index(kind)


RUNINFO = Block(
    0xFE,
    "runinfo",
    "runinfo",
    "runinfo",
    (0, 0, 1),
    {"expt": (CHARSTR, 1), "runnum": ("u4", 0)},
)
CHUNKINFO = Block(
    0xFD,
    "chunkinfo",
    "chunkinfo",
    "chunkinfo",
    (0, 0, 1),
    {"filename": (CHARSTR, 1), "chunkid": ("u4", 0)},
)
SMDINFO = Block(
    0x20000,
    "smdinfo",
    "offset",
    "offsetAlg",
    (0, 0, 0),
    {"intOffset": ("u8", 0), "intDgramSize": ("u8", 0)},
)


def text(value: str) -> bytes:
    return value.encode()[:255].ljust(256, b"\0")


def algorithm(name: str, version: tuple[int, int, int]) -> bytes:
    major, minor, micro = version
    return text(name) + struct.pack("<I", major << 16 | minor << 8 | micro)


def xtc(kind: int, payload: bytes, src: int = 0, damage: int = 0) -> bytes:
    return struct.pack("<IHHI", src, damage, kind, 12 + len(payload)) + payload


def names(block: Block) -> bytes:
    head = struct.pack("<I", sum(rank > 0 for _, rank in block.fields.values()))
    head += text(block.type) + text(block.detector) + text(block.serial)
    head += algorithm(block.algorithm, block.version) + struct.pack("<I", block.segment)
    fields = b"".join(
        algorithm("", (0, 0, 0)) + text(name) + struct.pack("<II", block.code(name), rank)
        for name, (_, rank) in block.fields.items()
    )
    return xtc(NAMES, head + fields, src=block.id)


def shapes_data(
    block: Block,
    values: Mapping[str, Any],
    *,
    damage: int = 0,
    data_first: bool = False,
    garbage: int = 0,
    pad: int = 0,
) -> bytes:
    """One ShapesData; ``garbage`` fills unused shape words, ``pad`` adds words after."""
    shapes, data = b"", b""
    for name, (_, rank) in block.fields.items():
        code, value = block.code(name), values[name]
        if code == CHARSTR:
            raw = value if isinstance(value, bytes) else value.encode() + b"\0"
            shape: tuple[int, ...] = (len(raw),)
        else:
            kind = "i4" if code in (ENUMVAL, ENUMDICT) else TYPES[code]
            array = np.asarray(value, "<" + kind)
            raw, shape = array.tobytes(), array.shape
        assert len(shape) == rank, (name, shape, rank)
        data += raw
        if rank:
            shapes += struct.pack("<5I", *shape, *[garbage] * (5 - rank))
    halves = [xtc(SHAPES, shapes + struct.pack("<I", garbage) * pad), xtc(DATA, data)]
    if data_first:
        halves.reverse()
    return xtc(SHAPES_DATA, b"".join(halves), src=block.id, damage=damage)


def dgram(
    timestamp: int,
    service: int,
    parts: Iterable[bytes] = (),
    *,
    damage: int = 0,
    env: int = 0,
) -> bytes:
    payload = b"".join(parts)
    head = struct.pack("<QI", timestamp, service << 24 | env)
    return head + struct.pack("<IHHI", 0, damage, PARENT, 12 + len(payload)) + payload


def configure(
    blocks: Iterable[Block], timestamp: int = 1, parts: Iterable[bytes] = ()
) -> bytes:
    return dgram(timestamp, CONFIGURE, [*(names(block) for block in blocks), *parts])


def begin_run(exp: str, run: int, timestamp: int = 2) -> bytes:
    told = shapes_data(RUNINFO, {"expt": exp, "runnum": run})
    return dgram(timestamp, BEGIN_RUN, [told])


def index(data: bytes) -> bytes:
    """The index file of the bytes of a big file."""
    out, at = b"", 0
    while at + 24 <= len(data):
        timestamp, env, src, damage, kind, extent = struct.unpack_from("<QIIHHI", data, at)
        size, service = 12 + extent, env >> 24 & 15
        payload = data[at + 24 : at + size]
        if service == L1_ACCEPT:
            payload = shapes_data(SMDINFO, {"intOffset": at, "intDgramSize": size})
        elif service == CONFIGURE:
            payload += names(SMDINFO)
        out += struct.pack("<QIIHHI", timestamp, env, src, damage, kind, 12 + len(payload))
        out += payload
        at += size
    return out


def write_stream(
    folder: Path,
    datagrams: Sequence[bytes],
    *,
    exp: str = "tstx00417",
    run: int = 1,
    stream: int = 0,
    smd: bool = True,
) -> Path:
    """A big file and, with ``smd``, its index file."""
    (folder / "smalldata").mkdir(parents=True, exist_ok=True)
    path = folder / f"{exp}-r{run:04d}-s{stream:03d}-c000.xtc2"
    data = b"".join(datagrams)
    path.write_bytes(data)
    if smd:
        name = path.name.replace(".xtc2", ".smd.xtc2")
        (folder / "smalldata" / name).write_bytes(index(data))
    return path
