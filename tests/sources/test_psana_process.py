"""psana's process: what it says, how it ends, and what of it stays in one run."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import BatchLimits, Signal
from smalldata_stream.errors import PsanaError, SourceError
from smalldata_stream.sources.psana import PsanaSource
from tests.processes import PATIENCE, alive, started, until
from tests.sources.psana_runs import (
    COUNT,
    FIRST,
    counts,
    needs_psana,
    write_cam,
    write_encoder,
)

pytestmark = needs_psana
ROOT = Path(__file__).parents[2]
ONE = BatchLimits(events=1)

READING = """
import sys, time
from smalldata_stream.batch import BatchLimits, Signal
from smalldata_stream.sources.psana import PsanaSource
try:
    for run in PsanaSource.from_files([sys.argv[1]]).runs():
        count = [Signal("cam", "raw", "count")]
        for batch in run.batches(count, BatchLimits(events=1)):
            print(run._process.pid, flush=True)
            time.sleep(600)
except KeyboardInterrupt:
    sys.exit(130)
"""


@contextmanager
def reader(path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that is in the middle of a run, and the pid of its psana."""
    with started(
        [sys.executable, "-c", READING, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())


@pytest.fixture(scope="module")
def cam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cam(tmp_path_factory.mktemp("psana") / "cam.xtc2", 500)


def test_psana_dies_with_us(cam: Path) -> None:
    with reader(cam) as (process, child):
        assert alive(child)
        process.kill()
    until(lambda: not alive(child))
    assert not list(Path("/dev/shm").glob(f"mpich_shm_{child:x}_*"))


def test_ctrl_c_ends_both_without_a_word(cam: Path) -> None:
    with reader(cam) as (process, child):
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (130, "")
    until(lambda: not alive(child))


def test_a_death_in_the_middle_says_how_and_after_what(cam: Path) -> None:
    run = next(PsanaSource.from_files([cam]).runs())
    batches = run.batches([COUNT], ONE)
    given = [next(batches)]
    os.kill(run._process.pid, signal.SIGKILL)
    with pytest.raises(PsanaError, match=r"was killed by SIGKILL.*after \d+ events"):
        given.extend(batches)
    assert counts(given) == list(range(len(given)))
    assert sum(fault.events for fault in run.faults) == 500 - len(given)


def test_a_reader_that_stops_early_leaves_no_process(cam: Path) -> None:
    run = next(PsanaSource.from_files([cam]).runs())
    batches = run.batches([COUNT], ONE)
    next(batches)
    child = run._process.pid
    assert isinstance(batches, Generator)
    batches.close()
    assert not alive(child)


def test_psana_talks_only_to_us(cam: Path, tmp_path: Path, capfd: Any) -> None:
    cut = tmp_path / "cut.xtc2"
    cut.write_bytes(cam.read_bytes()[:-24])  # without EndRun psana prints a complaint
    for run in PsanaSource.from_files([cut]).runs():
        assert len(list(run.batches([COUNT], BatchLimits()))) == 1
    assert capfd.readouterr() == ("", "")


def test_one_name_for_two_detectors_in_two_runs(tmp_path: Path) -> None:
    paths = [write_cam(tmp_path / "a.xtc2", 4), write_encoder(tmp_path / "b.xtc2")]
    first, second = (
        Signal("cam", "raw", "raw"),
        Signal("cam", "raw", "value"),
    )
    runs = PsanaSource.from_files(paths).runs()
    (batch,) = next(runs).batches([first], BatchLimits())
    assert np.asarray(batch.columns[first].values)[:, 0, 0].tolist() == [0, 1, 2, 3]
    (batch,) = next(runs).batches([second], BatchLimits())
    assert np.asarray(batch.columns[second].values).tolist() == [0, 1.5, 3, 4.5]


def test_limits_cut_batches(cam: Path) -> None:
    image = Signal("cam", "raw", "image")
    runs = PsanaSource.from_files([cam]).runs()
    batches = list(next(runs).batches([image, COUNT], BatchLimits(bytes=100 * 132)))
    assert [len(batch) for batch in batches] == [100] * 5
    timestamps = np.concatenate([batch.timestamps for batch in batches])
    assert timestamps.tolist() == list(range(FIRST, FIRST + 500))


def test_what_is_asked_for_must_be_there_and_once(cam: Path) -> None:
    run = next(PsanaSource.from_files([cam]).runs())
    with pytest.raises(SourceError, match=r"did you mean 'raw\.count'"):
        run.batches([Signal("cam", "raw", "cuont")], ONE)
    next(run.batches([COUNT], ONE))
    with pytest.raises(SourceError, match="once"):
        run.batches([COUNT], ONE)


def test_a_run_that_nobody_reads_leaves_no_process(cam: Path) -> None:
    (run,) = PsanaSource.from_files([cam]).runs()
    child = run._process.pid
    assert alive(child)
    del run
    gc.collect()
    assert not alive(child)
