"""Ranks that follow a run while it is written."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from smalldata_stream.xtc2.format import Service
from smalldata_stream.xtc2.index import walk_headers
from tests.mpi.case import Case
from tests.mpi.compare import differences
from tests.mpi.jobs import BIN, ROOT, environment, job, words

pytestmark = pytest.mark.skipif(
    not (BIN / "mpiexec").exists(), reason="no mpiexec: install mpich"
)

SILENCE_SECONDS = 200


class Growing:
    """The files of a run, of which half of the events are there, and later all."""

    def __init__(self, source: Path, folder: Path):
        self._folder = folder
        self._halves: dict[str, tuple[bytes, bytes]] = {}
        for path in source.glob("*.xtc2"):
            raw = path.read_bytes()
            rows = walk_headers(np.frombuffer(raw, np.uint8)).rows
            events = rows[rows["service"] == Service.L1_ACCEPT]
            cut = int(events["offset"][len(events) // 2]) + 10  # in the middle of one
            self._halves[path.name] = raw[:cut], raw[cut:]
        for constants in source.glob("*-constants.h5"):
            shutil.copy(constants, folder)

    @property
    def streams(self) -> int:
        return len(self._halves)

    def write_half(self) -> None:
        for name, (half, _) in self._halves.items():
            (self._folder / f"{name}.inprogress").write_bytes(half)

    def write_rest(self) -> None:
        for name, (_, rest) in self._halves.items():
            path = self._folder / f"{name}.inprogress"
            with path.open("ab") as file:
                file.write(rest)
            path.rename(self._folder / name)


def test_two_ranks_follow_a_run_to_its_end(case: Case, tmp_path: Path) -> None:
    data, results = tmp_path / "data", tmp_path / "results"
    data.mkdir()
    results.mkdir()
    output, alone = results / "out.h5", tmp_path / "alone.h5"
    growing = Growing(case.files.directory, data)
    live = ("--live-files", SILENCE_SECONDS)
    log, looks = tmp_path / "log", tmp_path / "looks"
    looks.mkdir()
    with (
        log.open("w") as said,
        subprocess.Popen(
            words(2, *case.arguments(output, *live, data=data)),
            env=environment() | {"LOOKS": str(looks)},
            cwd=ROOT,
            stdout=said,
            stderr=said,
        ) as process,
    ):
        try:
            growing.write_half()
            # Blocks are done while the run goes on.
            ends = time.monotonic() + SILENCE_SECONDS
            while not list(results.glob(".*/*.done")) and process.poll() is None:
                assert time.monotonic() < ends, log.read_text()
                time.sleep(0.05)
            growing.write_rest()
            written = time.time_ns()
            process.wait(timeout=SILENCE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, log.read_text()
    assert "15 blocks by 2 ranks" in log.read_text()
    # After EndRun no rank waits for anything: one more look at each stream, or, where some
    # streams were looked at when others had ended, a second one.
    for rank in "01":
        times = [int(line) for line in (looks / rank).read_text().split()]
        assert times
        assert sum(at > written for at in times) < 2 * growing.streams
    done = job(0, *case.arguments(alone, *live, data=data))
    assert done.returncode == 0, done.stderr
    assert differences(alone, output) == []
    # As nobody knows how many events come, chunks are those of a long run.
    but = ("/@source is ", " has chunks ")
    found = differences(case.serial, output)
    assert [line for line in found if not any(word in line for word in but)] == []
    assert [path.name for path in results.iterdir()] == [output.name]
