"""What damage costs: the events around it are kept, and a fault says where it is."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import BatchLimits, Signal, Status
from smalldata_stream.errors import CorruptData, RunNotFound, SourceError
from smalldata_stream.protocols import Run
from smalldata_stream.sources.files import FilesSource
from tests.sources.oracle import read
from tests.sources.runs import one_run
from tests.xtc2 import samples
from tests.xtc2 import writer as w

EVENTS = 12
TYPE_WORD = 24 + 6
A = w.Block(0x101, "a", "gmd", "raw", (2, 1, 0), {"x": ("f8", 0), "v": ("i4", 1)})
B = w.Block(0x102, "b", "gmd", "raw", (2, 1, 0), {"y": ("u2", 0)})
C = w.Block(0x101, "c", "gmd", "raw", (2, 1, 0), {"z": ("i8", 0)})
X, V, Y = Signal("a", "raw", "x"), Signal("a", "raw", "v"), Signal("b", "raw", "y")
Z = Signal("c", "raw", "z")


def event(i: int, **changes: Any) -> bytes:
    parts = [w.shapes_data(A, {"x": i / 2, "v": [i, -i, i]}), w.shapes_data(B, {"y": i})]
    return w.dgram(100 + i, w.L1_ACCEPT, parts, **changes)


def datagrams() -> list[bytes]:
    return [
        w.configure([w.RUNINFO, A, B]),
        w.begin_run("tstx00417", 1),
        *(event(i) for i in range(EVENTS)),
        w.dgram(1000, w.END_RUN),
    ]


def other_stream(folder: Path, stream: int = 1) -> Path:
    data = [w.configure([w.RUNINFO, C]), w.begin_run("tstx00417", 1)]
    for i in range(EVENTS):
        part = w.shapes_data(C, {"z": 7 * i})
        data.append(w.dgram(100 + i, w.L1_ACCEPT, [part]))
    return w.write_stream(folder, [*data, w.dgram(1000, w.END_RUN)], stream=stream)


def start(index: int, data: list[bytes] | None = None) -> int:
    """Offset of datagram ``index``."""
    return sum(len(one) for one in (data or datagrams())[:index])


def columns(run: Run) -> dict[Signal, list[Any]]:
    rows = read(run)
    return {signal: [row.get(signal) for row in rows] for signal in (X, Y, Z)}


@pytest.mark.parametrize("smd", [False, True])
@pytest.mark.parametrize("cut", [30, 10, 1])
def test_truncated_in_a_datagram(tmp_path: Path, smd: bool, cut: int) -> None:
    data = datagrams()
    path = w.write_stream(tmp_path, data, smd=smd)
    end = start(2 + 5)
    path.write_bytes(path.read_bytes()[: end + cut])
    run = one_run(FilesSource.from_files([path]))
    assert columns(run)[X] == [0, 0.5, 1, 1.5, 2]
    assert any(str(path) in fault.where for fault in run.faults)
    if smd:
        assert sum(fault.events for fault in run.faults) == EVENTS - 5
    else:
        assert run.faults[0].where == f"{path}: byte {end}"


@pytest.mark.parametrize(
    "what", [b"\xff" * 40, b"\0" * 100, b"lorem ipsum dolor sit amet" * 4]
)
def test_garbage_from_some_place_on(tmp_path: Path, what: bytes) -> None:
    path = w.write_stream(tmp_path, [*datagrams()[:8], what, *datagrams()[8:]], smd=False)
    other_stream(tmp_path)
    run = one_run(FilesSource.from_run("tstx00417", 1, tmp_path))
    found = columns(run)
    assert found[X] == [i / 2 for i in range(6)] + [None] * 6
    assert found[Z] == [7 * i for i in range(EVENTS)]
    assert [fault.where for fault in run.faults] == [f"{path}: byte {start(8)}"]


@pytest.mark.parametrize("data", [b"", b"\0" * 50, b"not an xtc2 file at all, but longer"])
def test_nothing_to_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "tstx00417-r0001-s000-c000.xtc2"
    path.write_bytes(data)
    with pytest.raises(CorruptData, match=r"s000-c000\.xtc2: damaged at byte 0: "):
        list(FilesSource.from_files([path]).runs())
    other_stream(tmp_path)
    run = one_run(FilesSource.from_run("tstx00417", 1, tmp_path))
    assert [row[Z] for row in read(run)] == [7 * i for i in range(EVENTS)]
    assert [fault.where for fault in run.faults] == [f"{path}: byte 0"]


def patched(place: int, value: int) -> bytes:
    """The stream with one number of event 5 replaced."""
    data = bytearray(b"".join(datagrams()))
    at = start(2 + 5) + place
    size = 2 if place == TYPE_WORD else 4
    data[at : at + size] = value.to_bytes(size, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (24 + 8, 8, "extent of a part"),
        (24 + 8, 2**31, "extent of a part"),
        (TYPE_WORD, 9, "unknown type"),
        (24, 0x777, "names id"),
        (24 + 12 + 8, 4, "no Shapes and Data of a.raw segment 0"),
        (24 + 24, 10**9, "shapes larger than the data of a.raw segment 0"),
    ],
)
def test_one_bad_event(tmp_path: Path, place: int, value: int, words: str) -> None:
    path = w.write_stream(tmp_path, [patched(place, value)], smd=False)
    run = one_run(FilesSource.from_files([path]))
    batches = list(run.batches([X, V, Y], BatchLimits()))
    assert [len(batch) for batch in batches] == [EVENTS]
    assert np.flatnonzero(batches[0].status["a"] == Status.DAMAGED).tolist() == [5]
    expected = [i / 2 for i in range(EVENTS) if i != 5]
    assert np.asarray(batches[0].columns[X].values).tolist() == expected
    (fault,) = run.faults
    assert words in fault.what
    assert fault.where.startswith(f"{path}: byte ")
    offset = int(fault.where.rpartition(" ")[2])
    assert start(2 + 5) <= offset < start(2 + 6)
    assert fault.events == 0


def test_damage_words(tmp_path: Path) -> None:
    data = datagrams()
    data[2 + 3] = event(3, damage=1 << 4)
    parts = [
        w.shapes_data(A, {"x": 9.0, "v": [0, 0, 0]}, damage=1 << 12),
        w.shapes_data(B, {"y": 6}),
    ]
    data[2 + 6] = w.dgram(106, w.L1_ACCEPT, parts)
    path = w.write_stream(tmp_path, data)
    (batch,) = one_run(FilesSource.from_files([path])).batches([X, Y], BatchLimits())
    assert np.flatnonzero(batch.status["a"]).tolist() == [3, 6]
    assert np.flatnonzero(batch.status["b"]).tolist() == [3]
    assert set(batch.status["a"].tolist()) == {Status.OK, Status.DAMAGED}
    assert np.flatnonzero(~batch.columns[X].mask).tolist() == [3, 6]


@pytest.mark.parametrize("extent", [0, 5, 11, 2**32 - 1, 10**6])
def test_wrong_extent_of_a_datagram(tmp_path: Path, extent: int) -> None:
    data = [patched(20, extent)]
    path = w.write_stream(tmp_path, data, smd=False)
    run = one_run(FilesSource.from_files([path]))
    assert [row[X] for row in read(run)] == [0, 0.5, 1, 1.5, 2]
    assert [fault.where for fault in run.faults] == [f"{path}: byte {start(2 + 5)}"]
    # With an index file only that event is lost.
    whole = w.index(b"".join(datagrams()))
    (tmp_path / "smalldata" / path.name.replace(".xtc2", ".smd.xtc2")).write_bytes(whole)
    run = one_run(FilesSource.from_files([path]))
    assert [row.get(X) for row in read(run)][4:8] == [2, None, 3, 3.5]


@pytest.mark.parametrize("cut", [0, 3, 50, 5000])
def test_index_cut(tmp_path: Path, cut: int) -> None:
    path = w.write_stream(tmp_path, datagrams())
    index = tmp_path / "smalldata" / path.name.replace(".xtc2", ".smd.xtc2")
    index.write_bytes(index.read_bytes()[:cut])
    run = one_run(FilesSource.from_files([path]))
    assert [row[X] for row in read(run)] == [i / 2 for i in range(EVENTS)]
    assert any(str(index) in fault.where for fault in run.faults)


def test_index_of_fewer_events(tmp_path: Path) -> None:
    path = w.write_stream(tmp_path, datagrams())
    index = tmp_path / "smalldata" / path.name.replace(".xtc2", ".smd.xtc2")
    index.write_bytes(w.index(b"".join(datagrams()[:6])))
    run = one_run(FilesSource.from_files([path]))
    assert [row[X] for row in read(run)] == [i / 2 for i in range(EVENTS)]
    assert run.faults == []


@pytest.mark.parametrize("size", [0, 23])
def test_index_with_an_event_smaller_than_a_header(tmp_path: Path, size: int) -> None:
    path = w.write_stream(tmp_path, datagrams()[:-1])
    index = tmp_path / "smalldata" / path.name.replace(".xtc2", ".smd.xtc2")
    at = path.stat().st_size - size
    told = index.read_bytes()[:-16] + at.to_bytes(8, "little") + size.to_bytes(8, "little")
    index.write_bytes(told)
    run = one_run(FilesSource.from_files([path]))
    assert [row[X] for row in read(run)] == [i / 2 for i in range(EVENTS)]
    (fault,) = run.faults
    assert fault.where.startswith(str(index))
    assert fault.what == "index not used: it has no offsets that make sense"


def test_index_of_another_file(tmp_path: Path) -> None:
    path = w.write_stream(tmp_path, datagrams())
    index = tmp_path / "smalldata" / path.name.replace(".xtc2", ".smd.xtc2")
    other = [datagrams()[0], w.dgram(7, w.BEGIN_RUN), *datagrams()[3:]]
    index.write_bytes(w.index(b"".join(other)))
    run = one_run(FilesSource.from_files([path]))
    assert [row[X] for row in read(run)] == [i / 2 for i in range(EVENTS)]
    (fault,) = run.faults
    assert "of another file" in fault.what
    assert str(index) in fault.where


def test_missing_stream(tmp_path: Path) -> None:
    w.write_stream(tmp_path, datagrams())
    other_stream(tmp_path, 3).unlink()
    run = one_run(FilesSource.from_run("tstx00417", 1, tmp_path))
    assert len(read(run)) == EVENTS
    (fault,) = run.faults
    assert "s003" in fault.where
    assert "no data" in fault.what


def test_later_chunk_alone(tmp_path: Path) -> None:
    path = tmp_path / "tstx00417-r0001-s000-c001.xtc2"
    path.write_bytes(b"".join(datagrams()[2:]))
    with pytest.raises(CorruptData, match=r"L1_ACCEPT, not with CONFIGURE.*-c000"):
        list(FilesSource.from_files([path]).runs())


def test_missing_chunk(tmp_path: Path) -> None:
    told = w.shapes_data(
        w.CHUNKINFO, {"filename": "tstx00417-r0001-s000-c001.xtc2", "chunkid": 1}
    )
    enable = w.dgram(105, w.ENABLE, [told])
    head = [w.configure([w.RUNINFO, A, B, w.CHUNKINFO]), *datagrams()[1:7], enable]
    path = w.write_stream(tmp_path, head, smd=False)
    tail = datagrams()[7:]
    whole = w.index(b"".join(head)) + w.index(b"".join(tail))
    (tmp_path / "smalldata" / path.name.replace(".xtc2", ".smd.xtc2")).write_bytes(whole)
    run = one_run(FilesSource.from_files([path]))
    assert len(read(run)) == 5
    assert sum(fault.events for fault in run.faults) == EVENTS - 5
    assert any("chunk" in fault.what for fault in run.faults)
    (tmp_path / "tstx00417-r0001-s000-c001.xtc2").write_bytes(b"".join(tail))
    run = one_run(FilesSource.from_files([path]))
    assert [row[X] for row in read(run)] == [i / 2 for i in range(EVENTS)]
    assert run.faults == []


def test_an_index_file_is_no_data(tmp_path: Path) -> None:
    path = w.write_stream(tmp_path, datagrams())
    index = tmp_path / "smalldata" / path.name.replace(".xtc2", ".smd.xtc2")
    with pytest.raises(SourceError, match="is an index"):
        list(FilesSource.from_files([index]).runs())


def test_not_found(tmp_path: Path) -> None:
    w.write_stream(tmp_path, datagrams(), run=12)
    with pytest.raises(RunNotFound, match=r"did you mean 'tstx00417 run 12'"):
        FilesSource.from_run("tstx00417", 13, tmp_path)
    with pytest.raises(RunNotFound, match="no such directory"):
        FilesSource.from_run("tstx00417", 13, tmp_path / "nowhere")
    with pytest.raises(RunNotFound, match="no such file"):
        FilesSource.from_files([tmp_path / "nothing.xtc2"])
    with pytest.raises(RunNotFound, match="no file given"):
        FilesSource.from_files([])


def test_timestamps_out_of_order_and_twice(tmp_path: Path) -> None:
    data = datagrams()
    data[5], data[6] = data[6], data[5]
    data.insert(9, data[8])
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    rows = read(run)
    assert [row[X] for row in rows] == [i / 2 for i in range(EVENTS)]
    assert run.info.events == EVENTS
    (fault,) = run.faults
    assert fault.events == 1
    assert "timestamp of another" in fault.what


def test_broken_configure_in_the_middle(tmp_path: Path) -> None:
    again = bytearray(w.configure([w.RUNINFO, A, B], 105))
    struct.pack_into("<I", again, 24 + 8, 5)
    data = [*datagrams()[:7], bytes(again), *datagrams()[7:]]
    path = w.write_stream(tmp_path, data, smd=False)
    run = one_run(FilesSource.from_files([path]))
    assert len(read(run)) == 5
    (fault,) = run.faults
    assert "Configure" in fault.what
    assert fault.where == f"{path}: byte {start(7) + 24}"


def test_same_segment_in_two_streams(tmp_path: Path) -> None:
    w.write_stream(tmp_path, datagrams(), stream=0)
    w.write_stream(tmp_path, datagrams(), stream=1)
    run = one_run(FilesSource.from_run("tstx00417", 1, tmp_path))
    assert [row[X] for row in read(run)] == [i / 2 for i in range(EVENTS)]
    assert all("is in" in fault.what for fault in run.faults)


def test_damaged_slow_update_keeps_the_value_before(tmp_path: Path) -> None:
    values = [{"temperature": i, "shutter": "", "image": np.eye(2)} for i in range(3)]
    slow = [
        w.dgram(103 * 1 + 3 * i, w.SLOW_UPDATE, [w.shapes_data(samples.EPICS, one)])
        for i, one in enumerate(values)
    ]
    broken = bytearray(slow[1])
    struct.pack_into("<I", broken, 24 + 8, 3)
    data = [w.configure([w.RUNINFO, A, B, samples.EPICS]), *datagrams()[1:]]
    data[6:6] = [slow[0]]
    data[10:10] = [bytes(broken)]
    data[14:14] = [slow[2]]
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    signal = Signal("epics", "raw", "temperature")
    assert [row.get(signal) for row in read(run)] == [None] * 3 + [0] * 6 + [2] * 3
    assert len(run.faults) == 1


def test_another_shape_than_declared(tmp_path: Path) -> None:
    """After the first events the shapes are fixed; what contradicts them is a gap."""
    shapes = {150: [1], 160: [1, 2, 3, 4], 170: []}
    data = datagrams()[:2]
    for i in range(200):
        parts = [
            w.shapes_data(A, {"x": i, "v": shapes.get(i, [i, i, i])}),
            w.shapes_data(B, {"y": i}),
        ]
        # Same size whatever the shape: sizes alone must not tell.
        parts.append(w.xtc(w.NAMES, bytes(40 - 4 * len(shapes.get(i, [0, 0, 0])))))
        data.append(w.dgram(100 + i, w.L1_ACCEPT, parts))
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    (batch,) = run.batches([X, V, Y], BatchLimits())
    assert run.info.detectors["a"].fields["raw", "v"].shape == (3,)
    assert np.flatnonzero(batch.status["a"] == Status.DAMAGED).tolist() == sorted(shapes)
    assert np.flatnonzero(~batch.columns[X].mask).tolist() == sorted(shapes)
    assert batch.columns[Y].present is None
    (fault,) = run.faults
    assert "v of another shape than (3,) (3 datagrams)" in fault.what
