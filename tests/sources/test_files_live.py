"""Growing files: everything is read, the tail too, and a silence is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from smalldata_stream.batch import BatchLimits, Signal
from smalldata_stream.errors import RunNotFound, SourceError
from smalldata_stream.protocols import Run
from smalldata_stream.sources import files_live
from smalldata_stream.sources.files import FilesSource, LiveFiles
from tests.processes import PATIENCE
from tests.sources.oracle import read, rows_of
from tests.sources.test_files_damage import EVENTS, A, B, X, Y, Z, datagrams
from tests.xtc2 import samples
from tests.xtc2 import writer as w

QUICK = LiveFiles(silence_seconds=PATIENCE, poll_seconds=0.01)
STEP_SECONDS = 0.004


class Writing:
    """Files written piece by piece in a thread, as the DAQ does."""

    def __init__(self, folder: Path, streams: dict[str, Sequence[bytes]], piece: int):
        self.folder, self.streams, self.piece = folder, streams, piece
        self.thread = threading.Thread(target=self.write)

    def __enter__(self) -> Writing:
        for name in self.streams:  # as the DAQ opens all before it writes
            (self.folder / name).touch()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join()

    def write(self) -> None:
        files = {name: (self.folder / name).open("wb") for name in self.streams}
        data = {name: b"".join(parts) for name, parts in self.streams.items()}
        at = 0
        while any(at < len(one) for one in data.values()):
            for name, file in files.items():
                file.write(data[name][at : at + self.piece])
                file.flush()
            at += self.piece
            time.sleep(STEP_SECONDS)
        for name, file in files.items():
            file.close()
            if name.endswith(".inprogress"):
                path = self.folder / name
                path.rename(path.with_name(name.removesuffix(".inprogress")))


def one_run(folder: Path, live: LiveFiles = QUICK) -> Run:
    runs: Iterator[Run] = FilesSource.from_run("tstx00417", 1, folder, live=live).runs()
    run = next(runs)
    assert next(runs, None) is None
    return run


def second() -> list[bytes]:
    block = w.Block(0x101, "c", "gmd", "raw", (2, 1, 0), {"z": ("i8", 0)})
    data = [w.configure([w.RUNINFO, block]), w.begin_run("tstx00417", 1)]
    data += [
        w.dgram(100 + i, w.L1_ACCEPT, [w.shapes_data(block, {"z": i})])
        for i in range(0, EVENTS, 3)
    ]
    return [*data, w.dgram(1000, w.END_RUN)]


@pytest.mark.parametrize("suffix", ["", ".inprogress"])
@pytest.mark.parametrize("end_run", [True, False])
def test_growing_streams(tmp_path: Path, suffix: str, end_run: bool) -> None:
    if not suffix and not end_run:
        pytest.skip("without a rename only EndRun tells the end")
    first, other = datagrams(), second()
    if not end_run:
        first, other = first[:-1], other[:-1]
    names = [f"tstx00417-r0001-s{s:03d}-c000.xtc2{suffix}" for s in (0, 1)]
    with Writing(tmp_path, {names[0]: first, names[1]: other}, 61):
        run = one_run(tmp_path)
        rows = read(run)
    assert [row[X] for row in rows] == [i / 2 for i in range(EVENTS)]
    assert [row[Y] for row in rows] == list(range(EVENTS))
    assert [row.get(Z) for row in rows] == [None if i % 3 else i for i in range(EVENTS)]
    assert run.faults == []
    assert run.info.events is None


def test_same_as_after_the_run(tmp_path: Path) -> None:
    samples.every_type(tmp_path / "done")
    (path,) = (tmp_path / "done").glob("*.xtc2")
    (tmp_path / "grows").mkdir()
    with Writing(
        tmp_path / "grows", {path.name + ".inprogress": [path.read_bytes()]}, 4000
    ):
        growing = one_run(tmp_path / "grows")
        signals = [s for d in growing.info.detectors.values() for s in d.signals()]
        live = rows_of(growing.batches(signals, BatchLimits()))
    (done,) = FilesSource.from_files([path]).runs()
    offline = rows_of(done.batches(signals, BatchLimits()))
    assert repr(live) == repr(offline)
    assert len(live) == 23


def test_chunk_that_comes_later(tmp_path: Path) -> None:
    told = w.shapes_data(
        w.CHUNKINFO, {"filename": "tstx00417-r0001-s000-c001.xtc2", "chunkid": 1}
    )
    head = [w.configure([w.RUNINFO, A, B, w.CHUNKINFO]), *datagrams()[1:7]]
    head.append(w.dgram(105, w.ENABLE, [told]))
    name = "tstx00417-r0001-s000-c000.xtc2.inprogress"
    later = "tstx00417-r0001-s000-c001.xtc2.inprogress"
    with Writing(tmp_path, {name: head}, 200):
        run = one_run(tmp_path)
        signals = [Signal("a", "raw", "x")]
        batches = run.batches(signals, BatchLimits())
        rows = rows_of([next(batches)])
        with Writing(tmp_path, {later: datagrams()[7:]}, 50):
            rows += rows_of(batches)
    assert [row[X] for row in rows] == [i / 2 for i in range(EVENTS)]


def test_silence(tmp_path: Path) -> None:
    path = tmp_path / "tstx00417-r0001-s000-c000.xtc2.inprogress"
    data = b"".join(datagrams()[:-1])
    path.write_bytes(data + datagrams()[3][:40])
    live = LiveFiles(silence_seconds=0.3, poll_seconds=0.01)
    batches = one_run(tmp_path, live).batches([X], BatchLimits())
    rows = rows_of([next(batches)])
    with pytest.raises(
        SourceError, match=r"s000-c000\.xtc2.*nothing new for 0\.3 s"
    ) as error:
        rows += rows_of(batches)
    assert f"read up to byte {len(data)} of {len(data) + 40}" in str(error.value)
    assert [row[X] for row in rows] == [i / 2 for i in range(EVENTS)]


def test_silence_of_one_stream_gives_what_the_others_have(tmp_path: Path) -> None:
    names = [f"tstx00417-r0001-s{s:03d}-c000.xtc2.inprogress" for s in (0, 1)]
    (tmp_path / names[0]).write_bytes(b"".join(datagrams()))
    (tmp_path / names[1]).write_bytes(b"".join(second()[:4]))
    live = LiveFiles(silence_seconds=0.3, poll_seconds=0.01)
    batches = one_run(tmp_path, live).batches([X, Z], BatchLimits())
    rows: list[dict[Signal, Any]] = []
    with pytest.raises(SourceError, match=names[1]):
        rows.extend(row for batch in batches for row in rows_of([batch]))
    assert [row[X] for row in rows] == [i / 2 for i in range(EVENTS)]
    assert [row.get(Z) for row in rows][:5] == [0, None, None, 3, None]


def test_nothing_comes(tmp_path: Path) -> None:
    live = LiveFiles(silence_seconds=0.1, poll_seconds=0.01)
    with pytest.raises(RunNotFound, match=r"no file of tstx00417 run 1 appeared"):
        one_run(tmp_path, live)
    with pytest.raises(ValueError, match="above zero"):
        LiveFiles(silence_seconds=0)


def test_an_older_event_afterwards(tmp_path: Path) -> None:
    data = datagrams()
    path = tmp_path / "tstx00417-r0001-s000-c000.xtc2.inprogress"
    path.write_bytes(b"".join(data[:8]))
    run = one_run(tmp_path)
    batches = run.batches([X], BatchLimits())
    rows = rows_of([next(batches)])
    with path.open("ab") as file:
        file.write(b"".join([data[3], *data[8:]]))
    rows += rows_of(batches)
    assert [row[X] for row in rows] == [i / 2 for i in range(EVENTS)]
    (fault,) = run.faults
    assert fault.events == 1
    assert "older than events given before" in fault.what


def test_broken_configure_while_growing(tmp_path: Path) -> None:
    broken = bytearray(w.configure([A, B], 105))
    broken[24 + 8] = 5
    data = [*datagrams()[:7], bytes(broken), *datagrams()[7:]]
    (tmp_path / "tstx00417-r0001-s000-c000.xtc2").write_bytes(b"".join(data))
    run = one_run(tmp_path)
    assert [row[X] for row in read(run)] == [0, 0.5, 1, 1.5, 2]
    (fault,) = run.faults
    assert "Configure" in fault.what


def test_time_in_which_nobody_listens_is_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph may take its time to be built: what comes afterwards is heard."""
    path = tmp_path / "tstx00417-r0001-s000-c000.xtc2.inprogress"
    path.write_bytes(b"".join(datagrams()[:8]))
    batches = one_run(tmp_path).batches([X], BatchLimits())
    now = time.monotonic

    class AnHourLater:
        """The clock, and data that come when nothing new was found three times."""

        looks = 0

        @staticmethod
        def monotonic() -> float:
            return now() + 3600

        @classmethod
        def sleep(cls, seconds: float) -> None:
            cls.looks += 1
            if cls.looks == 3:
                with path.open("ab") as file:
                    file.write(b"".join(datagrams()[8:]))

    monkeypatch.setattr(files_live, "time", AnHourLater)
    assert [row[X] for row in rows_of(batches)] == [i / 2 for i in range(EVENTS)]
    assert AnHourLater.looks >= 3
