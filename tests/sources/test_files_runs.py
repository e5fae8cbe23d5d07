"""Where one run ends and the next begins, in one file and in several."""

from __future__ import annotations

from pathlib import Path

from smalldata_stream.batch import Signal
from smalldata_stream.sources.files import FilesSource
from tests.sources.oracle import read
from tests.sources.runs import one_run
from tests.xtc2 import writer as w


def small(name: str, block_id: int, field: str = "x") -> w.Block:
    return w.Block(block_id, name, "gmd", "raw", (2, 1, 0), {field: ("i4", 0)})


def test_second_configure_within_a_run(tmp_path: Path) -> None:
    """Ids change meaning in the middle; the run goes on."""
    one, two = [small("a", 1), small("b", 2)], [small("b", 1), small("a", 2)]
    data = [w.configure([w.RUNINFO, *one]), w.begin_run("tstx00417", 1)]
    for i in range(20):
        blocks = one if i < 9 else two
        if i == 9:
            data.append(w.configure([w.RUNINFO, *two], 18))
        parts = [w.shapes_data(b, {"x": i if b.detector == "a" else -i}) for b in blocks]
        data.append(w.dgram(10 + i, w.L1_ACCEPT, parts))
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    rows = read(run)
    assert [row[Signal("a", "raw", "x")] for row in rows] == list(range(20))
    assert [row[Signal("b", "raw", "x")] for row in rows] == [-i for i in range(20)]
    assert run.faults == []


def test_no_begin_run_and_no_end_run(tmp_path: Path) -> None:
    block = small("a", 1)
    events = [
        w.dgram(10 + i, w.L1_ACCEPT, [w.shapes_data(block, {"x": i})]) for i in range(3)
    ]
    path = w.write_stream(tmp_path, [w.configure([block]), *events], run=88)
    run = one_run(FilesSource.from_files([path]))
    assert (run.info.exp, run.info.number) == ("tstx00417", 88)
    assert len(read(run)) == 3
    plain = path.rename(tmp_path / "any.xtc2")
    run = one_run(FilesSource.from_files([plain]))
    assert (run.info.exp, run.info.number) == ("", 0)


def test_begin_run_without_end_run(tmp_path: Path) -> None:
    block = small("a", 1)
    data = [w.configure([w.RUNINFO, block])]
    for number in (1, 2):
        part = w.shapes_data(block, {"x": number})
        data.append(w.begin_run("tstx00417", number, 10 * number))
        data.append(w.dgram(10 * number + 1, w.L1_ACCEPT, [part]))
    path = w.write_stream(tmp_path, data)
    runs = list(FilesSource.from_files([path]).runs())
    assert [run.info.number for run in runs] == [1, 2]
    assert [[row[Signal("a", "raw", "x")] for row in read(run)] for run in runs] == [
        [1],
        [2],
    ]


def test_several_runs_in_the_files_of_a_directory(tmp_path: Path) -> None:
    """Also with several streams, and when one stream lacks a run."""
    for stream, numbers in ((0, (1, 2, 3)), (1, (1, 3))):
        block = small(f"det{stream}", 5)
        data = [w.configure([w.RUNINFO, block])]
        for number in numbers:
            at = 1000 * number
            data.append(w.begin_run("tstx00417", number, at))
            for i in range(4):
                part = w.shapes_data(block, {"x": 10 * number + i})
                data.append(w.dgram(at + 1 + i, w.L1_ACCEPT, [part]))
            data.append(w.dgram(at + 9, w.END_RUN))
        w.write_stream(tmp_path, data, stream=stream)
    found = {}
    for run in FilesSource.from_run("tstx00417", 1, tmp_path).runs():
        rows = read(run)
        found[run.info.number] = [
            [row.get(Signal(f"det{s}", "raw", "x")) for row in rows] for s in (0, 1)
        ]
    both = {n: [[10 * n + i for i in range(4)]] * 2 for n in (1, 3)}
    assert found == both | {2: [[20, 21, 22, 23], [None] * 4]}


def test_files_of_two_runs_are_two_runs(tmp_path: Path) -> None:
    paths = []
    for number, stream in ((1, 0), (2, 0), (1, 1)):
        block = small(f"det{stream}", 5)
        part = w.shapes_data(block, {"x": number})
        data = [w.configure([w.RUNINFO, block]), w.begin_run("tstx00417", number)]
        data.append(w.dgram(10, w.L1_ACCEPT, [part]))
        paths.append(w.write_stream(tmp_path, data, run=number, stream=stream))
    runs = list(FilesSource.from_files(paths).runs())
    assert [(run.info.number, sorted(run.info.detectors)) for run in runs] == [
        (1, ["det0", "det1"]),
        (2, ["det0"]),
    ]
