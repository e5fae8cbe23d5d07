"""Live sessions for the benchmarks: a player, our session, and psana's own loop beside it.

A real shmemServer is fed in a process of its own; ours and psana's loop read from the same
server with the same settings.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sinks.zmq import ZmqPublisher
from smalldata_stream.metrics import Metrics
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import LiveOptions, run_live
from smalldata_stream.protocols import Run, Source
from smalldata_stream.simulate.xtc2_writer import Names, Service, Stream
from smalldata_stream.sources.shmem import ShmemSource

ROOT = Path(__file__).resolve().parents[1]
SCALAR_GRAPH = """
def graph(g, run):
    g.detector("scalars")["s0"].plot.strip()
"""
FRAME_GRAPH = """
def graph(g, run):
    g.detector("gmd")
    jungfrau = g.detector("jungfrau")
    ring = jungfrau.roi("ROI_0", [[0, 1], [130, 330], [550, 630]])
    ring.projection(axis=0)
    jungfrau.azimuthal(
        center_um=(19_200.0, 38_400.0), pixel_size_um=75.0, distance_mm=100.0,
        photon_energy_kev=9.5, q_bins=0.02,
    )
    ring["sum"].plot.strip()
    jungfrau.plot.image()
"""
PLAY = """
import sys, time
import numpy as np
from smalldata_stream.play import Play, play
from smalldata_stream.play_server import ShmemServer
from smalldata_stream.sources.files import FilesSource
log, tag, rate, loops, *files = sys.argv[1:]
sent, send = [], ShmemServer.send
def tee(server, raw):
    sent.append((int.from_bytes(raw[:8], "little"), time.time_ns()))
    send(server, raw)
ShmemServer.send = tee
how = Play(tag=tag, rate_hz=float(rate), loops=int(loops))
try:
    play(FilesSource.from_files(files), how)
except KeyboardInterrupt:
    pass
finally:
    np.save(log, np.array(sent, np.int64))
"""
PSANA = """
import os, sys, time, types
krtc = types.ModuleType("krtc"); krtc.KerberosTicket = type("KerberosTicket", (), {})
sys.modules["krtc"] = krtc
from psana import DataSource
tag, most, detector, algorithm, *fields = sys.argv[1:]
run = next(DataSource(shmem=tag, skip_calib_load="all").runs())
found = getattr(run.Detector(detector), algorithm)
readers = [getattr(found, name) for name in fields]
late = []
for event in run.events():
    if not late:
        begin, used = time.perf_counter(), time.process_time()
    for read in readers:
        read(event)
    late += [event.timestamp, time.time_ns()]
    last = time.perf_counter()
    if last - begin > float(most):  # at the end of the data it may wait for ever
        break
print(last - begin, time.process_time() - used, *late, file=sys.stderr)
sys.stderr.flush()
os._exit(0)
"""
READ = """
import sys
from smalldata_stream.client import Client
with Client(sys.argv[1]) as client:
    client.subscribe()
    print("subscribed", flush=True)
    while True:
        client.next()
