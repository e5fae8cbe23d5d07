"""Servers that are not there, die, and come back; clients and players that are ended."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from smalldata_stream.batch import BatchLimits
from smalldata_stream.errors import PsanaError, SourceError
from smalldata_stream.play_server import ShmemServer, clean, exact_sleeps, running
from smalldata_stream.sources import shmem_feed
from smalldata_stream.sources.shmem import ShmemSource
from smalldata_stream.sources.shmem_losses import GONE, LATE, TWICE
from smalldata_stream.sources.shmem_process import Patience
from tests.processes import PATIENCE, alive, child_of, started, until
from tests.shmem.playing import (
    COUNT,
    Playing,
    between,
    lost,
    needs_server,
    new_tag,
    received,
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
    runs = ShmemSource(tag, timeout=PATIENCE).runs()
    with Playing(write_run(tmp_path / "a.xtc2", 20), tag=tag):
        next(runs)
        monkeypatch.setattr(shmem_feed, "Patience", lambda seconds: Patience(0.0))
        assert list(runs) == []


def test_a_client_that_is_slow_to_begin_gets_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not ended again and again before its first word."""
    monkeypatch.setattr(shmem_feed, "_ANEW_SECONDS", 0.01)
    monkeypatch.setattr(shmem_feed, "_LOOK_SECONDS", 0.005)
    tag = new_tag()
    with Playing(write_run(tmp_path / "a.xtc2", 60), tag=tag, loops=0):
        runs = ShmemSource(tag, first_events=5, timeout=PATIENCE).runs()
        next(runs)
        runs.close()


def test_killed_and_started_again(tmp_path: Path) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 60)
    source = ShmemSource(tag, first_events=5, timeout=PATIENCE).runs()
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
        counts = received(run)
        assert GONE not in {fault.what for fault in run.faults}
        assert lost(run) == between(counts)
    source.close()
    assert len(counts) > 5
    assert counts == sorted(set(counts))


def test_larger_events_after_a_restart(tmp_path: Path) -> None:
    tag = new_tag()
    source = ShmemSource(tag, memory=1, first_events=5, timeout=PATIENCE).runs()
    for name, side in (("small", 4), ("large", 200)):
        path = write_run(tmp_path / f"{name}.xtc2", 60, side=side)
        with Playing(path, tag=tag):
            run = next(source)
            assert run.info.detectors["cam"].fields["raw", "image"].shape == (side, side)
            assert len(received(run)) > 5
    source.close()


def sent(
    path: Path, times: Sequence[int], tag: str, wait_at: int, go_on: threading.Event
) -> ShmemServer:
    """A server that has been given the events of ``path`` at other times.

    That at ``wait_at`` and those after it come when the others have been taken.
    """
    server = ShmemServer(tag, buffer_bytes=1 << 16, clients=1, buffers=8, most_hz=500)
    raw, at, events = path.read_bytes(), 0, iter(times)
    parts = []
    while at < len(raw):
        size = 12 + int.from_bytes(raw[at + 20 : at + 24], "little")
        one = bytearray(raw[at : at + size])
        time = next(events) if one[11] & 15 == 12 else 0
        if time:
            one[:8] = time.to_bytes(8, "little")
        parts.append((time, bytes(one)))
        at += size
    assert server.wait_for_client(lambda: False)
    for time, part in parts:
        if time == wait_at:
            go_on.wait(PATIENCE)
        server.send(part)
    return server


def test_timestamps_that_go_back_are_a_fault(tmp_path: Path) -> None:
    tag = new_tag()
    path = write_run(tmp_path / "a.xtc2", 8)
    times = [1000, 1010, 1020, 1005, 1006, 1030, 1030, 1040]
    source = ShmemSource(tag, first_events=1, timeout=PATIENCE).runs()
    servers: list[ShmemServer] = []
    go_on = threading.Event()
    thread = threading.Thread(
        target=lambda: servers.append(sent(path, times, tag, 1005, go_on))
    )
    thread.start()
    run = next(source)
    came: list[int] = []
    for batch in run.batches([COUNT], BatchLimits(events=1)):
        came += batch.timestamps.tolist()
        if came[-1] == 1020:
            go_on.set()
    thread.join(PATIENCE)
    source.close()
    servers[0].close()
    assert came == [1000, 1010, 1020, 1030, 1040]
    faults = {fault.what: fault.events for fault in run.faults}
    assert faults[LATE] == 2
    assert TWICE in faults


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_child_ends_with_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    tag = new_tag()
    with Playing(write_run(tmp_path / "a.xtc2", 60), tag=tag, loops=0):
        words = [sys.executable, "-c", READ, tag]
        with started(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "1\n"
            child = child_of(reader.pid)
            assert alive(child)
            os.killpg(reader.pid, how) if how == signal.SIGINT else reader.kill()
            _, said = reader.communicate(timeout=PATIENCE)
        assert ("KeyboardInterrupt" in said) == (how == signal.SIGINT)
        until(lambda: not alive(child))


def test_the_child_dies_alone(tmp_path: Path) -> None:
    tag = new_tag()
    with Playing(write_run(tmp_path / "a.xtc2", 60), tag=tag, loops=0):
        source = ShmemSource(tag, first_events=5, timeout=PATIENCE).runs()
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
    words = [sys.executable, "-c", PLAY, "--files", path, "--tag", tag, "--rate", "200"]
    with started(words, stdout=subprocess.PIPE) as player:
        source = ShmemSource(tag, first_events=5, timeout=PATIENCE).runs()
        batches = next(source).batches([COUNT], BatchLimits(events=10))
        assert sum(len(next(batches)) for _ in range(5)) >= 30
        with pytest.raises(SourceError, match=f"tag '{tag}' is running"):
            clean(tag)
        player.send_signal(how)
        said, _ = player.communicate(timeout=PATIENCE)
        source.close()
    assert player.returncode == 130
    assert f"under the tag '{tag}'" in said
    assert "played" in said
    assert running(tag) is None
    assert not list(Path("/dev/shm").glob(f"*{tag}*"))


def test_the_server_sleeps_no_longer_than_it_says() -> None:
    """With the 50 µs that Linux adds by default it hands out 11,000 events/s at most."""

    def slack() -> int:
        look = "print(open('/proc/self/timerslack_ns').read())"
        return int(subprocess.check_output([sys.executable, "-c", look]))

    usual = slack()
    with exact_sleeps():
        assert slack() == 1
    assert slack() == usual
