"""What is played is what the files hold, with what the server needs, at new times."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Signal
from smalldata_stream.errors import SourceError
from smalldata_stream.play import Play, build, passes
from smalldata_stream.play_order import stamped
from smalldata_stream.protocols import Source
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.simulate.xtc2_writer import Names, Service, Stream
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from tests.shmem.playing import CAM, COUNT, OTHER, VALUE, needs_server, write_run
from tests.sources.oracle import DATA, needs_data, read

TIMESTAMP = Signal("", "", "timestamp")
BEGIN, PERIOD = 10**18, 10**7
REAL = {
    "fakesteps": ["fakesteps/xpptut15-r0014-s000-c000.xtc2"],
    "intg_det": ["intg_det/xpptut15-r0014-s000-c000.xtc2"],
    "jungfrau": ["test_jungfrau05M_calib.xtc2"],
    "ts": ["test_ts.xtc2"],
}


def files(name: str) -> list[Path]:
    first = DATA / REAL[name][0]
    return sorted(first.parent.glob(first.name.replace("s000", "s*")))


def played(source: FilesSource, path: Path, **options: Any) -> list[tuple[int, int]]:
    """Write what would be played into a file; (time, service) of each datagram."""
    how = Play(tag="none", **{"loops": 1, **options})
    sent = list(stamped(passes(build(source), how), BEGIN, PERIOD))
    path.write_bytes(b"".join(one.raw for one in sent))
    return [(one.time, one.service) for one in sent]


def values(source: Source) -> list[dict[Signal, Any]]:
    """The events of all runs, without their timestamps."""
    rows = [row for run in source.runs() for row in read(run)]
    return [{s: v for s, v in row.items() if s != TIMESTAMP} for row in rows]


def assert_same(
    ours: Sequence[dict[Signal, Any]], other: Sequence[dict[Signal, Any]]
) -> None:
    assert len(ours) == len(other) > 0
    for mine, theirs in zip(ours, other, strict=True):
        assert mine.keys() == theirs.keys()
        for signal, value in mine.items():
            np.testing.assert_array_equal(value, theirs[signal], err_msg=str(signal))


def assert_accepted(services: Sequence[int]) -> None:
    """Every transition is one of those that may follow: begins are nested."""
    stack: list[int] = []
    for service in services:
        if service == Service.L1_ACCEPT:
            assert Service.BEGIN_RUN in stack
        elif service == Service.CONFIGURE:
            assert stack in ([], [Service.CONFIGURE])
            stack = [service]
        elif service == Service.SLOW_UPDATE:
            assert stack[-1] == Service.ENABLE
        elif service % 2 == 0:
            assert stack[-1] == service - 2
            stack.append(service)
        else:
            assert stack.pop() == service - 1
    assert stack == [Service.CONFIGURE]


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_real_files(tmp_path: Path, name: str) -> None:
    source = FilesSource.from_files(files(name))
    sent = played(source, tmp_path / "built.xtc2")
    assert_accepted([service for _, service in sent])
    built = FilesSource.from_files([tmp_path / "built.xtc2"])
    assert_same(values(built), values(source))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    some = ("timing", "gmd", "atmopal", "andor_slow")
    simulation = Simulation(events=24, steps=2, detectors=some)
    return list(simulate(tmp_path_factory.mktemp("run"), simulation).xtc2)


def test_simulated_streams(tmp_path: Path, simulated: list[Path]) -> None:
    assert len(simulated) == 3
    source = FilesSource.from_files(simulated)
    times = [time for time, _ in played(source, tmp_path / "built.xtc2")]
    assert times == sorted(set(times))
    built = FilesSource.from_files([tmp_path / "built.xtc2"])
    assert_same(values(built), values(source))
    [run] = built.runs()
    assert (run.info.exp, run.info.number) == ("xpptut26", 1)
    rows = read(run)
    begin = BEGIN // 10**9 << 32 | BEGIN % 10**9
    assert rows[0][TIMESTAMP] > begin
    assert len({row[TIMESTAMP] for row in rows}) == 24


@needs_server
def test_psana_reads_it_too(tmp_path: Path, simulated: list[Path]) -> None:
    source = FilesSource.from_files(simulated)
    played(source, tmp_path / "built.xtc2")
    built = PsanaSource.from_files([tmp_path / "built.xtc2"])
    assert_same(values(built), values(source))


def test_loops_are_one_run_or_several(tmp_path: Path) -> None:
    source = FilesSource.from_files([write_run(tmp_path / "a.xtc2", 5)])
    for several in (False, True):
        path = tmp_path / f"{several}.xtc2"
        sent = played(source, path, loops=3, run_per_loop=several)
        assert_accepted([service for _, service in sent])
        assert [time for time, _ in sent] == sorted({time for time, _ in sent})
        runs = [read(run) for run in FilesSource.from_files([path]).runs()]
        counts = [[row[COUNT] for row in run] for run in runs]
        assert counts == ([list(range(5))] * 3 if several else [list(range(5)) * 3])


def test_endless_loops_go_on(tmp_path: Path) -> None:
    source = FilesSource.from_files([write_run(tmp_path / "a.xtc2", 5)])
    many = itertools.islice(passes(build(source), Play(tag="x")), 1000)
    assert sum(item.service.name == "L1_ACCEPT" for item in many) > 500


def test_damage_stays_in_its_stream(tmp_path: Path) -> None:
    paths = [tmp_path / f"tstx00417-r0001-s{k:03d}-c000.xtc2" for k in (0, 1)]
    write_run(paths[0], 6, names=[CAM])
    write_run(paths[1], 6, names=[OTHER])
    data = bytearray(paths[1].read_bytes())
    at = data.index((1000 + 10 * 2).to_bytes(8, "little"))
    data[at + 16] |= 1  # damage of the datagram of event 2
    paths[1].write_bytes(data)
    source = FilesSource.from_files(paths)
    played(source, tmp_path / "built.xtc2")
    built = values(FilesSource.from_files([tmp_path / "built.xtc2"]))
    assert_same(built, values(source))
    assert [row[COUNT] for row in built] == list(range(6))
    assert [row.get(VALUE) for row in built] == [0, 0.5, None, 1.5, 2, 2.5]


def test_transitions_that_are_missing_are_put_in(tmp_path: Path) -> None:
    path = tmp_path / "bare.xtc2"
    epics = Names(
        detector="epics",
        type="epics",
        algorithm="raw",
        version=(2, 0, 0),
        fields={"x": ("f8", 0)},
    )
    with Stream(path, tmp_path / "bare.smd", [OTHER, epics]) as stream:
        stream.configure(1)
        stream.transition(5, Service.SLOW_UPDATE, [(epics, {"x": np.array([7.0])})])
        stream.events(np.array([6]), [(OTHER, {"value": np.array([0.5])})])
        stream.transition(7, Service.BEGIN_STEP)
        stream.events(np.array([8]), [(OTHER, {"value": np.array([1.0])})])
        stream.transition(9, Service.END_RUN)
    sent = played(FilesSource.from_files([path]), tmp_path / "built.xtc2")
    assert_accepted([service for _, service in sent])
    rows = values(FilesSource.from_files([tmp_path / "built.xtc2"]))
    assert [row[VALUE] for row in rows] == [0.5, 1.0]
    assert [row[Signal("epics", "raw", "x")] for row in rows] == [7.0, 7.0]


def test_nothing_to_play(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no event"):
        build(FilesSource.from_files([write_run(tmp_path / "a.xtc2", 0)]))
    with pytest.raises(ValueError, match="rate_hz=0: write a number above 0"):
        Play(tag="x", rate_hz=0)
