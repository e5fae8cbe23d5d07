"""What every source has to keep, as tests: subclass and say what must come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import (
    STRING,
    Batch,
    BatchLimits,
    Column,
    Frames,
    Ragged,
    Signal,
    Status,
    Values,
)
from smalldata_stream.protocols import Run, Source
from smalldata_stream.run import FieldInfo


class SourceContract(ABC):
    """Tests of the first run of a source.

    A subclass named ``Test...`` gives `source` and `expected`, and may give `steps`::

        class TestMySource(SourceContract):
            def source(self) -> Source:
                return MySource(path)

            def expected(self) -> Mapping[int, Mapping[Signal, Any]]:
                return {1000: {Signal("gmd", "raw", "energy"): 0.5}}

    The oracle has to be independent: the truth of a simulation, another reader, numbers
    written out; never the source itself.
    """

    @abstractmethod
    def source(self) -> Source:
        """A fresh source."""

    @abstractmethod
    def expected(self) -> Mapping[int, Mapping[Signal, Any]]:
        """All events by timestamp, and of each event all signals that the tests ask for.

        None is a gap; a `Status` is a gap of a detector in that state.
        """

    def steps(self) -> Mapping[int, int] | None:
        """The scan step of each event by timestamp; None leaves steps untested."""
        return None

    def run_of_source(self) -> Run:
        """The run under test, of a fresh source."""
        return next(iter(self.source().runs()))

    def signals(self) -> list[Signal]:
        """The signals of `expected`."""
        return list(dict.fromkeys(s for row in self.expected().values() for s in row))

    # ------------------------------------------------------------------------ the tests

    def test_there_is_something_to_compare_with(self) -> None:
        """An oracle without events or without values would pass everything."""
        rows = self.expected().values()
        seen = {s for row in rows for s, value in row.items() if not _is_gap(value)}
        assert seen == set(self.signals()) != set()
        assert all(row.keys() == seen for row in rows)

    def test_info_is_known_before_the_first_event(self) -> None:
        """Every signal is announced."""
        info = self.run_of_source().info
        announced = {s for one in info.detectors.values() for s in one.signals()}
        assert set(self.signals()) <= announced
        assert all(name == one.name for name, one in info.detectors.items())

    @pytest.mark.parametrize("events", [1, 7, 1000])
    def test_every_event_comes_once_in_time_order(self, events: int) -> None:
        """Timestamps are uint64 and strictly increasing; steps are as they were."""
        batches = list(self.run_of_source().batches([], BatchLimits(events=events)))
        timestamps = np.concatenate([batch.timestamps for batch in batches])
        assert timestamps.dtype == np.uint64
        assert timestamps.tolist() == sorted(self.expected())
        steps = np.concatenate([batch.steps for batch in batches])
        assert steps.dtype == np.int32
        expected = self.steps()
        if expected is not None:
            assert steps.tolist() == [expected[t] for t in timestamps.tolist()]

    @pytest.mark.parametrize("events", [1, 7, 1000])
    def test_values_are_the_expected_ones(self, events: int) -> None:
        """Values and gaps are right, and do not depend on how the events are cut."""
        expected = self.expected()
        given: list[int] = []
        for batch in self._batches(BatchLimits(events=events)):
            given += batch.timestamps.tolist()
            for signal, column in batch.columns.items():
                for timestamp, value in zip(batch.timestamps, _each(column), strict=True):
                    _compare(
                        signal, int(timestamp), value, expected[int(timestamp)][signal]
                    )
        assert given == sorted(expected)  # as many as where no signal is asked for

    @pytest.mark.parametrize("events", [1, 7, 1000])
    def test_status_says_why_there_are_gaps(self, events: int) -> None:
        """A detector that is not OK has gaps only; one that has gaps only is not OK."""
        expected = self.expected()
        for batch in self._batches(BatchLimits(events=events)):
            assert batch.status.keys() == {signal.detector for signal in batch.columns}
            for i, timestamp in enumerate(batch.timestamps.tolist()):
                for name, states in batch.status.items():
                    row = expected[timestamp]
                    values = [row[s] for s in batch.columns if s.detector == name]
                    _compare_status(name, timestamp, Status(states[i]), values)

    @pytest.mark.parametrize(
        "limits",
        [BatchLimits(events=1), BatchLimits(events=7), BatchLimits(bytes=5000)],
        ids=["1 event", "7 events", "5000 bytes"],
    )
    def test_batches_keep_their_limits(self, limits: BatchLimits) -> None:
        """No batch is empty; none goes on when a limit is reached."""
        for batch in self._batches(limits):
            assert 1 <= len(batch) <= limits.events
            without_last = np.arange(len(batch)) < len(batch) - 1
            before = [column.select(without_last) for column in batch.columns.values()]
            assert sum(column.values.nbytes for column in before) <= limits.bytes

    def test_only_what_was_asked_for_comes(self) -> None:
        """One signal asked for is one column, and its detector's status."""
        for signal in self.signals():
            for batch in self.run_of_source().batches([signal], BatchLimits()):
                assert list(batch.columns) == [signal]
                assert list(batch.status) == [signal.detector]

    def test_values_cannot_be_written(self) -> None:
        """Every array is read-only."""
        for batch in self._batches(BatchLimits()):
            for signal, column in batch.columns.items():
                assert not any(a.flags.writeable for a in _arrays(column.values)), signal

    def test_values_are_as_declared(self) -> None:
        """Kind, dtype, rank and shape are those of the run's `FieldInfo`."""
        run = self.run_of_source()
        fields = {s: run.info.detector(s.detector).fields[s[1:]] for s in self.signals()}
        for batch in run.batches(self.signals(), BatchLimits()):
            for signal, column in batch.columns.items():
                _check_field(signal, fields[signal], column.values)

    def test_numbers_of_the_run(self) -> None:
        """The number of events, where it is known beforehand, may count those lost."""
        run = self.run_of_source()
        delivered = sum(len(batch) for batch in run.batches([], BatchLimits()))
        lost = sum(fault.events for fault in run.faults)
        if run.info.events is not None:
            assert delivered <= run.info.events <= delivered + lost

    def _batches(self, limits: BatchLimits) -> Iterator[Batch]:
        signals = self.signals()
        for batch in self.run_of_source().batches(signals, limits):
            assert list(batch.columns) == signals
            yield batch


