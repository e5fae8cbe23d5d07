"""Interrupts, existing files, other jobs, no permission: the reason is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import pytest

from sinks.hdf5 import partials
from smalldata_stream.errors import OutputError
from smalldata_stream.ledger import Ledger
from tests.sinks.hdf5_runs import begun, check, write

ROOT = Path(__file__).resolve().parents[2]


def test_an_interrupt_in_the_middle_of_a_write_leaves_whole_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = begun(tmp_path / "x.h5", flush_seconds=0)
    first = write(sink, 1, 5)
    with monkeypatch.context() as patch:
        patch.setattr("sinks.hdf5_columns.RaggedColumns.append", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(sink, first, 5)
    sink.abort()
    with h5py.File(partials(sink.path)[0]) as file:
        assert check(file) == len(file["a/x"]) == 5


def _interrupted(*_: Any) -> bool:
    raise KeyboardInterrupt


def test_abort_keeps_every_row(tmp_path: Path) -> None:
    sink = begun(tmp_path / "x.h5")
    write(sink, 1, 60)
    sink.abort()
    sink.abort()
    (partial,) = partials(sink.path)
    with h5py.File(partial) as file:
        assert check(file) == len(file["timestamp"]) == 60
        assert not file.attrs["complete"]
    again = begun(tmp_path / "x.h5")
    again.end({}, Ledger())
    assert partials(sink.path) == [partial]


def test_an_existing_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_text("precious")
    with pytest.raises(OutputError, match=r"x.h5 exists; .* --overwrite"):
        begun(path)
    assert path.read_text() == "precious"
    assert partials(path) == []
    begun(path, overwrite=True).end({}, Ledger())
    with h5py.File(path) as file:
        assert file.attrs["complete"]


@pytest.mark.parametrize("links", [True, False])
def test_two_jobs_race_for_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    first, second = begun(tmp_path / "x.h5"), begun(tmp_path / "x.h5")
    write(first, 1, 3)
    write(second, 1, 5)
    first.end({}, Ledger())
    with pytest.raises(OutputError, match=r"made by another job .* overwrite=True"):
        second.end({}, Ledger())
    with h5py.File(tmp_path / "x.h5") as file:
        assert check(file) == 3
    (partial,) = partials(tmp_path / "x.h5")
    with h5py.File(partial) as file:
        assert file.attrs["complete"]
        assert check(file) == 5


def test_no_such_directory(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no directory .*/absent; make it"):
        begun(tmp_path / "absent" / "x.h5")


DENIED = """
import os, sys
from pathlib import Path
from smalldata_stream.errors import OutputError
from tests.sinks.hdf5_runs import begun
if os.getuid() == 0:
    os.setuid(65534)
try:
    begun(Path(sys.argv[1]))
except OutputError as error:
    print(error)
"""


def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        command = [sys.executable, "-c", DENIED, str(tmp_path / "x.h5")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    finally:
        tmp_path.chmod(0o700)
    assert done.stderr == ""
    assert done.stdout.endswith("cannot be written: Permission denied\n")
