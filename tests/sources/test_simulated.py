"""The scripted source keeps the contract, and does what its script says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import BatchLimits, Frames, Signal, Status
from smalldata_stream.errors import SourceError
from smalldata_stream.protocols import Fault, Source
from smalldata_stream.run import FieldInfo
from smalldata_stream.sources.simulated import (
    Cut,
    Damaged,
    EndStep,
    Lost,
    Missing,
    Script,
    SimulatedSource,
)
from smalldata_stream.sources.simulated_detectors import ScriptedDetector
from smalldata_stream.testing.sources import SourceContract

SCRIPT = Script(
    events=33,
    items=(
        Missing("cam", event=7),
        Damaged("cam", event=9),
        Damaged("peaks", event=0),
        EndStep(after=12),
        EndStep(after=20),
        Lost(event=5, why="nobody knows"),
        Cut(after=29),
    ),
)
ENERGY = Signal("gmd", "raw", "energy")
IMAGE = Signal("cam", "raw", "image")


def timestamp(event: int) -> int:
    return (1_000_000 << 32) + event * 10**7


def step(event: int) -> int:
    return int(np.searchsorted([12, 20], event))


def row(event: int) -> Mapping[Signal, Any]:
    """What the documentation says, by hand."""
    flags = np.zeros(288, np.uint8)
    flags[40] = 1
    flags[90 + event % 2] = 1
    flags[162] = event in (4, 14, 24)
    image: Any = 100 * event + np.arange(768).reshape(2, 16, 24)
    times: Any = np.array([event, event + 0.5, event + 1.0])[: event % 4]
    x = np.arange(50)
    return {
        Signal("timing", "raw", "pulseId"): 1152921504606846976 + event,
        Signal("timing", "raw", "destination"): 3 - (event in (4, 14, 24)),
        Signal("timing", "raw", "eventcodes"): flags,
        ENERGY: (10 + event) / 10,
        Signal("diode", "raw", "trace"): np.float32(event * np.exp(-((x - 20) ** 2) / 16)),
        IMAGE: {7: Status.MISSING, 9: Status.DAMAGED}.get(event, image),
        Signal("peaks", "raw", "time"): Status.DAMAGED if event == 0 else times,
        Signal("andor_slow", "raw", "value"): (
            np.full((4, 6), event) if event in (9, 19, 29) else Status.MISSING
        ),
        Signal("epics", "raw", "sample_x"): None if event < 3 else (event // 5) / 2,
        Signal("epics", "raw", "shutter"): (
            None if event < 3 else ["CLOSED", "OPEN"][event // 5 % 2]
        ),
        Signal("scan", "raw", "lxt"): step(event) / 4,
        Signal("scan", "raw", "step_docstring"): f"step {step(event)}",
    }


EVENTS = [event for event in range(30) if event != 5]


class TestScriptedSource(SourceContract):
    def source(self) -> Source:
        return SimulatedSource(SCRIPT)

    def expected(self) -> Mapping[int, Mapping[Signal, Any]]:
        return {timestamp(event): row(event) for event in EVENTS}

    def steps(self) -> Mapping[int, int]:
        return {timestamp(event): step(event) for event in EVENTS}


class TestWithoutCut(SourceContract):
    """The number of events is known beforehand; it counts the one that is lost."""

    def source(self) -> Source:
        return SimulatedSource(Script(events=14, items=(Lost(event=5),)))

    def expected(self) -> Mapping[int, Mapping[Signal, Any]]:
        rows = {event: row(event) for event in range(14) if event != 5}
        return {timestamp(event): {ENERGY: rows[event][ENERGY]} for event in rows}


def test_every_detector_is_in_the_contract_test() -> None:
    (run,) = SimulatedSource().runs()
    assert {s for d in run.info.detectors.values() for s in d.signals()} == row(1).keys()


def test_losses_are_faults() -> None:
    (run,) = SimulatedSource(SCRIPT).runs()
    assert not list(run.faults)
    assert sum(map(len, run.batches([ENERGY], BatchLimits(events=4)))) == 29
    assert list(run.faults) == [
        Fault("event 5 of the script", "nobody knows", events=1),
        Fault("after event 29 of the script", "the data stop here"),
    ]
    assert run.info.events is None


def test_the_script_is_an_oracle_too() -> None:
    assert SCRIPT.values(ENERGY, 2) == 1.2
    assert SCRIPT.values(IMAGE, 9) is None
    assert SCRIPT.values(Signal("scan", "raw", "lxt"), 13) == 0.25


def test_several_runs_come_in_order() -> None:
    scripts = Script(events=2, number=4), Script(events=3, number=5)
    runs = list(SimulatedSource(*scripts).runs())
    assert [run.info.number for run in runs] == [4, 5]
    counts = [sum(map(len, run.batches([], BatchLimits()))) for run in runs]
    assert counts == [2, 3]
    assert [run.info.events for run in runs] == [2, 3]


def test_a_test_can_bring_its_own_detector() -> None:
    signal = Signal("mine", "fex", "x")
    info = FieldInfo(dtype=np.dtype(np.int16), rank=1, shape=(2,), frame=True)
    mine = ScriptedDetector(
        type="mine", fields={("fex", "x"): (info, lambda i: np.array([i, -i], np.int16))}
    )
    (run,) = SimulatedSource(Script(events=3, detectors={"mine": mine})).runs()
    (batch,) = run.batches([signal], BatchLimits())
    values = batch.columns[signal].values
    assert isinstance(values, Frames)
    assert values.stack().tolist() == [[0, 0], [1, -1], [2, -2]]


def test_batches_come_once() -> None:
    (run,) = SimulatedSource().runs()
    run.batches([ENERGY], BatchLimits())
    with pytest.raises(SourceError, match="once"):
        run.batches([ENERGY], BatchLimits())


@pytest.mark.parametrize(
    ("signal", "hint"),
    [
        (Signal("gdm", "raw", "energy"), "did you mean 'gmd'"),
        (Signal("gmd", "raw", "enrgy"), r"did you mean 'gmd\.raw\.energy'"),
    ],
)
def test_unknown_signals_are_refused(signal: Signal, hint: str) -> None:
    (run,) = SimulatedSource().runs()
    with pytest.raises(SourceError, match=hint):
        run.batches([signal], BatchLimits())


def test_scripts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'cam'"):
        Script(items=(Missing("cma", event=1),))
    with pytest.raises(ValueError, match="events 0 to 9"):
        Script(events=10, items=(Lost(event=10),))
