"""Datasets that grow by rows: collected in memory, written chunk by chunk.

What a write costs is the call, not the bytes (50 to 80 µs a call, 0.1 µs a row), so rows
wait until a chunk is full. A chunk without filter is handed to the file as it is
(``write_direct_chunk``); a partial one goes to the same place again when it has grown.
"""

from __future__ import annotations

import math
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from sinks.hdf5_copy import Source
from sinks.hdf5_layout import missing_value, storage_dtype
from smalldata_stream.batch import Array, Frames, Mask

CHUNK_BYTES = 1 << 20
CHUNK_ROWS = 4096
COPY_BYTES = 8 << 20

FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "gzip": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
    "bitshuffle-lz4": dict(hdf5plugin.Bitshuffle(cname="lz4")),
}


def chunk_shape(
    shape: tuple[int, ...], itemsize: int, most_rows: int = CHUNK_ROWS
) -> tuple[int, ...]:
    """Chunks of 0.5 to 1 MB: several rows, or a part of one, cut along the first axes.

    The number of rows is a power of two: chunks of blocks of events then fit into the file
    of the run as they are.

    >>> chunk_shape((), 8), chunk_shape((100, 100), 4), chunk_shape((8, 512, 1024), 4)
    ((4096,), (16, 100, 100), (1, 1, 256, 1024))
    """
    row = max(1, math.prod(shape)) * itemsize
    if row <= CHUNK_BYTES:
        rows = max(1, min(most_rows, 1 << (CHUNK_BYTES // row).bit_length() - 1))
        return (rows, *(max(1, n) for n in shape))
    chunk = list(shape)
    for axis in range(len(chunk)):
        rest = math.prod(chunk[axis + 1 :]) * itemsize
        chunk[axis] = _even(chunk[axis], max(1, CHUNK_BYTES // rest))
        if rest <= CHUNK_BYTES:
            break
    return (1, *chunk)


def _even(n: int, most: int) -> int:
    """Length of equal parts of ``n``, each at most ``most``."""
    return math.ceil(n / math.ceil(n / most))


class Rows:
    """A dataset of numbers, one row per event (or per value, where the length varies).

    Nothing that is in the file ever moves: a compressed chunk that grew would, HDF5 would
    give its place to other data, and a job killed then would leave an index that points
    there. So a chunk flushed before it was full is stored, and stays, uncompressed; that is
    one chunk per flush.
    """

    __slots__ = (
        "_begin",
        "_buffer",
        "_chunk",
        "_direct",
        "_fill",
        "_id",
        "_missing",
        "_new",
        "_no_filters",
        "_shape",
        "_stored",
    )

    def __init__(self, dataset: h5py.Dataset, start: int = 0):
        self._id = dataset.id
        self._chunk: int = dataset.chunks[0]
        filters = self._id.get_create_plist().get_nfilters()
        self._direct = not filters and dataset.chunks[1:] == dataset.shape[1:]
        self._no_filters = (1 << filters) - 1  # a bit for each one left out
        self._missing = dataset.fillvalue
        self._shape: tuple[int, ...] = dataset.shape[1:]
        self._buffer = np.full((self._chunk, *self._shape), self._missing, dataset.dtype)
        # The buffer holds the rows of one chunk from row ``begin``; ``fill`` are taken.
        self._begin: int = start - start % self._chunk
        self._fill: int = start % self._chunk
        self._new = False  # it has values that the file does not
        self._stored = False  # the file has some of it

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self._begin + self._fill

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self._shape

    def append(self, values: Array | Frames, present: Mask | None) -> None:
        """Add one row per event; those that are not ``present`` are missing."""
        if isinstance(values, Frames):
            self._extend_frames(values, present)
        elif present is None:
            self._extend(np.ascontiguousarray(values, self._buffer.dtype))
        elif not len(values):
            self.skip(len(present))
        else:
            self._extend(self._with_gaps(values, present))

    def skip(self, rows: int) -> None:
        """Add missing rows; a chunk of nothing else takes no place in the file."""
        while rows:
            taken = min(self._chunk - self._fill, rows)
            self._fill += taken
            rows -= taken
            self._next_if_full()

    def copy(self, source: Source, first: int, last: int) -> None:
        """Add rows of a dataset that was made like this one, whole chunks as they are."""
        at = first
        in_step = self._fill == first % self._chunk
        while at < last:
            if in_step and not self._fill and last - at >= self._chunk:
                self._copy_chunk(source, at)
                at += self._chunk
                continue
            if in_step:
                end = min(last, at + self._chunk - self._fill)
            else:
                row = max(1, self._buffer[:1].nbytes)
                chunks = max(1, COPY_BYTES // (row * self._chunk))
                end = min(last, at - at % self._chunk + chunks * self._chunk)
            self._extend(source.rows(at, end))
            at = end

    def _copy_chunk(self, source: Source, at: int) -> None:
        self._id.set_extent((self._begin + self._chunk, *self._shape))
        for rest, (mask, data) in source.chunks(at):
            self._id.write_direct_chunk((self._begin, *rest), data, mask)
        self._begin += self._chunk

    def flush(self) -> None:
        """Hand all rows to the file."""
        self._id.set_extent((self.rows, *self._shape))
        if self._new:
            self._store(self._buffer)
            self._new, self._stored = False, True

    def close(self) -> None:
        """Hand all rows to the file, the last ones compressed like all others."""
        if self._new and not self._stored:
            self._write(self._buffer[: self._fill])
            self._new = False
        self.flush()

    def _with_gaps(self, values: Array, present: Mask) -> Array:
        block = np.full((len(present), *self._shape), self._missing, self._buffer.dtype)
        block[present] = values
        return block

    def _extend_frames(self, frames: Frames, present: Mask | None) -> None:
        following = iter(frames)
        for has in np.ones(len(frames), bool) if present is None else present:
            if has:
                frame = np.asarray(next(following), self._buffer.dtype)
                self._extend(np.ascontiguousarray(frame).reshape(1, *frames.shape))
            else:
                self.skip(1)

    def _extend(self, block: Array) -> None:
        if not block.size:
            self.skip(len(block))
            return
        at = 0
        while at < len(block):
            taken = min(self._chunk - self._fill, len(block) - at)
            part = block[at : at + taken]
            if taken == self._chunk:  # a whole chunk needs no copy
                self._write(part)
                self._begin += taken
            else:
                self._buffer[self._fill : self._fill + taken] = part
                self._fill += taken
                self._new = True
                self._next_if_full()
            at += taken

    def _next_if_full(self) -> None:
        if self._fill < self._chunk:
            return
        if self._stored and self._new:
            self._store(self._buffer)
        elif self._new:
            self._write(self._buffer)
        if self._new or self._stored:
            self._buffer[...] = self._missing
        self._begin += self._chunk
        self._fill = 0
        self._new = self._stored = False

    def _write(self, block: Array) -> None:
        """Write a chunk for the first time, through the filters."""
        self._id.set_extent((self._begin + len(block), *self._shape))
        if self._direct and len(block) == self._chunk:
            self._store(block)
            return
        place = self._id.get_space()
        place.select_hyperslab((self._begin, *(0 for _ in self._shape)), block.shape)
        self._id.write(h5py.h5s.create_simple(block.shape), place, block)

    def _store(self, chunk: Array) -> None:
        """Write a chunk without filters, at the place where it is if it is there."""
        origin = (self._begin, *(0 for _ in self._shape))
        self._id.write_direct_chunk(origin, chunk, self._no_filters)


class TextRows:
    """A dataset of texts of any length, one row per event."""

    __slots__ = ("_dataset", "_rest", "_rows", "_waiting")

    def __init__(self, dataset: h5py.Dataset, start: int = 0):
        self._dataset = dataset
        self._rest: tuple[int, ...] = dataset.shape[1:]
        self._rows = start
        self._waiting: list[Array] = []

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self._rows + sum(len(block) for block in self._waiting)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self._rest

    def append(self, values: Array | Frames, present: Mask | None) -> None:
        """Add one row per event; those that are not ``present`` are empty."""
        if present is None:
            self._waiting.append(np.asarray(values))
        else:
            block = np.full((len(present), *self._rest), "", object)
            if len(values):
                block[present] = values
            self._waiting.append(block)
        if self.rows - self._rows >= CHUNK_ROWS:
            self.flush()

    def skip(self, rows: int) -> None:
        """Add missing rows."""
        self.append(np.empty(0, object), np.zeros(rows, bool))

    def copy(self, source: Source, first: int, last: int) -> None:
        """Add rows of a dataset that was made like this one."""
        self.append(source.texts(first, last), None)

    def flush(self) -> None:
        """Hand all rows to the file."""
        if not self._waiting:
            return
        block = np.concatenate(self._waiting)
        self._dataset.resize((self._rows + len(block), *self._rest))
        if block.size:
            self._dataset[self._rows :] = block
        self._rows += len(block)
        self._waiting.clear()

    def close(self) -> None:
        """Hand all rows to the file."""
        self.flush()


def create(
    group: h5py.Group,
    path: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    *,
    rows: int = 0,
    missing: Any = None,
    compression: str = "none",
    most_rows: int = CHUNK_ROWS,
) -> h5py.Dataset:
    """A dataset of ``rows`` missing rows that can grow.

    ``missing`` is `missing_value` of the dtype unless given.
    """
    missing = missing_value(dtype) if missing is None else missing
    stored = storage_dtype(dtype)
    is_text = stored.kind == "T"
    dataset = group.create_dataset(
        path,
        shape=(rows, *shape),
        maxshape=(None, *(n or None for n in shape)),
        dtype=h5py.string_dtype() if is_text else stored,
        chunks=chunk_shape(shape, stored.itemsize, most_rows),
        fillvalue=missing,
        # Whole chunks are written; a cache would only copy them once more.
        rdcc_nbytes=None if is_text else 0,
        **({} if is_text else FILTERS[compression]),
    )
    dataset.attrs["missing_value"] = missing
    return dataset
