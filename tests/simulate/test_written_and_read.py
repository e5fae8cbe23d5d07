"""What the simulation writes is what the reader of files reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Signal, Status
from smalldata_stream.h5 import read_tree
from smalldata_stream.protocols import Source
from smalldata_stream.simulate import SimulatedFiles
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.testing.sources import SourceContract
from tests.simulate.conftest import Written


def stacked(written: Written, timestamp: int) -> dict[Signal, Any]:
    """One event as it was handed to the writer, its segments stacked."""
    segments: dict[Signal, list[Any]] = {}
    for (detector, _, algorithm, field), by_time in sorted(written.items()):
        values = segments.setdefault(Signal(detector, algorithm, field), [])
        values.append(by_time.get(timestamp))
    row: dict[Signal, Any] = {}
    for signal, values in segments.items():
        if any(value is None for value in values):
            row[signal] = Status.MISSING
        elif len(values) == 1:
            (row[signal],) = values
        else:
            row[signal] = np.concatenate(values) if np.ndim(values[0]) else np.array(values)
    return row


def in_force(truth: Mapping[str, Any], timestamp: int) -> dict[Signal, Any]:
    """EPICS and scan variables of one event, from the truth."""
    update = int(np.searchsorted(truth["epics/timestamps"], timestamp)) - 1
    names = ("sample_x", "temperature", "attenuator")
    row = {
        Signal("epics", "raw", name): truth[f"epics/{name}"][update]
        if update >= 0
        else None
        for name in names
    }
    step = int(np.searchsorted(truth["scan/timestamps"], timestamp)) - 1
    return row | {
        Signal("scan", "raw", "lxt"): truth["scan/lxt_ps"][step] * 1e-12,
        Signal("scan", "raw", "step_value"): step,
    }


class TestFilesOfASimulation(SourceContract):
    @pytest.fixture(autouse=True)
    def _simulated(self, small_files: tuple[SimulatedFiles, Written]) -> None:
        files, written = small_files
        truth = read_tree(files.truth)
        self.directory = files.directory
        self.times = np.asarray(truth["pulses/timestamps"]).tolist()
        self.step_numbers = np.asarray(truth["pulses/steps"]).tolist()
        self.rows = {
            time: stacked(written, time) | in_force(truth, time) for time in self.times
        }

    def source(self) -> Source:
        return FilesSource.from_run("xpptut26", 1, self.directory)

    def expected(self) -> Mapping[int, Mapping[Signal, Any]]:
        return self.rows

    def steps(self) -> Mapping[int, int]:
        return dict(zip(self.times, self.step_numbers, strict=True))
