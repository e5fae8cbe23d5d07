"""Growing files that are cut, damaged or come in pieces: nothing is lost without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smalldata_stream.batch import BatchLimits
from smalldata_stream.sources.files import LiveFiles
from smalldata_stream.sources.files_stream import next_chunk
from tests.sources.oracle import read, rows_of
from tests.sources.test_files_damage import EVENTS, A, B, X, Z, datagrams
from tests.sources.test_files_live import one_run, second
from tests.xtc2 import writer as w

EVERY = [i / 2 for i in range(EVENTS)]


def growing(folder: Path, stream: int = 0, chunk: int = 0) -> Path:
    return folder / f"tstx00417-r0001-s{stream:03d}-c{chunk:03d}.xtc2.inprogress"


def closed(path: Path) -> None:
    path.rename(path.with_name(path.name.removesuffix(".inprogress")))


def test_the_end_of_a_chunk_that_comes_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first chunk gets its last events between the look at it and that for others."""
    path, data = growing(tmp_path), datagrams()
    path.write_bytes(b"".join(data[:6]))
    run = one_run(tmp_path)

    def written_meanwhile(*about: Any) -> Path | None:
        later = growing(tmp_path, chunk=1)
        if not later.exists():
            with path.open("ab") as file:
                file.write(b"".join(data[6:8]))
            later.write_bytes(b"".join(data[8:]))
        return next_chunk(*about)

    monkeypatch.setattr("smalldata_stream.sources.files_live.next_chunk", written_meanwhile)
    assert [row[X] for row in read(run)] == EVERY
    assert run.faults == []


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_file_that_was_closed_within_a_datagram(tmp_path: Path, goes_on: bool) -> None:
    path, data = growing(tmp_path), datagrams()
    path.write_bytes(b"".join(data[:7]) + data[7][:40])
    run = one_run(tmp_path)
    batches = run.batches([X], BatchLimits())
    rows = rows_of([next(batches)])
    closed(path)
    if goes_on:
        growing(tmp_path, chunk=1).write_bytes(b"".join(data[8:]))
    rows += rows_of(batches)
    assert [row[X] for row in rows] == (EVERY[:5] + EVERY[6:] if goes_on else EVERY[:5])
    (fault,) = run.faults
    assert f"a datagram of {len(data[7])} bytes where 40 are left" in fault.what
    assert fault.where.endswith(f"byte {len(b''.join(data[:7]))}")


def test_what_is_no_datagram_in_a_file_that_was_closed(tmp_path: Path) -> None:
    path, data = growing(tmp_path), datagrams()
    path.write_bytes(b"".join(data[:7]) + b"\xff" * 300 + b"".join(data[7:]))
    run = one_run(tmp_path)
    batches = run.batches([X], BatchLimits())
    rows = rows_of([next(batches)])
    closed(path)
    assert [row[X] for row in rows + rows_of(batches)] == EVERY[:5]
    (fault,) = run.faults
    assert "no datagram header; nothing is read from there on" in fault.what


def test_what_is_no_datagram_is_waited_for(tmp_path: Path) -> None:
    """Bytes may be zero before they are what was written."""
    path, data = growing(tmp_path), datagrams()
    whole, hole = b"".join(data), len(b"".join(data[:7]))
    path.write_bytes(whole[:hole] + bytes(300) + whole[hole + 300 :])
    run = one_run(tmp_path)
    batches = run.batches([X], BatchLimits())
    rows = rows_of([next(batches)])
    with path.open("r+b") as file:
        file.seek(hole)
        file.write(whole[hole : hole + 300])
    assert [row[X] for row in rows + rows_of(batches)] == EVERY
    assert run.faults == []


def test_a_stream_without_sense_does_not_hold_up_the_others(tmp_path: Path) -> None:
    data = datagrams()
    growing(tmp_path).write_bytes(b"".join(data[:7]) + b"\xff" * 300)
    growing(tmp_path, 1).write_bytes(b"".join(second()))
    run = one_run(tmp_path, LiveFiles(silence_seconds=0.3, poll_seconds=0.01))
    rows = rows_of(run.batches([X, Z], BatchLimits()))
    assert [row[X] for row in rows if X in row] == EVERY[:5]
    assert [row[Z] for row in rows if Z in row] == [0, 3, 6, 9]
    (fault,) = run.faults
    assert "no datagram header" in fault.what


def test_nothing_is_read_after_a_broken_configure(tmp_path: Path) -> None:
    """Not even what comes later, while other streams go on."""
    broken = bytearray(w.configure([A, B], 105))
    broken[24 + 8] = 5
    one, other = growing(tmp_path), growing(tmp_path, 1)
    one.write_bytes(b"".join([*datagrams()[:7], bytes(broken)]))
    other.write_bytes(b"".join(second()[:4]))
    batches = one_run(tmp_path).batches([X, Z], BatchLimits())
    rows = rows_of([next(batches)])
    for path, more in ((one, datagrams()[7:]), (other, second()[4:])):
        with path.open("ab") as file:
            file.write(b"".join(more))
    rows += rows_of(batches)
    assert [row[X] for row in rows if X in row] == EVERY[:5]
    assert [row[Z] for row in rows if Z in row] == [0, 3, 6, 9]
