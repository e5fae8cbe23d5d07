"""Servers that are not there, die, and come back; clients and players that are ended."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smalldata_stream.batch import BatchLimits
from smalldata_stream.errors import PsanaError, SourceError
from smalldata_stream.play_server import ShmemServer, clean, running
from smalldata_stream.sources import shmem_feed
from smalldata_stream.sources.shmem import ShmemSource
from smalldata_stream.sources.shmem_losses import GONE, LATE, TWICE
from smalldata_stream.sources.shmem_process import Patience
from tests.shmem.playing import (
    COUNT,
    SECONDS,
    Playing,
    needs_server,
    new_tag,
    write_run,
)

pytestmark = needs_server
READ = """
import sys
from smalldata_stream.batch import BatchLimits, Signal
from smalldata_stream.sources.shmem import ShmemSource
for run in ShmemSource(sys.argv[1], first_events=1, timeout=60).runs():
    for batch in run.batches([Signal("cam", "raw", "count")], BatchLimits(events=1)):
        print(len(batch), flush=True)
"""
PLAY = """
import argparse, sys
from smalldata_stream.cli import play
parser = argparse.ArgumentParser()
play.arguments(parser)
try:
    sys.exit(play.run(parser.parse_args()))
except KeyboardInterrupt:
    sys.exit(130)
"""


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, and fail when it never is."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def child_of(pid: int) -> int:
    """The process with psana's client that a process has started."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            words = (entry / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid and b"psana_child_shmem" in words:
            return int(entry.name)
    raise AssertionError("there is no child")


def test_no_server() -> None:
    tag = new_tag()
    with pytest.raises(SourceError, match=rf"no server within 0.5 s.*-p {tag}"):
        next(ShmemSource(tag, timeout=0.5).runs())
    with pytest.raises(ValueError, match="has a tag"):
        ShmemSource("")


def test_wait_for_a_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 30)
    with (
        caplog.at_level(logging.WARNING),
        Playing(path, tag=tag, clients=1) as playing,
    ):
        runs = ShmemSource(tag, timeout=0.1, wait=True).runs()
        assert len(list(next(runs).batches([COUNT], BatchLimits()))) == 1
        runs.close()
    assert "waiting until there is a server" in caplog.text
    assert playing.progress.events == 30


def test_the_source_ends_when_no_server_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = new_tag()
    runs = ShmemSource(tag, timeout=SECONDS).runs()
    with Playing(write_run(tmp_path / "a.xtc2", 20), tag=tag):
        next(runs)
        monkeypatch.setattr(shmem_feed, "Patience", lambda seconds: Patience(0.0))
        assert list(runs) == []


def test_killed_and_started_again(tmp_path: Path) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 60)
    source = ShmemSource(tag, first_events=5, timeout=SECONDS).runs()
    with Playing(path, tag=tag, loops=0) as playing:
        run = next(source)
        batches = run.batches([COUNT], BatchLimits(seconds=0.1))
        next(batches)
        pid = running(tag)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        list(batches)
        assert GONE in {fault.what for fault in run.faults}
        [error] = playing.join()
    assert isinstance(error, PsanaError)
    assert "killed by SIGKILL" in str(error)
    with Playing(path, tag=tag):
        run = next(source)
        counts = [
            int(count)
            for batch in run.batches([COUNT], BatchLimits(seconds=0.1))
            for count in batch.columns[COUNT].values
        ]
        assert GONE not in {fault.what for fault in run.faults}
    source.close()
    assert len(counts) > 40
    assert counts == sorted(set(counts))


def test_larger_events_after_a_restart(tmp_path: Path) -> None:
    tag = new_tag()
    source = ShmemSource(tag, memory=1, first_events=5, timeout=SECONDS).runs()
    for name, side in (("small", 4), ("large", 200)):
        path = write_run(tmp_path / f"{name}.xtc2", 60, side=side)
        with Playing(path, tag=tag):
            run = next(source)
            assert run.info.detectors["cam"].fields["raw", "image"].shape == (side, side)
            assert sum(map(len, run.batches([COUNT], BatchLimits(seconds=0.1)))) > 40
    source.close()


