"""The commands as a user runs them: signals, runs that follow each other, the demo."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import pytest

from smalldata_stream.client import Client
from smalldata_stream.play_server import running
from tests.processes import PATIENCE, alive, family, started, until
from tests.shmem.playing import (
    CAM,
    OTHER,
    Playing,
    needs_server,
    new_tag,
    write_run,
)

pytestmark = needs_server
COMMAND = [sys.executable, "-m", "smalldata_stream.cli"]
GRAPH = """
def graph(g, run):
    cam = g.detector("cam", optional=True, frames="raw.image", calibration="raw")
    cam.roi("ROI_0", [[0, 2], [0, 2]])
    other = g.detector("other", optional=True)
    other["value"].plot.histogram(bins=(0, 100, 10))
"""


@contextmanager
def command(*words: object, says: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command of ours, and the rest of the line that begins with ``says``."""
    with started([*COMMAND, *words], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(says):
                break
        yield process, line.removeprefix(says).strip()


def read_at_least(address: str, events: int) -> None:
    """Wait until a session has so many events."""
    with Client(address) as client:

        def enough() -> bool:
            told = client.latest("index", timeout=PATIENCE).metadata.get("ledger", {})
            return bool(told.get("read", 0) >= events)

        until(enough)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_live_and_leaves_a_whole_file(
    how: signal.Signals, tmp_path: Path
) -> None:
    tag, output = new_tag(), tmp_path / "live.h5"
    graph = tmp_path / "graph.py"
    graph.write_text(GRAPH)
    words = ["live", graph, "--shmem", tag, "--publish", "tcp://127.0.0.1:*", "-o", output]
    with (
        Playing(write_run(tmp_path / "a.xtc2", 60), tag=tag, loops=0),
        command(*words, says="publishing:") as (process, address),
    ):
        read_at_least(address, 60)
        processes = family(process.pid)
        process.send_signal(how)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "The ledger closes" in said
    assert len(processes) == 2
    assert not any(map(alive, processes))
    assert running(tag) is None
    assert not list(Path("/dev/shm").glob(f"*{tag}*"))
    with h5py.File(output) as f:
        assert f.attrs["complete"]
        assert len(f["timestamp"]) == len(f["cam/ROI_0_sum"]) >= 60


def test_a_signal_ends_the_wait_for_a_server(tmp_path: Path) -> None:
    words = ["live", "everything", "--shmem", new_tag(), "--publish", "tcp://127.0.0.1:*"]
    with command(*words, says="publishing:") as (process, _):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


def test_runs_servers_and_configurations_follow_each_other(tmp_path: Path) -> None:
    tag, output = new_tag(), tmp_path / "live.h5"
    graph = tmp_path / "graph.py"
    graph.write_text(GRAPH)
    words = ["live", graph, "--shmem", tag, "--publish", "tcp://127.0.0.1:*", "-o", output]
    both = write_run(tmp_path / "a.xtc2", 60, names=(CAM, OTHER))
    one = write_run(tmp_path / "b.xtc2", 60, number=2, names=(OTHER,))
    gone = write_run(tmp_path / "c.xtc2", 60, number=3, without=range(20, 40))
    with command(*words, says="publishing:") as (process, _):
        assert process.stdout is not None
        said = []
        for number, path in enumerate((both, one, gone), 1):  # with servers of their own
            with Playing(path, tag=tag) as playing:
                assert playing.join() == []
            for line in process.stdout:  # each run is told when it is over
                said.append(line)
                if line.startswith("The ledger closes"):
                    break
            name = "live.h5" if number == 1 else f"live_Run{number:04d}.h5"
            assert f"tstx00417 run {number} -> {tmp_path / name}\n" in said
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert "dropped from the graph: cam: not in this run\n" in said
    with h5py.File(output) as f:
        assert "cam/ROI_0_sum" in f
    with h5py.File(tmp_path / "live_Run0002.h5") as f:
        assert "other/value" in f
        assert "cam" not in f
    with h5py.File(tmp_path / "live_Run0003.h5") as f:
        values, there = f["other/value"][:], f["damage/cam"][:] == 1
        absent = (values >= 10) & (values < 20)
        assert absent.any()
        assert (there == ~absent).all()


def test_the_parts_of_the_demo_end_with_it_even_killed(tmp_path: Path) -> None:
    graph = tmp_path / "graph.py"
    graph.write_text(GRAPH)
    words = ["live", str(graph), "--shmem", new_tag(), "--publish", "tcp://127.0.0.1:*"]
    code = (
        "import time\n"
        "from smalldata_stream.cli.demo_live import Part\n"
        f"part = Part({words!r})\n"
        "part.says('publishing:')\n"
        "print(part.process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with started([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        part = int(process.stdout.readline())
        assert alive(part)
        process.kill()
        until(lambda: not alive(part))


def test_the_demo_ends_as_a_whole(tmp_path: Path) -> None:
    words = ["demo", tmp_path / "demo", "--live", "--events", "24"]
    with command(*words, says="published:") as (process, said):
        address = said.split()[0]
        read_at_least(address, 60)  # the run is played again and again
        processes = family(process.pid)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert len(processes) >= 5  # itself, player and server, live and psana's client
    assert not any(map(alive, processes))
    assert not list(Path("/dev/shm").glob(f"*demo{process.pid}*"))
    assert "The ledger closes" in said
    assert re.search(r"played [\d,]+ events", said)