"""
SLEEP = """
import sys, time
import zmq
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.SUBSCRIBE, b"")
socket.connect(sys.argv[1])
print("subscribed", flush=True)
time.sleep(600)
"""


def scalars(fields: int) -> Names:
    """A detector with so many scalars."""
    return Names(
        detector="scalars",
        type="generic_container",
        algorithm="xtc1dump",
        version=(0, 1, 0),
        fields={f"s{i}": ("f8", 0) for i in range(fields)},
    )


def write_events(path: Path, names: Names, values: Mapping[str, NDArray[Any]]) -> Path:
    """A run of events with these values of one detector, a row each."""
    events = len(next(iter(values.values())))
    with Stream(path, Path(os.devnull), [names]) as stream:
        stream.configure(1)
        stream.transition(2, Service.BEGIN_RUN)
        stream.transition(3, Service.BEGIN_STEP)
        stream.transition(4, Service.ENABLE)
        stream.events(10 + np.arange(events), [(names, dict(values))])
        for k, service in enumerate((Service.DISABLE, Service.END_STEP, Service.END_RUN)):
            stream.transition(10 + events + k, service)
    return path


def write_scalars(path: Path, events: int, fields: int) -> Path:
    """A run of events with so many scalars each."""
    names = scalars(fields)
    return write_events(path, names, dict.fromkeys(names.fields, np.arange(events)))


class Latencies(Metrics):
    """Metrics that keep the time from pulse to publish of each event."""

    def __init__(self, seconds: float = math.inf) -> None:
        """The session is ended ``seconds`` after its first batch."""
        super().__init__("live")
        self.seconds = seconds
        self.published_at: list[NDArray[np.int64]] = []
        self.ends: list[float] = []
        self.counts: list[int] = []
        self.cpu: list[float] = []
        self._children: list[int] | None = None

    def _measure(self, timestamps: NDArray[np.uint64], now: int) -> None:
        super()._measure(timestamps, now)
        times = timestamps.astype(np.int64)
        self.published_at.append(np.stack([times, np.full_like(times, now)], axis=1))

    def events(self, timestamps: NDArray[np.uint64], nbytes: int, ledger: object) -> None:
        super().events(timestamps, nbytes, ledger)  # type: ignore[arg-type]
        self.ends.append(time.perf_counter())
        self.counts.append(len(timestamps))
        if self._children is None:
            self._children = children()
        self.cpu.append(time.process_time() + sum(map(cpu_of, self._children)))
        if self.ends[-1] - self.ends[0] > self.seconds:
            raise KeyboardInterrupt

    def steady(self) -> tuple[int, float, float]:
        """Events, seconds and CPU seconds of all our processes, without the beginning."""
        k = len(self.counts) // 3
        events = sum(self.counts[k + 1 :])
        return events, self.ends[-1] - self.ends[k], self.cpu[-1] - self.cpu[k]


def children() -> list[int]:
    """The processes that this one has started for psana's client."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            words = (entry / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == os.getpid() and b"psana_child_shmem" in words:
            found.append(int(entry.name))
    return found


def cpu_of(pid: int) -> float:
    """CPU seconds of another process; 0 when it has ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class First:
    """The first run of a source."""

    def __init__(self, source: Source):
        self.source = source

    def runs(self) -> Iterator[Run]:
        for run in self.source.runs():
            yield run
            return


@contextmanager
def subscriber(code: str | None, address: str) -> Iterator[None]:
    """A reader of all topics in another process, or none."""
    if code is None:
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-c", code, address], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@contextmanager
def player(
    tag: str, rate: float, loops: int, files: Sequence[Path], *, wait: bool = True
) -> Iterator[Path]:
    """A run that is played; afterwards the file has timestamp and time of what was sent."""
    log = files[0].with_suffix(".npy")
    words = [str(log), tag, f"{rate}", f"{loops}", *map(str, files)]
    with ended([sys.executable, "-c", PLAY, *words], by_itself=wait):
        yield log


@contextmanager
def ended(command: Sequence[str], *, by_itself: bool) -> Iterator[None]:
    """A process that has ended at the end of the context, told to or not."""
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield
        if not by_itself:
            process.send_signal(signal.SIGINT)
        process.wait(120)
    finally:
        process.kill()
        process.wait()


def ours(
    tag: str,
    graph: Path,
    constants: str | None,
    reader: str | None,
    seconds: float = math.inf,
) -> Latencies:
    """One live session over one run, or the beginning of it."""
    metrics, guard = Latencies(seconds), threading.Lock()
    with ZmqPublisher(guard=guard) as publisher, subscriber(reader, publisher.address):
        options = LiveOptions(publishers=[publisher], metrics=metrics, guard=guard)
        reports = run_live(
            First(ShmemSource(tag, timeout=60)),
            GraphWatch(str(graph)),
            lambda info: find_constants(constants, info, None),
            options,
        )
        for report in reports:
            assert report.ledger.closes
    return metrics


def psana(
    tag: str, most: float, detector: str, algorithm: str, fields: Sequence[str]
) -> tuple[float, float, NDArray[np.int64]]:
    """Seconds from the first event to the last, CPU seconds; timestamp and time of each."""
    done = subprocess.run(
        [sys.executable, "-c", PSANA, tag, f"{most}", detector, algorithm, *fields],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    seconds, used, *late = done.stderr.split("\n")[-2].split()
    return float(seconds), float(used), np.array(late, np.int64).reshape(-1, 2)