def sent(path: Path, times: list[int], tag: str) -> ShmemServer:
    """A server that has been given the events of ``path`` at other times."""
    server = ShmemServer(tag, buffer_bytes=1 << 16, clients=1, buffers=8, most_hz=500)
    raw, at, events = path.read_bytes(), 0, iter(times)
    parts = []
    while at < len(raw):
        size = 12 + int.from_bytes(raw[at + 20 : at + 24], "little")
        one = bytearray(raw[at : at + size])
        if one[11] & 15 == 12:
            one[:8] = next(events).to_bytes(8, "little")
        parts.append(bytes(one))
        at += size
    assert server.wait_for_client(lambda: False)
    for part in parts:
        server.send(part)
        time.sleep(0.02)
    return server


def test_timestamps_that_go_back_are_a_fault(tmp_path: Path) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 8)
    times = [1000, 1010, 1020, 1005, 1006, 1030, 1030, 1040]
    source = ShmemSource(tag, first_events=1, timeout=SECONDS).runs()
    servers: list[ShmemServer] = []
    thread = threading.Thread(target=lambda: servers.append(sent(path, times, tag)))
    thread.start()
    run = next(source)
    batches = list(run.batches([COUNT], BatchLimits(events=1)))
    thread.join(SECONDS)
    source.close()
    servers[0].close()
    came = np.concatenate([batch.timestamps for batch in batches]).tolist()
    assert came == sorted(set(came))
    faults = {fault.what: fault.events for fault in run.faults}
    assert TWICE in faults
    assert len(came) + faults.get(LATE, 0) == 7
    assert faults.get(LATE, 0) > 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_child_ends_with_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    tag = new_tag()
    with Playing(write_run(tmp_path / "a.xtc2", 60), tag=tag, loops=0):
        reader = subprocess.Popen(
            [sys.executable, "-c", READ, tag],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"1\n"
        child = child_of(reader.pid)
        assert alive(child)
        os.killpg(reader.pid, how) if how == signal.SIGINT else reader.kill()
        _, said = reader.communicate(timeout=SECONDS)
        assert (b"KeyboardInterrupt" in said) == (how == signal.SIGINT)
        until(lambda: not alive(child))


def test_the_child_dies_alone(tmp_path: Path) -> None:
    tag = new_tag()
    with Playing(write_run(tmp_path / "a.xtc2", 60), tag=tag, loops=0):
        source = ShmemSource(tag, first_events=5, timeout=SECONDS).runs()
        batches = next(source).batches([COUNT], BatchLimits(seconds=0.1))
        next(batches)
        os.kill(child_of(os.getpid()), signal.SIGKILL)
        with pytest.raises(PsanaError, match="killed by SIGKILL"):
            list(batches)
        source.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_leaves_nothing_behind(tmp_path: Path, how: signal.Signals) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 20)
    player = subprocess.Popen(
        [sys.executable, "-c", PLAY, "--files", path, "--tag", tag, "--rate", "200"],
        stdout=subprocess.PIPE,
        text=True,
    )
    source = ShmemSource(tag, first_events=5, timeout=SECONDS).runs()
    batches = next(source).batches([COUNT], BatchLimits(events=10))
    assert sum(len(next(batches)) for _ in range(5)) >= 50
    with pytest.raises(SourceError, match=f"tag '{tag}' is running"):
        clean(tag)
    player.send_signal(how)
    said, _ = player.communicate(timeout=SECONDS)
    source.close()
    assert player.returncode == 130
    assert f"under the tag '{tag}'" in said
    assert "played" in said
    assert running(tag) is None
    assert not list(Path("/dev/shm").glob(f"*{tag}*"))
