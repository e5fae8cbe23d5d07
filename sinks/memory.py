"""A sink that keeps everything in memory: for tests and notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Column, Frames, Ragged, Values, concatenate
from smalldata_stream.errors import OutputError, did_you_mean
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Declaration, Result, Spec


class MemorySink(Mapping[str, Column]):
    """All columns of a run by path, as they come; frames are copied.

    Attributes
    ----------
    declaration
        What the sink was told at the beginning; None before.
    totals, ledger
        What it was told at the end.
    complete
        True after ``end``.

    Examples
    --------
    >>> from smalldata_stream.run import RunInfo
    >>> sink = MemorySink()
    >>> run = RunInfo(exp="", number=1, detectors={})
    >>> sink.begin(Declaration(run=run, outputs={"gmd/energy": Spec(dtype=np.dtype("f8"))}))
    >>> gap = Column(np.array([2.5]), np.array([False, True]))
    >>> sink.write(np.array([1, 2], np.uint64), {"gmd/energy": gap})
    >>> sink["gmd/energy"].mask.tolist(), sink["gmd/energy"].values.tolist()
    ([False, True], [2.5])
    """

    def __init__(self) -> None:
        self.declaration: Declaration | None = None
        self.totals: Mapping[str, Result] = {}
        self.ledger: Ledger | None = None
        self.complete = False
        self._writing = False
        self._timestamps: list[NDArray[np.uint64]] = []
        self._columns: dict[str, list[Column]] = {}

    def begin(self, declaration: Declaration) -> None:
        """Make ready for a run; what an earlier run left is gone."""
        if self._writing:
            raise OutputError("the memory sink is already in a run: end or abort it first")
        self.declaration = declaration
        self.totals, self.ledger, self.complete = {}, None, False
        self._timestamps = []
        self._columns = {path: [] for path in declaration.outputs}
        self._writing = True

    def write(self, timestamps: NDArray[np.uint64], record: Mapping[str, Column]) -> None:
        """Keep the declared columns; OutputError if one is absent or of another length."""
        self._check_writing("write")
        for path in self._columns:
            if path not in record:
                raise OutputError(f"{path} is declared, but the record does not have it")
            if len(record[path]) != len(timestamps):
                raise OutputError(
                    f"{path} has {len(record[path])} events beside {len(timestamps)} "
                    "timestamps"
                )
        self._timestamps.append(np.array(timestamps, np.uint64))
        for path, parts in self._columns.items():
            parts.append(_kept(record[path]))

    def end(self, totals: Mapping[str, Result], ledger: Ledger) -> None:
        """Keep the totals and the ledger."""
        self._check_writing("end")
        self.totals, self.ledger = dict(totals), ledger
        self._writing, self.complete = False, True

    def abort(self) -> None:
        """Stop; what was written stays."""
        self._writing = False

    @property
    def timestamps(self) -> NDArray[np.uint64]:
        """Timestamps of all events so far, ``(events,)``."""
        return np.concatenate([np.empty(0, np.uint64), *self._timestamps])

    def __getitem__(self, path: str) -> Column:
        """The column ``path`` of all events so far."""
        if self.declaration is None or path not in self._columns:
            raise KeyError(f"no column {path!r}; " + did_you_mean(path, self._columns))
        return _joined(self._columns[path], self.declaration.outputs[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def _check_writing(self, what: str) -> None:
        if not self._writing:
            raise OutputError(f"{what} outside of a run: the memory sink needs begin first")


def _kept(column: Column) -> Column:
    """A copy that outlives the batch."""
    values: Values
    if isinstance(column.values, Frames):
        frames = [frame.copy() for frame in column.values]
        values = Frames(frames, shape=column.values.shape, dtype=column.values.dtype)
    elif isinstance(column.values, Ragged):
        values = Ragged(column.values.values.copy(), column.values.offsets.copy())
    else:
        values = column.values.copy()
    return Column(values, None if column.present is None else column.present.copy())


def _joined(parts: list[Column], spec: Spec) -> Column:
    """One column of all; batches without a value do not decide dtype and shape."""
    present = np.concatenate([np.empty(0, bool), *(part.mask for part in parts)])
    with_values = [part.values for part in parts if len(part.values)]
    if with_values:
        return Column(concatenate(with_values), present)
    empty: Values = np.empty((0, *(spec.shape or ())), spec.dtype)
    if spec.kind == "frames":
        empty = Frames([], shape=spec.shape, dtype=spec.dtype)
    elif spec.kind == "ragged":
        empty = Ragged.of([], spec.dtype)
    return Column(empty, present)
