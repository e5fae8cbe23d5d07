"""Two simulated runs, what was written into them, and what psana reads from them."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.constants import Constants, read_constants
from smalldata_stream.h5 import read_tree
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate
from smalldata_stream.simulate.xtc2_writer import Contents, Stream

Written = dict[tuple[str, int, str, str], dict[int, Any]]
"""Values by (detector, segment, algorithm, field), by timestamp."""

DUMP = Path(__file__).with_name("psana_dump.py")


@dataclass(frozen=True)
class SimulatedRun:
    """A run: its files, what was handed to the writer, and what psana finds."""

    simulation: Simulation
    files: SimulatedFiles
    written: Written
    psana: Mapping[str, Any]

    @property
    def truth(self) -> dict[str, Any]:
        return dict(read_tree(self.files.truth))

    @property
    def events(self) -> dict[int, dict[Any, Any]]:
        """psana's values, by timestamp."""
        found: dict[int, dict[Any, Any]] = self.psana["events"]
        return found

    def column(self, *key: Any) -> list[Any]:
        """psana's values of one field, in time order."""
        return [values.get(key) for values in self.events.values()]


def recorded(directory: Path, simulation: Simulation) -> tuple[SimulatedFiles, Written]:
    """Simulate, and keep what each call of the writer was given."""
    written: Written = {}
    write_events = Stream.events

    def keep(timestamps: Any, contents: Contents) -> None:
        for names, values in contents:
            for field in names.fields:
                key = (names.detector, names.segment, names.algorithm, field)
                by_time = zip(timestamps.tolist(), values[field], strict=True)
                written.setdefault(key, {}).update(by_time)

    def events(self: Stream, timestamps: Any, contents: Contents) -> None:
        keep(timestamps, contents)
        write_events(self, timestamps, contents)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stream, "events", events)
        files = simulate(directory, simulation)
    return files, written


def psana_reads(
    directory: Path, simulation: Simulation, constants: Constants | None
) -> Any:
    """What psana finds, in a process of its own."""
    if importlib.util.find_spec("psana") is None:
        pytest.skip("psana is not installed: nothing to compare with")
    output, arrays = directory / "psana.pickle", directory / "constants.npz"
    command = [directory, simulation.exp, simulation.run, output]
    if constants is not None:
        saved: dict[str, Any] = {**constants.arrays(), "geometry": constants.geometry}
        np.savez(arrays, **saved)
        command.append(arrays)
    subprocess.run(
        [sys.executable, str(DUMP), *map(str, command)],
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )
    return pickle.loads(output.read_bytes())


SMALL = Simulation(events=60, steps=3, seed=5, jungfrau_shape=(2, 64, 512))
"""All detectors, the jungfrau small and of two segments."""


@pytest.fixture(scope="session")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[SimulatedFiles, Written]:
    return recorded(tmp_path_factory.mktemp("small"), SMALL)


@pytest.fixture(scope="session")
def small(small_files: tuple[SimulatedFiles, Written]) -> SimulatedRun:
    files, written = small_files
    return SimulatedRun(SMALL, files, written, psana_reads(files.directory, SMALL, None))


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    """A jungfrau of real size, calibrated by psana with the simulated constants."""
    directory = tmp_path_factory.mktemp("full")
    simulation = Simulation(events=20, steps=2, detectors=("timing", "gmd", "jungfrau"))
    files, written = recorded(directory, simulation)
    constants = read_constants(files.constants)["jungfrau"]
    found = psana_reads(directory, simulation, constants)
    return SimulatedRun(simulation, files, written, found)
