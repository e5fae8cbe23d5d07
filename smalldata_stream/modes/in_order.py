"""What several workers give, in order of time within a bounded window."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Column
from smalldata_stream.columns import gaps, join, reordered
from smalldata_stream.protocols import Spec
from smalldata_stream.sources.shmem_losses import Gaps
from smalldata_stream.timestamps import nanoseconds

Times = NDArray[np.uint64]
Rows = tuple[Times, Mapping[str, Column]]


@dataclass(slots=True)
class _Waiting:
    """What one batch gave, and when it came."""

    came: float
    timestamps: Times
    enabled: Times
    kept: Times
    record: Mapping[str, Column]


@dataclass(slots=True)
class InOrder:
    """Rows of several workers, handed on in order of time.

    A row is handed on once every worker has got past its time, or after ``seconds`` in any
    case: a worker without events must not hold the others up. What comes after later rows
    were handed on is left out and counted in ``late``, what comes twice in ``twice``.
    ``gaps`` counts the events that no worker got.

    >>> rows = InOrder({"x": Spec(dtype=np.dtype(int))}, seconds=10.0)
    >>> def batch(*times):
    ...     stamps = np.array(times, np.uint64)
    ...     return stamps, stamps * 0, stamps, {"x": Column(stamps.astype(int))}
    >>> rows.put("a", *batch(1, 3, 5))
    >>> rows.put("b", *batch(2, 4))
    >>> [times.tolist() for times, _ in rows.ready({"a", "b"})]
    [[1, 2, 3, 4]]
    """

    outputs: Mapping[str, Spec]
    seconds: float
    gaps: Gaps = field(default_factory=Gaps)
    late: int = 0
    twice: int = 0
    _waiting: list[_Waiting] = field(default_factory=list)
    _newest: dict[object, int] = field(default_factory=dict)
    _last: int = -1
    _last_seen: tuple[int, int] | None = None

    @property
    def depth(self) -> int:
        """Rows that wait."""
        return sum(len(one.kept) for one in self._waiting)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows that wait."""
        columns = (column for one in self._waiting for column in one.record.values())
        return sum(column.values.nbytes for column in columns)

    def put(
        self,
        worker: object,
        timestamps: Times,
        enabled: Times,
        kept: Times,
        record: Mapping[str, Column],
    ) -> None:
        """Take what a batch of a worker gave; ``kept`` are the times of its rows."""
        if not len(timestamps):
            return
        now = time.monotonic()
        self._newest[worker] = max(int(timestamps[-1]), self._newest.get(worker, -1))
        self._waiting.append(_Waiting(now, timestamps, enabled, kept, record))

    def leave(self, worker: object) -> None:
        """Wait for this worker no more."""
        self._newest.pop(worker, None)

    def ready(self, workers: Collection[object], *, overdue: bool = True) -> Iterator[Rows]:
        """The rows that can be handed on while these workers may bring more.

        With ``overdue``, those too that have waited for ``seconds``.
        """
        if not self._waiting:
            return
        limit = min((self._newest.get(one, -1) for one in workers), default=None)
        if limit is None:
            yield from self._until(None)
            return
        if overdue:
            old = time.monotonic() - self.seconds
            late = [int(one.timestamps[-1]) for one in self._waiting if one.came <= old]
            limit = max([limit, *late])
        yield from self._until(limit)

    def _until(self, limit: int | None) -> Iterator[Rows]:
        """Hand on what is not later than ``limit``."""
        now, later = [], []
        for one in self._waiting:
            if limit is None or one.timestamps[-1] <= limit:
                now.append(one)
            elif one.timestamps[0] > limit:
                later.append(one)
            else:
                first, second = _cut(one, limit)
                now.append(first)
                later.append(second)
        self._waiting = later
        if now:
            self._look_for_gaps(now)
            rows = self._merged([one for one in now if len(one.kept)])
            if rows is not None:
                yield rows

    def _merged(self, parts: list[_Waiting]) -> Rows | None:
        if not parts:
            return None
        times = np.concatenate([one.kept for one in parts])
        order = np.argsort(times, kind="stable")
        sizes = [len(one.kept) for one in parts]
        record: dict[str, Column] = {}
        for path, spec in self.outputs.items():
            columns = [
                one.record[path] if path in one.record else gaps(spec, size)
                for one, size in zip(parts, sizes, strict=True)
            ]
            record[path] = reordered(join(columns), order)
        times = times[order]
        again = np.zeros(len(times), bool)
        again[1:] = times[1:] == times[:-1]
        late = np.zeros(len(times), bool)
        if self._last >= 0:
            again |= times == np.uint64(self._last)
            late = times < np.uint64(self._last)
        self.twice += int(np.count_nonzero(again & ~late))
        self.late += int(np.count_nonzero(late))
        good = ~(again | late)
        if not good.all():
            times = times[good]
            record = {path: column.select(good) for path, column in record.items()}
        if not len(times):
            return None
        self._last = int(times[-1])
        return times, record

    def _look_for_gaps(self, parts: list[_Waiting]) -> None:
        """Count the events between those that came that no worker has got."""
        times = np.concatenate([one.timestamps for one in parts])
        enabled = np.concatenate([one.enabled for one in parts])
        order = np.argsort(times, kind="stable")
        times, enabled = times[order], enabled[order]
        if self._last_seen is not None:
            last, its = self._last_seen
            later = times > np.uint64(last)  # one that comes late fills a gap: see below
            self.gaps.missing = max(0, self.gaps.missing - int(np.count_nonzero(~later)))
            times = np.concatenate([np.array([last], np.uint64), times[later]])
            enabled = np.concatenate([np.array([its], np.uint64), enabled[later]])
        together = enabled[1:] == enabled[:-1]
        self.gaps.add(np.diff(nanoseconds(times))[together])
        self._last_seen = (int(times[-1]), int(enabled[-1]))


def _cut(one: _Waiting, limit: int) -> tuple[_Waiting, _Waiting]:
    """What is not later than ``limit``, and the rest."""

    def part(early: bool) -> _Waiting:
        seen = (one.timestamps <= limit) == early
        rows = (one.kept <= limit) == early
        record = {path: column.select(rows) for path, column in one.record.items()}
        times, enabled = one.timestamps[seen], one.enabled[seen]
        return _Waiting(one.came, times, enabled, one.kept[rows], record)

    return part(True), part(False)
