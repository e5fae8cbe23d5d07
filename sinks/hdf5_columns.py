"""The columns of the record as datasets: what is checked, and where it goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from sinks.hdf5_copy import Part
from sinks.hdf5_layout import missing_value, storage_dtype, text, texts
from sinks.hdf5_rows import Rows, TextRows, create
from smalldata_stream.batch import Array, Column, Frames, Mask, Ragged
from smalldata_stream.errors import OutputError
from smalldata_stream.protocols import Spec

COMPRESS_FROM = 1024
"""Bytes per event from which a dataset is compressed.

Below it a chunk that is not full can be written again in place, at memory speed; and next
to frames the scalars are not what fills the disk.
"""
RAGGED_CHUNK = 1 << 16


def describe(dataset: h5py.Dataset, spec: Spec) -> None:
    """Unit and long name as attributes, where there is one."""
    if spec.unit:
        dataset.attrs["units"] = text(spec.unit)
    if spec.long_name:
        dataset.attrs["long_name"] = text(spec.long_name)


class DenseColumn:
    """One dataset with a row per event; made at the first value if the shape is unknown."""

    def __init__(self, file: h5py.File, path: str, spec: Spec, compression: str, rows: int):
        self._file, self.path, self.spec = file, path, spec
        self._compression, self._most_rows = compression, rows
        self._rows: Rows | TextRows | None = None
        if spec.shape is not None:
            self._rows = self._make(spec.shape, 0)
        elif "/" in path:
            # Now, so that the dataset can be added later without moving the names above.
            file.require_group(path.rpartition("/")[0])

    @property
    def seen(self) -> bool:
        """False as long as there is no dataset for want of a shape."""
        return self._rows is not None

    def checked(self, column: Column) -> Array | Frames:
        """The values as they can be written; OutputError if they do not fit."""
        values = column.values
        if isinstance(values, Ragged):
            raise OutputError(
                f"{self.path} got values of varying length; declare it as 'ragged'"
            )
        if not len(values):
            return np.empty(0, self.spec.dtype)
        shape = values.shape if isinstance(values, Frames) else values.shape[1:]
        want = self._rows.shape if self._rows else shape
        if shape != want:
            raise OutputError(f"{self.path} has shape {want}, but got a value of {shape}")
        check_dtype(self.path, values.dtype, self.spec)
        if storage_dtype(self.spec.dtype).kind == "T":
            return texts(np.asarray(values))
        return values

    def append(self, values: Array | Frames, present: Mask | None, done: int) -> bool:
        """Add rows; True if the dataset had to be made for it, ``done`` rows long."""
        new = False
        if self._rows is None:
            if not len(values):
                return False
            shape = values.shape if isinstance(values, Frames) else values.shape[1:]
            self._rows = self._make(shape, done)
            new = True
        self._rows.append(values, present)
        return new

    def copy(self, part: Part, first: int, last: int, done: int) -> None:
        """Add rows of a part; the dataset is made where it is the first that has one."""
        source = part.dataset(self.path)
        if source is None:
            if self._rows is not None:
                self._rows.skip(last - first)
            return
        if self._rows is None:
            self._rows = self._make(source.shape[1:], done)
        if source.shape[1:] != self._rows.shape:
            raise OutputError(
                f"{self.path} has shape {self._rows.shape}, but got a value of "
                f"{source.shape[1:]}"
            )
        self._rows.copy(source, first, last)

    def flush(self) -> None:
        """Hand all rows to the file."""
        if self._rows is not None:
            self._rows.flush()

    def close(self) -> None:
        """Hand all rows to the file; there will be no more."""
        if self._rows is not None:
            self._rows.close()

    def _make(self, shape: tuple[int, ...], start: int) -> Rows | TextRows:
        stored = storage_dtype(self.spec.dtype)
        small = math.prod(shape) * stored.itemsize < COMPRESS_FROM
        dataset = create(
            self._file,
            self.path,
            self.spec.dtype,
            shape,
            rows=start,
            compression="none" if small else self._compression,
            most_rows=self._most_rows,
        )
        describe(dataset, self.spec)
        if stored.kind == "T":
            return TextRows(dataset, start)
        return Rows(dataset, start)


class RaggedColumns:
    """Columns of varying length that share their lengths: values back to back."""

    def __init__(
        self,
        file: h5py.File,
        lengths: str,
        columns: Mapping[str, Spec],
        compression: str,
        rows: int,
    ):
        self._file, self._specs, self._compression = file, columns, compression
        self._name = lengths
        counts = create(file, lengths, np.dtype(np.int64), (), missing=0, most_rows=rows)
        counts.attrs["long_name"] = "number of values of each event"
        self._lengths = Rows(counts)
        self._values: dict[str, Rows] = {}

    def checked(
        self, record: Mapping[str, Column], timestamps: np.ndarray[Any, np.dtype[np.uint64]]
    ) -> tuple[Array, dict[str, Array]]:
        """Length per event and values per path; OutputError if they do not fit."""
        values: dict[str, Array] = {}
        lengths: dict[str, Array] = {}
        for path, spec in self._specs.items():
            lengths[path], values[path] = self._checked(path, spec, record[path])
        first, *others = lengths
        for other in others:
            differ = np.flatnonzero(lengths[first] != lengths[other])
            if len(differ):
                at = int(differ[0])
                raise OutputError(
                    f"{first} has {lengths[first][at]} values and {other} has "
                    f"{lengths[other][at]} in event {int(timestamps[at])}; columns that "
                    f"share {self._name} must have equal lengths"
                )
        return lengths[first], values

    def append(self, lengths: Array, values: Mapping[str, Array]) -> bool:
        """Add events; True if a dataset had to be made for it."""
        new = False
        for path, part in values.items():
            if not len(part):
                continue
            if path not in self._values:
                self._make(path, part.shape[1:])
                new = True
            self._values[path].append(part, None)
        self._lengths.append(lengths, None)
        return new

    def copy(self, part: Part, first: int, last: int) -> None:
        """Add the values of rows of a part."""
        lengths = part.present(self._name)
        begin, end = part.values_of(self._name, first, last)
        for path in self._specs if end > begin else ():
            source = part.present(path)
            if path not in self._values:
                self._make(path, source.shape[1:])
            if source.shape[1:] != self._values[path].shape:
                raise OutputError(
                    f"{path} holds values of shape {self._values[path].shape}, but got "
                    f"{source.shape[1:]}"
                )
            self._values[path].copy(source, begin, end)
        self._lengths.copy(lengths, first, last)

    def flush(self) -> None:
        """Hand all rows to the file."""
        for rows in self._values.values():
            rows.flush()
        self._lengths.flush()

    def close(self) -> None:
        """Hand all to the file; columns that never got a value become empty datasets."""
        for path in self._specs:
            if path not in self._values:
                self._make(path, ())
        for rows in (*self._values.values(), self._lengths):
            rows.close()

    def _checked(self, path: str, spec: Spec, column: Column) -> tuple[Array, Array]:
        lengths = np.zeros(len(column), np.int64)
        if not len(column.values):
            return lengths, np.empty(0, spec.dtype)
        if not isinstance(column.values, Ragged):
            raise OutputError(f"{path} is declared 'ragged', but got values of one shape")
        ragged = column.values
        lengths[column.mask] = ragged.lengths
        values = ragged.values[ragged.offsets[0] : ragged.offsets[-1]]
        if len(values):
            check_dtype(path, values.dtype, spec)
            if path in self._values and values.shape[1:] != self._values[path].shape:
                raise OutputError(
                    f"{path} holds values of shape {self._values[path].shape}, but got "
                    f"{values.shape[1:]}"
                )
        return lengths, values

    def _make(self, path: str, rest: tuple[int, ...]) -> None:
        spec = self._specs[path]
        dataset = create(
            self._file,
            path,
            spec.dtype,
            rest,
            compression=self._compression,
            most_rows=RAGGED_CHUNK,
        )
        dataset.attrs["lengths"] = "/" + self._name
        describe(dataset, spec)
        self._values[path] = Rows(dataset)


class Timestamps:
    """``/timestamp`` as psana writes it: int64, seconds since 1990 << 32 | nanoseconds."""

    def __init__(self, file: h5py.File, rows: int):
        dtype = np.dtype(np.int64)
        dataset = create(file, "timestamp", dtype, (), most_rows=rows)
        dataset.attrs["long_name"] = "seconds since 1990-01-01 << 32 | nanoseconds"
        self._rows = Rows(dataset)

    @property
    def rows(self) -> int:
        """Events so far."""
        return self._rows.rows

    def append(self, timestamps: np.ndarray[Any, np.dtype[np.uint64]]) -> None:
        """Add events."""
        self._rows.append(np.ascontiguousarray(timestamps).view(np.int64), None)

    def copy(self, part: Part, first: int, last: int) -> None:
        """Add those of rows of a part."""
        self._rows.copy(part.present("timestamp"), first, last)

    def flush(self) -> None:
        """Hand all rows to the file."""
        self._rows.flush()

    def close(self) -> None:
        """Hand all rows to the file; there will be no more."""
        self._rows.close()


def check_dtype(path: str, dtype: np.dtype[Any], spec: Spec) -> None:
    """OutputError if values of ``dtype`` would lose something as what was declared."""
    if storage_dtype(spec.dtype).kind == "T":
        fits = dtype.kind in "TSUO"
    else:
        fits = np.can_cast(dtype, spec.dtype, "safe")
    if not fits:
        raise OutputError(f"{path} is declared as {spec.dtype}, but got {dtype}")


def missing_total(spec: Spec) -> Array | None:
    """What is written for a total that was never made; None where the shape is unknown."""
    if spec.shape is None:
        return None
    return np.full(spec.shape, missing_value(spec.dtype), storage_dtype(spec.dtype))
