"""The file while it is written: partial, but it opens whenever the job is killed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from time import monotonic

import h5py
import numpy as np
from numpy.typing import NDArray

from sinks import hdf5_notes as notes
from sinks.hdf5_columns import DenseColumn, RaggedColumns, Timestamps
from sinks.hdf5_copy import Part
from sinks.hdf5_disk import OrderedFile
from sinks.hdf5_layout import check_increasing, shared_lengths
from sinks.hdf5_rows import CHUNK_ROWS
from smalldata_stream.batch import Column
from smalldata_stream.errors import OutputError, WriteFailed
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Result

_H5C_OFF = 0


def partial_names(path: Path) -> Iterator[Path]:
    """Where this job may write until the file is whole, one after the other.

    >>> next(partial_names(Path("/data/run7.h5"))).name.startswith(".run7.h5.")
    True
    """
    job = f"{socket.gethostname()}-{os.getpid()}"
    return (path.parent / f".{path.name}.{job}-{n}.partial" for n in count(1))


def partial_name(path: Path) -> Path:
    """Where this job writes next; no two jobs share it."""
    return next(name for name in partial_names(path) if not os.path.lexists(name))


class PartialFile:
    """An open HDF5 file and its columns.

    Between two flushes HDF5 keeps its index in memory and nothing but chunks goes to the
    disk, so that a killed job leaves the file of the last flush. So does whatever fails in
    the middle of writing. A job killed in the milliseconds of a flush may leave some
    columns longer than others; the root attribute ``rows``, written after all, says up to
    where the file is whole.
    """

    def __init__(
        self, path: Path, declaration: Declaration, compression: str, pause: float
    ):
        self.path, self.closed = path, False
        self._declaration, self._pause = declaration, pause
        self._last = -1
        self._kept = 0
        self._disk = _created(path)
        self._file = _opened(self._disk)
        try:
            with self._whole():
                self._lay_out(compression)
                self._flush()
        except BaseException:
            path.unlink(missing_ok=True)  # there is nothing in it
            raise

    def append(self, timestamps: NDArray[np.uint64], record: Mapping[str, Column]) -> None:
        """Add events: all columns or, where one does not fit, none."""
        check_increasing(self._last, timestamps)
        self._check_lengths(len(timestamps), record)
        if not len(timestamps):
            return
        dense = [(column, column.checked(record[column.path])) for column in self._dense]
        ragged = [(group, group.checked(record, timestamps)) for group in self._ragged]
        done, new = self._timestamps.rows, False
        with self._whole():
            for column, values in dense:
                new |= column.append(values, record[column.path].present, done)
            for group, (lengths, parts) in ragged:
                new |= group.append(lengths, parts)
            self._timestamps.append(timestamps)
            self._last = int(timestamps[-1])
            if new or monotonic() - self._flushed >= self._pause:
                self._flush()

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self._timestamps.rows

    def checkpoint(self) -> None:
        """Have all rows so far on the disk, safe from whatever comes."""
        with self._whole():
            self._flush()
            self._disk.sync()

    def copy(self, part: Part, first: int, last: int) -> None:
        """Add the rows ``first`` to ``last`` of another file of the same declaration."""
        if first == last:
            return
        check_increasing(self._last, part.timestamps(first, last))
        done = self._timestamps.rows
        with self._whole():
            for column in self._dense:
                column.copy(part, first, last, done)
            for group in self._ragged:
                group.copy(part, first, last)
            self._timestamps.copy(part, first, last)
            self._last = int(part.timestamps(last - 1, last)[0])

    def finish(self, totals: Mapping[str, Result], ledger: Ledger) -> list[str]:
        """Write what comes at the end and close; returns the paths that have no dataset."""
        with self._whole():
            self._close_columns()
            never = [column.path for column in self._dense if not column.seen]
            never += notes.write_totals(self._file, self._declaration.totals, totals)
            notes.write_plots(self._file, self._declaration.plots)
            notes.write_never_seen(self._file, never)
            notes.write_ledger(self._file, ledger)
            self._commit()
            self._file.attrs["complete"] = True
            self._close_file()
        return never

    def close(self) -> None:
        """Flush and close as it is, incomplete."""
        with self._whole():
            self._close_columns()
            self._commit()
            self._close_file()

    def _lay_out(self, compression: str) -> None:
        file, outputs = self._file, self._declaration.outputs
        notes.write_head(file, self._declaration)
        rows = min(CHUNK_ROWS, max(self._declaration.run.events or CHUNK_ROWS, 1))
        self._timestamps = Timestamps(file, rows)
        self._dense = [
            DenseColumn(file, path, spec, compression, rows)
            for path, spec in outputs.items()
            if spec.kind != "ragged"
        ]
        self._ragged = [
            RaggedColumns(file, lengths, {p: outputs[p] for p in paths}, compression, rows)
            for lengths, paths in shared_lengths(outputs).items()
        ]

    def _check_lengths(self, events: int, record: Mapping[str, Column]) -> None:
        for path in self._declaration.outputs:
            if path not in record:
                raise OutputError(f"{path} is declared, but the record does not have it")
            if len(record[path]) != events:
                raise OutputError(
                    f"{path} has {len(record[path])} events beside {events} timestamps"
                )

    def _columns(self) -> Iterator[DenseColumn | RaggedColumns | Timestamps]:
        """All columns; the timestamps last, as they say how many rows are whole."""
        yield from self._dense
        yield from self._ragged
        yield self._timestamps

    def _close_columns(self) -> None:
        for column in self._columns():
            column.close()

    def _flush(self) -> None:
        for column in self._columns():
            column.flush()
        self._commit()

    def _commit(self) -> None:
        """Everything to the disk, and after it the number of rows that are whole."""
        with self._disk.flush_in_order():
            self._file.flush()
        with self._disk.flush_in_order():
            self._file.attrs.modify("rows", self._timestamps.rows)
            self._file.flush()
        self._flushed, self._kept = monotonic(), self._timestamps.rows

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """All of the block, or the file is left as the last flush made it."""
        try:
            yield
            self._disk.check()
        except (OSError, RuntimeError) as error:
            self.abandon()
            raise WriteFailed(self.path, _reason(error), self._kept) from error
        except BaseException:
            self.abandon()
            raise

    def _close_file(self) -> None:
        with self._disk.flush_in_order():
            self._file.close()
        self._disk.close()
        self.closed = True

    def abandon(self) -> None:
        """Close; what HDF5 still holds would be half of an index and is not written."""
        self.closed = True
        self._disk.ignore()
        with suppress(OSError, RuntimeError):
            self._file.close()
        self._disk.close()


def _created(path: Path) -> OrderedFile:
    try:
        return OrderedFile(path)
    except (FileNotFoundError, NotADirectoryError):
        raise OutputError(f"there is no directory {path.parent}; make it first") from None
    except OSError as error:
        raise WriteFailed(path, _reason(error), 0) from error


def _opened(disk: OrderedFile) -> h5py.File:
    """HDF5 on ``disk``, keeping its index in memory between two flushes.

    The oldest format opens right after a kill, and with the tools of HDF5 1.10; the newer
    one refuses until ``h5clear`` is run.
    """
    file = h5py.File(disk, "w", libver=("earliest", "v110"))
    config = file.id.get_mdc_config()
    config.evictions_enabled = False
    config.incr_mode = config.flash_incr_mode = config.decr_mode = _H5C_OFF
    file.id.set_mdc_config(config)
    return file


def _reason(error: Exception) -> str:
    """The system's reason, in one line."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error).partition("\n")[0]
