"""How batches come over from psana's process: pickles in shared memory, frames by place.

A message is a pickle (protocol 5) with the buffers of its arrays behind, in a memfd, which
the kernel takes back however the two processes end. A frame is not sent at all where psana
has it from a file: the child says where it is, and the parent looks at it there, in a
mapping of the same file. What cannot be placed is sent with the message.
"""

from __future__ import annotations

import os
import pickle
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from smalldata_stream.batch import STRING, Array, Column, Frames, Mask, Ragged, Values
from smalldata_stream.run import FieldInfo
from smalldata_stream.xtc2.format import Bytes
from smalldata_stream.xtc2.stack import stack_segments

_SIZE = struct.Struct("<Q")
_PIECES = 512  # for one system call


class InFile(NamedTuple):
    """Where a segment of a frame begins."""

    path: str
    offset: int


@dataclass(frozen=True, slots=True)
class PackedFrames:
    """One list per segment with an entry per frame: where it is, or the thing itself."""

    segments: Sequence[Sequence[InFile | Array]]
    shape: tuple[int, ...]
    """Shape of one segment."""


Packed: TypeAlias = tuple[Any, Mask | None]
"""What a column is on the way: `PackedFrames`, (values, offsets), an array or texts."""


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """A batch on the way, columns and status in the order of what was asked for.

    ``read`` is the number of events that psana had got over at its end.
    """

    timestamps: Array
    steps: Array
    columns: Sequence[Packed]
    status: Sequence[Array]
    read: int


@dataclass(slots=True)
class Unpacker:
    """Makes columns of what came; maps every file once."""

    _files: dict[str, Bytes] = field(default_factory=dict)

    def column(self, packed: Packed, info: FieldInfo) -> Column:
        """The column of a field that is as ``info`` says."""
        values, present = packed
        if isinstance(values, PackedFrames):
            return Column(self._frames(values, info), present)
        if isinstance(values, tuple):
            return Column(Ragged(*values), present)
        if isinstance(values, list):
            return Column(np.array(values, STRING), present)
        return Column(values, present)

    def _frames(self, packed: PackedFrames, info: FieldInfo) -> Values:
        pieces = [
            [self._look(entry, packed.shape, info.dtype) for entry in segment]
            for segment in packed.segments
        ]
        if len(pieces) > 1:
            return stack_segments(pieces, info)
        return Frames(pieces[0], shape=info.shape, dtype=info.dtype)

    def _look(
        self, entry: InFile | Array, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Array:
        if not isinstance(entry, InFile):
            return entry
        if entry.path not in self._files:
            self._files[entry.path] = np.memmap(entry.path, np.uint8, "r")
        frame: Array = np.ndarray(shape, dtype, self._files[entry.path], entry.offset)
        return frame


def send(to: socket.socket, message: object) -> None:
    """Send ``message``."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    raws = [buffer.raw() for buffer in buffers]
    sizes = [raw.nbytes for raw in raws]
    head = struct.pack(f"<{len(sizes) + 2}Q", len(sizes), len(body), *sizes)
    memory = os.memfd_create("smalldata_stream")
    try:
        size = _write(memory, [memoryview(head), memoryview(body), *raws])
        socket.send_fds(to, [_SIZE.pack(size)], [memory])
    finally:
        os.close(memory)


def _write(memory: int, pieces: list[memoryview[int]]) -> int:
    """Write all with few calls: each has to wait for the GIL that psana holds."""
    offset = 0
    while pieces:
        done = os.pwritev(memory, pieces[:_PIECES], offset)
        offset += done
        while pieces and done >= pieces[0].nbytes:
            done -= pieces.pop(0).nbytes
        if done:
            pieces[0] = pieces[0][done:]
    return offset


def receive(origin: socket.socket) -> Any:
    """The next message; EOFError when the other is gone."""
    header, memories, _, _ = socket.recv_fds(origin, _SIZE.size, 1)
    if not memories:
        raise EOFError
    try:
        data = _read(memories[0], *_SIZE.unpack(header))
    finally:
        os.close(memories[0])
    count, length = struct.unpack_from("<2Q", data)
    sizes = struct.unpack_from(f"<{count}Q", data, 16)
    begin = 16 + 8 * count + length
    body = data[begin - length : begin]
    buffers = []
    for size in sizes:
        buffers.append(data[begin : begin + size])
        begin += size
    return pickle.loads(body, buffers=buffers)


def _read(memory: int, size: int) -> memoryview[int]:
    data = bytearray(size)
    offset = 0
    while offset < size:
        offset += os.preadv(memory, [memoryview(data)[offset:]], offset)
    return memoryview(data).toreadonly()
