"""The contract of sources sees every fault that is planted in a source that keeps it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import (
    Batch,
    BatchLimits,
    Column,
    Frames,
    Ragged,
    Signal,
    Status,
    Values,
    concatenate,
)
from smalldata_stream.protocols import Fault, Run, Source
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.simulated import Lost, Script, SimulatedSource
from smalldata_stream.testing.sources import SourceContract
from tests.sources.test_simulated import (
    ENERGY,
    EVENTS,
    IMAGE,
    SCRIPT,
    row,
    step,
    timestamp,
)

Change = Callable[[Iterator[Batch]], Iterator[Batch]]


class Faulty:
    """The scripted source, its batches changed."""

    def __init__(self, change: Change, script: Script = SCRIPT):
        self._change = change
        (self._run,) = SimulatedSource(script).runs()

    def runs(self) -> Iterator[Run]:
        yield self

    @property
    def info(self) -> RunInfo:
        return self._run.info

    @property
    def faults(self) -> Sequence[Fault]:
        return self._run.faults

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        return self._change(self._run.batches(signals, limits))


def contract(change: Change) -> SourceContract:
    class Under(SourceContract):
        def source(self) -> Source:
            return Faulty(change)

        def expected(self) -> Mapping[int, Mapping[Signal, Any]]:
            return {timestamp(event): row(event) for event in EVENTS}

        def steps(self) -> Mapping[int, int]:
            return {timestamp(event): step(event) for event in EVENTS}

    return Under()


def each(change: Callable[[Batch], Batch]) -> Change:
    return lambda batches: map(change, batches)


def column(signal: Signal, change: Callable[[Column], Column]) -> Change:
    def changed(batch: Batch) -> Batch:
        columns = dict(batch.columns)
        if signal in columns:
            columns[signal] = change(columns[signal])
        return replace(batch, columns=columns)

    return each(changed)


def zero_filled(of: Column) -> Column:
    assert isinstance(of.values, Frames)
    empty = np.zeros(of.values.shape, of.values.dtype)
    frames = iter(of.values)
    return Column(Frames([next(frames) if there else empty for there in of.mask]))


def stacked(of: Column) -> Column:
    assert isinstance(of.values, Frames)
    return Column(of.values.stack(), of.present)


def dense(of: Column, change: Callable[[Any], Any]) -> Column:
    return Column(change(np.asarray(of.values)), of.present)


def writable(of: Column) -> Column:
    mine = Column(of.values, of.present)
    object.__setattr__(mine, "values", np.array(of.values))
    return mine


def twice(batches: Iterator[Batch]) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        yield batch


def joined(batches: Iterator[Batch]) -> Iterator[Batch]:
    """One batch of all events, whatever the limits say."""
    parts = list(batches)
    keys = list(parts[0].columns)
    yield Batch(
        np.concatenate([part.timestamps for part in parts]),
        np.concatenate([part.steps for part in parts]),
        {
            key: Column(
                join([part.columns[key].values for part in parts]),
                np.concatenate([part.columns[key].mask for part in parts]),
            )
            for key in keys
        },
        {
            name: np.concatenate([part.status[name] for part in parts])
            for name in parts[0].status
        },
    )


def join(parts: Sequence[Values]) -> Values:
    return concatenate([part for part in parts if len(part)] or parts[:1])


def without_last(batches: Iterator[Batch]) -> Iterator[Batch]:
    yield from list(batches)[:-1]


def all_ok(batch: Batch) -> Batch:
    return replace(batch, status={k: np.zeros_like(v) for k, v in batch.status.items()})


def all_missing(batch: Batch) -> Batch:
    status = {k: np.full_like(v, Status.MISSING) for k, v in batch.status.items()}
    return replace(batch, status=status)


VALUES = SourceContract.test_values_are_the_expected_ones
ORDER = SourceContract.test_every_event_comes_once_in_time_order
STATUS = SourceContract.test_status_says_why_there_are_gaps
DECLARED = SourceContract.test_values_are_as_declared

PLANTED: Mapping[str, tuple[Change, Callable[..., None], tuple[Any, ...]]] = {
    "gaps filled with zeros": (column(IMAGE, zero_filled), VALUES, (7,)),
    "values shifted by an event": (
        column(ENERGY, lambda of: dense(of, lambda x: np.roll(x, 1))),
        VALUES,
        (1000,),
    ),
    "a text changed": (
        column(
            Signal("scan", "raw", "step_docstring"),
            lambda of: dense(of, lambda x: np.array([f"{one} " for one in x], x.dtype)),
        ),
        VALUES,
        (7,),
    ),
    "the last batch lost where signals are asked for": (without_last, VALUES, (7,)),
    "events twice": (twice, ORDER, (7,)),
    "the last batch lost": (without_last, ORDER, (7,)),
    "timestamps as int64": (
        each(lambda b: replace(b, timestamps=b.timestamps.astype(np.int64))),
        ORDER,
        (7,),
    ),
    "steps from one": (
        each(lambda b: replace(b, steps=b.steps + np.int32(1))),
        ORDER,
        (7,),
    ),
    "status always OK": (each(all_ok), STATUS, (7,)),
    "status always missing": (each(all_missing), STATUS, (7,)),
    "limits not kept": (
        joined,
        SourceContract.test_batches_keep_their_limits,
        (BatchLimits(events=7),),
    ),
    "bytes not limited": (
        joined,
        SourceContract.test_batches_keep_their_limits,
        (BatchLimits(bytes=5000),),
    ),
    "a column nobody asked for": (
        each(lambda b: replace(b, columns={**b.columns, ENERGY: Column(np.zeros(len(b)))})),
        SourceContract.test_only_what_was_asked_for_comes,
        (),
    ),
    "values writable": (
        column(ENERGY, writable),
        SourceContract.test_values_cannot_be_written,
        (),
    ),
    "frames stacked": (column(IMAGE, stacked), DECLARED, ()),
    "another dtype": (
        column(ENERGY, lambda of: dense(of, lambda x: x.astype(np.float32))),
        DECLARED,
        (),
    ),
    "another shape": (
        column(Signal("diode", "raw", "trace"), lambda of: dense(of, lambda x: x[:, :25])),
        DECLARED,
        (),
    ),
    "fixed length where it varies": (
        column(ENERGY, lambda of: Column(Ragged.of([np.ones(1)] * len(of)))),
        DECLARED,
        (),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_faults_are_found(name: str) -> None:
    change, test, arguments = PLANTED[name]
    test(contract(each(lambda batch: batch)), *arguments)
    with pytest.raises(AssertionError):
        test(contract(change), *arguments)


@pytest.mark.parametrize("change", [twice, without_last])
def test_wrong_numbers_of_events_are_found(change: Change) -> None:
    class Under(SourceContract):
        def source(self) -> Source:
            return Faulty(change, Script(events=12, items=(Lost(event=3),)))

        def expected(self) -> Mapping[int, Mapping[Signal, Any]]:
            return {}

    with pytest.raises(AssertionError):
        Under().test_numbers_of_the_run()
