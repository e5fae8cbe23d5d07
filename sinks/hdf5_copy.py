"""A file of the same job to copy rows from: its chunks as they are, not decompressed."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.errors import OutputError

Chunk = tuple[int, memoryview]
"""Which filters were left out, and the bytes."""


class Part:
    """An HDF5 file of ours, open to copy rows from."""

    def __init__(self, path: Path):
        """OutputError if the file cannot be read."""
        self.path = path
        try:
            # Rows are read once, and chunks past HDF5: a cache would be of no use.
            self._file = h5py.File(path, "r", rdcc_nbytes=0, locking=False)
            with path.open("rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except OSError as error:
            raise OutputError(f"{path} cannot be read: {error}") from error
        self._sources: dict[str, Source | None] = {}
        self._passed: dict[str, tuple[int, int]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of the file."""
        return len(self._bytes)

    def dataset(self, name: str) -> Source | None:
        """The dataset ``name``; None where this part has none."""
        if name not in self._sources:
            found = self._file.get(name)
            source = Source(found, self._bytes) if found is not None else None
            self._sources[name] = source
        return self._sources[name]

    def present(self, name: str) -> Source:
        """The dataset ``name``; OutputError where this part has none."""
        source = self.dataset(name)
        if source is None:
            raise OutputError(f"{self.path} is damaged: it has no {name}")
        return source

    def timestamps(self, first: int, last: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """The timestamps of some rows."""
        return self.present("timestamp").rows(first, last).view(np.uint64)

    def values_of(self, lengths: str, first: int, last: int) -> tuple[int, int]:
        """Where the values of some rows begin and end in columns of varying length."""
        source = self.present(lengths)
        row, begin = self._passed.get(lengths, (0, 0))
        if row > first:
            row = begin = 0
        begin += int(source.rows(row, first).sum())
        end = begin + int(source.rows(first, last).sum())
        self._passed[lengths] = (last, end)
        return begin, end

    def close(self) -> None:
        """Let go of the file."""
        self._sources.clear()
        self._file.close()
        self._bytes.close()


class Source:
    """A dataset to copy rows from."""

    def __init__(self, dataset: h5py.Dataset, file: mmap.mmap):
        self._dataset, self._bytes = dataset, file
        self.shape: tuple[int, ...] = dataset.shape
        self._chunks: dict[int, list[tuple[tuple[int, ...], int, int, int]]] | None = None

    def rows(self, first: int, last: int) -> Array:
        """Some rows, decoded."""
        values: Array = self._dataset[first:last]
        return values

    def texts(self, first: int, last: int) -> Array:
        """Some rows of text."""
        values: Array = self._dataset.asstr()[first:last]
        return values

    def chunks(self, row: int) -> Iterator[tuple[tuple[int, ...], Chunk]]:
        """The chunks that begin in ``row``, each with its place in a row.

        Rows of nothing but missing values may have none.
        """
        if self._chunks is None:
            self._chunks = {}
            self._dataset.id.chunk_iter(self._note)
        for rest, mask, at, size in self._chunks.get(row, ()):
            yield rest, (mask, memoryview(self._bytes)[at : at + size])

    def _note(self, chunk: Any) -> None:
        assert self._chunks is not None
        row, *rest = chunk.chunk_offset
        self._chunks.setdefault(row, []).append(
            (tuple(rest), chunk.filter_mask, chunk.byte_offset, chunk.size)
        )