def _is_gap(value: Any) -> bool:
    return value is None or isinstance(value, Status)


def _each(column: Column) -> Iterator[Any]:
    """The value of each event, None where there is a gap."""
    values = iter(column.values)
    return (next(values) if there else None for there in column.mask)


def _compare(signal: Signal, timestamp: int, value: Any, expected: Any) -> None:
    where = f"{signal} at {timestamp}"
    if _is_gap(expected):
        assert value is None, f"{where}: {value} where there is nothing"
    else:
        assert value is not None, f"{where}: a gap in place of {expected}"
        np.testing.assert_array_equal(value, expected, err_msg=where)
        assert np.shape(value) == np.shape(expected), where


def _compare_status(name: str, timestamp: int, state: Status, values: list[Any]) -> None:
    where = f"status of {name} at {timestamp}"
    if not all(map(_is_gap, values)):
        assert state is Status.OK, where
    else:
        assert state is not Status.OK, where
        assert all(value in (None, state) for value in values), where


def _arrays(values: Values) -> list[Any]:
    if isinstance(values, Frames):
        return list(values)
    return [values.values, values.offsets] if isinstance(values, Ragged) else [values]


def _check_field(signal: Signal, info: FieldInfo, values: Values) -> None:
    kind = Frames if info.frame else Ragged if info.variable else np.ndarray
    assert isinstance(values, kind), f"{signal}: {type(values)}"
    assert values.dtype == info.dtype, signal
    assert (info.dtype == STRING) == (values.dtype.kind == "T"), signal
    assert info.shape is None or len(info.shape) == info.rank, signal
    if isinstance(values, Ragged):
        assert info.shape is None, signal
        assert values.values.ndim == info.rank, signal
        return
    shape = values.shape if isinstance(values, Frames) else values.shape[1:]
    assert len(shape) == info.rank, signal
    assert info.shape in (None, shape), signal
