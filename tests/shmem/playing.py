"""Runs to play, a player in a thread, and what a run in files has, event by event."""

from __future__ import annotations

import importlib.util
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.errors import PsanaError
from smalldata_stream.play import Play, Progress, play
from smalldata_stream.play_server import server_program
from smalldata_stream.protocols import Run
from smalldata_stream.simulate.xtc2_writer import Names, Service, Stream
from smalldata_stream.sources.files import FilesSource
from tests.processes import PATIENCE
from tests.sources.oracle import rows_of
from tests.sources.psana_runs import CAM as CAM
from tests.sources.psana_runs import COUNT as COUNT


def _no_server() -> bool:
    try:
        server_program()
    except PsanaError:
        return True
    return importlib.util.find_spec("psana") is None


needs_server = pytest.mark.skipif(
    _no_server(), reason="psana and its shmemServer are not installed"
)
_numbers = itertools.count()


def new_tag() -> str:
    """A tag that nobody else on this machine uses."""
    return f"sdst{os.getpid()}x{next(_numbers)}"


OTHER = Names(
    detector="other",
    type="generic_container",
    algorithm="xtc1dump",
    version=(0, 1, 0),
    fields={"value": ("f8", 0)},
)
RUNINFO = Names(
    detector="runinfo",
    type="runinfo",
    algorithm="runinfo",
    version=(0, 0, 1),
    fields={"expt": ("text", 1), "runnum": ("u4", 0)},
)
IMAGE = Signal("cam", "raw", "image")
VALUE = Signal("other", "xtc1dump", "value")
FIRST = 1000


def write_run(
    path: Path,
    events: int,
    *,
    side: int = 4,
    number: int = 1,
    without: range = range(0),
    names: Sequence[Names] = (CAM, OTHER),
) -> Path:
    """Event i has the count i and the value i / 2; cam is absent in events ``without``."""
    with Stream(path, Path(os.devnull), [*names, RUNINFO]) as stream:
        stream.configure(1)
        about = {"expt": "tstx00417", "runnum": np.array([number])}
        stream.transition(2, Service.BEGIN_RUN, [(RUNINFO, about)])
        stream.transition(3, Service.BEGIN_STEP)
        stream.transition(4, Service.ENABLE)
        for i in range(events):
            stream.events(
                np.array([FIRST + 10 * i]), list(_contents(i, side, without, names))
            )
        end = FIRST + 10 * events
        for k, service in enumerate((Service.DISABLE, Service.END_STEP, Service.END_RUN)):
            stream.transition(end + k, service)
    return path


def _contents(
    i: int, side: int, without: range, names: Sequence[Names]
) -> Iterator[tuple[Names, dict[str, Any]]]:
    if CAM in names and i not in without:
        image = np.arange(side * side, dtype=np.uint16).reshape(1, side, side) + i
        yield CAM, {"image": image, "count": np.array([i])}
    if OTHER in names:
        yield OTHER, {"value": np.array([i / 2])}


class Playing:
    """A player in a thread, which is told to stop at the end."""

    def __init__(self, *paths: Path, tag: str, **options: Any):
        source = FilesSource.from_files(paths)
        self.progress = Progress()
        self._stop = threading.Event()
        self._error: list[BaseException] = []
        how = Play(tag=tag, **{"rate_hz": 120.0, "loops": 1, **options})
        self._thread = threading.Thread(target=self._play, args=[source, how])

    def _play(self, source: FilesSource, how: Play) -> None:
        try:
            play(source, how, stopped=self._stop.is_set, progress=self.progress)
        except PsanaError as error:
            self._error.append(error)

    def __enter__(self) -> Playing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.join()

    def join(self) -> list[BaseException]:
        """Wait for the end; what went wrong."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self._error


def signals_of(run: Run) -> list[Signal]:
    """Every signal of a run."""
    return [signal for one in run.info.detectors.values() for signal in one.signals()]


def batches_of(run: Run, **limits: Any) -> list[Batch]:
    """All batches with all signals."""
    return list(run.batches(signals_of(run), BatchLimits(**{"seconds": 0.1, **limits})))


def rows(batches: Sequence[Batch]) -> list[dict[Signal, Any]]:
    """Per event, the signals that have a value."""
    return rows_of(batches)


def lost(run: Run) -> int:
    """Events that a run says it did not deliver."""
    return sum(fault.events for fault in run.faults)


def received(run: Run, **limits: Any) -> list[int]:
    """The counts of all events that come."""
    batches = run.batches([COUNT], BatchLimits(**{"seconds": 0.1, **limits}))
    return [int(n) for batch in batches for n in batch.columns[COUNT].values]


def between(counts: Sequence[int]) -> int:
    """How many are missing between the first and the last."""
    return len(range(counts[0], counts[-1] + 1)) - len(counts)
