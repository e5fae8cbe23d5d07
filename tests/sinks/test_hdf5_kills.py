"""Kills and full disks: what is left opens, complete to the last flush."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks import hdf5_disk
from sinks.hdf5 import Hdf5Sink, partials
from smalldata_stream.batch import Column
from smalldata_stream.errors import OutputError
from smalldata_stream.protocols import Declaration, Spec
from smalldata_stream.run import RunInfo
from tests.sinks.hdf5_runs import begun, check, write

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from pathlib import Path
from tests.sinks.hdf5_runs import begun, write
sink, first = begun(Path(sys.argv[1]), flush_seconds=float(sys.argv[2])), 1
print("begun", flush=True)
while True:
    first = write(sink, first, 10)
    print(first - 1, flush=True)
"""


@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_a_killed_job_leaves_a_file_that_opens(tmp_path: Path, pause: float) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "x.h5"), str(pause)]
    said = tmp_path / "said"
    with said.open("w") as out, subprocess.Popen(command, stdout=out, cwd=ROOT) as job:
        deadline = time.monotonic() + 60
        while "begun" not in said.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.8))
        job.kill()
    written = int("0" + said.read_text().replace("begun", "0").split("\n")[-2])
    (partial,) = partials(tmp_path / "x.h5")
    with h5py.File(partial) as file:
        assert not file.attrs["complete"]
        rows = check(file)
    if pause == 0:
        assert rows >= written
    assert not (tmp_path / "x.h5").exists()


def test_a_job_can_be_killed_between_any_two_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write to the disk is recorded; the file must be whole after each of them."""
    writes: list[tuple[int, bytes | None]] = []
    put, resize = hdf5_disk.OrderedFile._put, os.ftruncate

    def recorded(self: hdf5_disk.OrderedFile, offset: int, data: memoryview) -> None:
        writes.append((offset, bytes(data)))
        put(self, offset, data)

    def resized(file: int, size: int) -> None:
        writes.append((size, None))
        resize(file, size)

    monkeypatch.setattr(hdf5_disk.OrderedFile, "_put", recorded)
    monkeypatch.setattr(os, "ftruncate", resized)
    # Two rows to a chunk, so that the index grows as it does in a long run.
    sink, first = begun(tmp_path / "x.h5", events=2, flush_seconds=0), 1
    safe = [(len(writes), 0)]
    for _ in range(10):
        first = write(sink, first, 13)
        safe.append((len(writes), first - 1))
    sink.abort()

    image = bytearray()
    least = -1
    for done, (offset, data) in enumerate(writes, 1):
        if data is None:
            image = image[:offset].ljust(offset, b"\0")
        else:
            image = image.ljust(offset, b"\0")
            image[offset : offset + len(data)] = data
        while safe and safe[0][0] <= done:
            least = safe.pop(0)[1]
        if least >= 0:
            with h5py.File(io.BytesIO(bytes(image))) as file:
                assert check(file) >= least
    assert least == first - 1
    assert len(writes) > 500


def test_between_flushes_only_chunks_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the index is larger than the cache HDF5 keeps for it by default."""
    outputs = {f"d/x{i}": Spec(dtype=np.dtype("f8")) for i in range(600)}
    sink = Hdf5Sink(tmp_path / "x.h5", flush_seconds=1e9)
    run = RunInfo(exp="", number=1, detectors={}, events=2)
    sink.begin(Declaration(run=run, outputs=outputs))
    writes: list[int] = []
    put = hdf5_disk.OrderedFile._put

    def recorded(self: hdf5_disk.OrderedFile, offset: int, data: memoryview) -> None:
        writes.append(len(data))
        put(self, offset, data)

    monkeypatch.setattr(hdf5_disk.OrderedFile, "_put", recorded)
    column = Column(np.zeros(140))
    sink.write(np.arange(140, dtype=np.uint64), dict.fromkeys(outputs, column))
    assert writes == [2 * 8] * 70 * 601
    sink.abort()


@given(
    before=st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=20))),
    inside=st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=20))),
)
def test_hdf5_reads_what_it_wrote(
    before: list[tuple[int, bytes]], inside: list[tuple[int, bytes]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk = hdf5_disk.OrderedFile(Path(folder) / "x")
        model = bytearray(64)

        def put(offset: int, data: bytes) -> None:
            disk.seek(offset)
            disk.write(data)
            model[offset : offset + len(data)] = data
            disk.seek(0)
            assert disk.read(64) == model

        for block in before:
            put(*block)
        with disk.flush_in_order():
            for block in inside:
                put(*block)
        disk.close()


FULL = """
import resource, sys
from pathlib import Path
from smalldata_stream.errors import OutputError
from tests.sinks.hdf5_runs import begun, write
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
sink, first = begun(Path(sys.argv[1]), flush_seconds=0.0), 1
try:
    while True:
        first = write(sink, first, 20)
except OutputError as error:
    print(error)
sink.abort()
try:
    write(sink, first, 1)
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("size", [1_600_000, 2_345_678])
def test_a_full_disk_keeps_what_was_flushed(tmp_path: Path, size: int) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "x.h5"), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    (partial,) = partials(tmp_path / "x.h5")
    assert first == f"{partial} cannot be written: File too large"
    assert "is not open" in second
    with h5py.File(partial) as file:
        assert not file.attrs["complete"]
        assert check(file) >= 20


def test_no_space_at_all_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: hdf5_disk.OrderedFile, offset: int, data: memoryview) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hdf5_disk.OrderedFile, "_put", full)
    with pytest.raises(OutputError, match=r"cannot be written: No space left on device$"):
        begun(tmp_path / "x.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("h5ls") is None, reason="h5ls (hdf5-tools) is absent")
def test_the_tools_of_hdf5_open_what_a_kill_left(tmp_path: Path) -> None:
    sink = begun(tmp_path / "x.h5", flush_seconds=0)
    write(sink, 1, 30)
    copy = tmp_path / "copy.h5"  # what is on disk at this moment
    copy.write_bytes(partials(sink.path)[0].read_bytes())
    sink.abort()
    command = ["h5ls", "-r", str(copy)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "/timestamp               Dataset {30/Inf}" in said.stdout
