"""A simulated run, put together: transitions and events in their order, in all files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.constants import write_constants
from smalldata_stream.errors import OutputError, because
from smalldata_stream.simulate.andor import Andor
from smalldata_stream.simulate.detector import PERIOD, SimulatedDetector
from smalldata_stream.simulate.diagnostics import DIAGNOSTICS, Diagnostic
from smalldata_stream.simulate.hsd import Hsd
from smalldata_stream.simulate.jungfrau import Jungfrau
from smalldata_stream.simulate.machine import event_time, pulses, scan_positions
from smalldata_stream.simulate.simulation import Simulation
from smalldata_stream.simulate.slow import (
    EPICS,
    EPICSINFO,
    EVERY,
    FIRST,
    PV,
    RUNINFO,
    SCAN,
    Epics,
    run_values,
    scan_values,
)
from smalldata_stream.simulate.timetool import TimeTool
from smalldata_stream.simulate.truth import write_truth
from smalldata_stream.simulate.xtc2_writer import Contents, Service, Stream

BLOCK = 16
"""Events that are made at once."""


@dataclass(frozen=True, slots=True)
class SimulatedFiles:
    """What `simulate` has written."""

    directory: Path
    constants: Path
    truth: Path
    xtc2: tuple[Path, ...]


def simulate(directory: Path | str, simulation: Simulation | None = None) -> SimulatedFiles:
    """Write a simulated run into ``directory``, as the DAQ lays it out.

    ``EXP-rNNNN-sNNN-c000.xtc2`` per stream (0 small detectors, 1 time tool, 2 jungfrau,
    3 andor, 4 hsd if it is asked for), ``smalldata/EXP-rNNNN-sNNN-c000.smd.xtc2`` beside
    each, the calibration constants in ``EXP-rNNNN-constants.h5`` (see
    `smalldata_stream.constants`) and what was behind the data in ``EXP-rNNNN-truth.h5``
    (see `smalldata_stream.simulate.truth`).

    Raises
    ------
    OutputError
        If the directory has files of that run already, or cannot be written; of a run that
        is not written to its end nothing is left.

    >>> few = Simulation(events=20, detectors=("timing", "gmd"))
    >>> files = simulate(getfixture("tmp_path"), few)
    >>> [path.name for path in files.xtc2]
    ['xpptut26-r0001-s000-c000.xtc2']
    """
    simulation = simulation or Simulation()
    directory = Path(directory)
    stem = simulation.stem
    try:
        (directory / "smalldata").mkdir(parents=True, exist_ok=True)
        if found := sorted(directory.glob(f"{stem}-*")):
            raise OutputError(
                f"{found[0]} exists; simulate into another directory or run number"
            )
        try:
            writer = _Writer(directory, stem, simulation)
            paths = writer.write()
            return writer.finish(paths)
        except BaseException:
            remove_run(directory, simulation)
            raise
    except OSError as error:
        raise OutputError(f"{directory}: cannot be written: {because(error)}") from error


def remove_run(directory: Path, simulation: Simulation) -> None:
    """Remove the files of a simulated run, and nothing else that is in its folder."""
    for folder in (directory, directory / "smalldata"):
        for path in folder.glob(f"{simulation.stem}-*"):
            path.unlink()


class _Writer:
    def __init__(self, directory: Path, stem: str, simulation: Simulation):
        self._directory, self._stem, self._simulation = directory, stem, simulation
        self._pulses = pulses(simulation)
        self._epics = Epics(simulation)
        self._detectors = [_detector(name, simulation) for name in simulation.detectors]
        self._streams: dict[int, Stream] = {}

    def write(self) -> list[Path]:
        """Write the xtc2 files."""
        numbers = sorted({0} | {detector.stream for detector in self._detectors})
        paths = []
        with ExitStack() as stack:
            for k in numbers:
                path = self._directory / f"{self._stem}-s{k:03d}-c000.xtc2"
                smd = path.parent / "smalldata" / f"{path.stem}.smd.xtc2"
                names = [name for one in self._of(k) for name in one.names]
                names += [RUNINFO, *([SCAN, EPICS, EPICSINFO] if k == 0 else [])]
                self._streams[k] = Stream(path, smd, names, node=k + 1)
                stack.enter_context(self._streams[k])
                paths.append(path)
            self._write_run()
        return paths

    def finish(self, paths: Sequence[Path]) -> SimulatedFiles:
        """Write constants and truth."""
        constants = self._directory / f"{self._stem}-constants.h5"
        have = [detector.constants() for detector in self._detectors]
        write_constants(constants, [one for one in have if one is not None])
        truth = self._directory / f"{self._stem}-truth.h5"
        steps = self._simulation.steps
        scan = {
            "timestamps": np.array(
                [self._time(self._first(k) - 0.5) for k in range(steps)]
            ),
            "lxt_ps": scan_positions(steps),
        }
        others = {"epics": self._epics.truth(), "scan": scan}
        for name, one in zip(self._simulation.detectors, self._detectors, strict=True):
            if known := one.truth():
                others[name] = known
        write_truth(truth, self._simulation, self._pulses, others)
        return SimulatedFiles(self._directory, constants, truth, tuple(paths))

    def _of(self, stream: int) -> list[SimulatedDetector]:
        return [one for one in self._detectors if one.stream == stream]

    def _time(self, number: float) -> int:
        return int(event_time(self._simulation, number))

    def _first(self, step: int) -> int:
        """Number of the first event of a step."""
        return int(np.searchsorted(self._pulses.steps, step))

    def _write_run(self) -> None:
        simulation, events = self._simulation, len(self._pulses)
        configuration = {"keys": "epicsname", **PV}
        for k, stream in self._streams.items():
            config: Contents = [(EPICSINFO, configuration)] if k == 0 else []
            config = [*config, *(c for one in self._of(k) for c in one.configuration())]
            stream.configure(self._time(-0.9), config)
        run = [(RUNINFO, run_values(simulation))]
        self._transition(-0.7, Service.BEGIN_RUN, run, only=None)
        for step in range(simulation.steps):
            first, end = self._first(step), self._first(step + 1)
            values = scan_values(simulation, step)
            self._transition(first - 0.5, Service.BEGIN_STEP, [(SCAN, values)])
            self._transition(first - 0.4, Service.ENABLE)
            self._write_events(first, end)
            self._transition(end - 1 + 0.2, Service.DISABLE)
            self._transition(end - 1 + 0.3, Service.END_STEP)
        self._transition(events - 1 + 0.7, Service.END_RUN)

    def _transition(
        self, at: float, service: Service, contents: Contents = (), only: int | None = 0
    ) -> None:
        """Write a transition to all streams; contents to all or to ``only`` one."""
        timestamp = self._time(at)
        for k, stream in self._streams.items():
            stream.transition(timestamp, service, contents if only in (None, k) else ())

    def _write_events(self, first: int, end: int) -> None:
        for events in _blocks(first, end):
            if events[0] % EVERY == FIRST:
                at = float(events[0]) - 0.25
                update = [(EPICS, self._epics.update(self._time(at)))]
                self._transition(at, Service.SLOW_UPDATE, update)
            for k, stream in self._streams.items():
                period = PERIOD.get(k, 1)
                due = events[events % period == period - 1]
                detectors = self._of(k)
                if len(due) and detectors:
                    contents = [c for d in detectors for c in d.contents(self._pulses, due)]
                    stream.events(self._pulses.timestamps[due], contents)


def _blocks(first: int, end: int) -> Iterator[NDArray[np.int64]]:
    """Numbers of the events from ``first`` to ``end``, cut where a SlowUpdate comes."""
    begin = first
    while begin < end:
        update = begin + 1 + (FIRST - begin - 1) % EVERY
        stop = min(end, update, begin + BLOCK)
        yield np.arange(begin, stop)
        begin = stop


def _detector(name: str, simulation: Simulation) -> SimulatedDetector:
    if name in DIAGNOSTICS:
        return Diagnostic.of(name, simulation)
    if name == "atmopal":
        return TimeTool(simulation)
    if name == "hsd":
        return Hsd(simulation)
    return Jungfrau(simulation) if name == "jungfrau" else Andor(simulation)
