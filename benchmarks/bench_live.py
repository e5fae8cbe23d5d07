"""Live, from pulse to published, and what it costs: our session against psana's own loop.

    python benchmarks/bench_live.py [--seconds 5]

A real shmemServer is fed by `smalldata_stream.play`, in a process of its own. "pulse" is
when an event is handed to the server, not the time in its timestamp: on a busy machine the
player is late. "published" is when the publisher has sent a round
that has the event in it; a subscriber in another process reads all topics. psana's loop
runs over the same server, with the same settings, and only reads: what it takes from pulse
to read is what no client can do better. What readers cost needs no server: the same batches
again and again, with the kinds of readers in turn.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sinks.zmq import ZmqPublisher  # noqa: E402
from smalldata_stream.batch import Batch, BatchLimits, Signal  # noqa: E402
from smalldata_stream.graph import FindConstants  # noqa: E402
from smalldata_stream.metrics import Metrics  # noqa: E402
from smalldata_stream.modes import live  # noqa: E402
from smalldata_stream.modes.calibration import find_constants  # noqa: E402
from smalldata_stream.modes.display import Display  # noqa: E402
from smalldata_stream.modes.graph_watch import GraphWatch  # noqa: E402
from smalldata_stream.modes.live import LiveOptions, run_live  # noqa: E402
from smalldata_stream.protocols import Fault, Run, Source  # noqa: E402
from smalldata_stream.run import RunInfo  # noqa: E402
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate  # noqa: E402
from smalldata_stream.simulate.xtc2_writer import Names, Service, Stream  # noqa: E402
from smalldata_stream.sources.files import FilesSource  # noqa: E402
from smalldata_stream.sources.shmem import ShmemSource  # noqa: E402

FIELDS = 80
OFFERED = (12_000.0, 50_000.0)
"""Events per second that the player is to send; the second is more than it can."""

LOOPS = 1_000_000
"""Until it is told to stop."""
TARGETS = {"nobody reads": "(target < 1 %)", "one sleeps": "(target < 2 %)"}
SCALARS = Names(
    detector="scalars",
    type="generic_container",
    algorithm="xtc1dump",
    version=(0, 1, 0),
    fields={f"s{i}": ("f8", 0) for i in range(FIELDS)},
)
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
print(len(late) // 2, last - begin, time.process_time() - used, *late, file=sys.stderr)
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


def write_scalars(path: Path, events: int) -> Path:
    """A run of events with 80 scalars each."""
    with Stream(path, Path(os.devnull), [SCALARS]) as stream:
        stream.configure(1)
        stream.transition(2, Service.BEGIN_RUN)
        stream.transition(3, Service.BEGIN_STEP)
        stream.transition(4, Service.ENABLE)
        count = np.arange(events)
        stream.events(10 + count, [(SCALARS, dict.fromkeys(SCALARS.fields, count))])
        for k, service in enumerate((Service.DISABLE, Service.END_STEP, Service.END_RUN)):
            stream.transition(10 + events + k, service)
    return path


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
    process = subprocess.Popen(
        [sys.executable, "-c", PLAY, str(log), tag, f"{rate}", f"{loops}",
         *map(str, files)],
        cwd=ROOT,
    )  # fmt: skip
    yield log
    if not wait:
        process.send_signal(signal.SIGINT)
    process.wait(120)


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
) -> tuple[int, float, float, NDArray[np.int64]]:
    """Events, seconds from first to last, CPU seconds; timestamp and time of each."""
    done = subprocess.run(
        [sys.executable, "-c", PSANA, tag, f"{most}", detector, algorithm, *fields],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    n, seconds, used, *late = done.stderr.split("\n")[-2].split()
    return int(n), float(seconds), float(used), np.array(late, np.int64).reshape(-1, 2)


def since(log: Path, seen: NDArray[np.int64]) -> NDArray[np.float64]:
    """Seconds since it was sent for each (timestamp, time), the later half of them."""
    sent = np.load(log)
    seen = seen[len(seen) // 2 :]  # without what came while the graph was built
    when = sent[np.searchsorted(sent[:, 0], seen[:, 0]), 1]
    return np.asarray((seen[:, 1] - when) / 1e9)


def centiles(seconds: NDArray[np.float64]) -> str:
    half, most = np.percentile(seconds, [50, 99]) * 1e3
    return f"p50 {half:6.1f} ms   p99 {most:6.1f} ms"


def latency(
    name: str,
    files: Sequence[Path],
    graph: Path,
    constants: str | None,
    rate: float,
    loops: int,
    where: tuple[str, str, list[str]],
    target_ms: float,
) -> None:
    """Pulse to published, beside psana's pulse to read."""
    tag = f"bench{os.getpid()}"
    with player(tag, rate, loops, files) as log:
        metrics = ours(tag, graph, constants, READ)
    late = since(log, np.concatenate(metrics.published_at))
    print(f"{name}, {rate:g} Hz, the last {len(late)} events", flush=True)
    print(
        f"  ours, pulse to published   {centiles(late)}   (target p99 < {target_ms:g} ms)"
    )
    with player(tag, rate, 10 * loops, files, wait=False) as log:
        _, _, _, read = psana(tag, loops, *where)
    print(f"  psana, pulse to read       {centiles(since(log, read))}", flush=True)


def sustained(path: Path, graph: Path, seconds: float) -> None:
    """Events per second when the server has always more, all fields of each.

    The server gives the newest that it has, and what is not fetched in time costs it as
    much; so each reader has the rate that suits it best.
    """
    tag, best = f"bench{os.getpid()}", dict[str, tuple[float, float]]()
    print(f"{FIELDS} fields, as fast as the server gives them")
    for rate in OFFERED:
        with player(tag, rate, LOOPS, [path], wait=False):
            n, took, used = ours(tag, graph, None, None, seconds).steady()
        with player(tag, rate, LOOPS, [path], wait=False):
            m, took_psana, used_psana, _ = psana(
                tag, seconds, "scalars", "xtc1dump", list(SCALARS.fields)
            )
        found = {"ours": (n / took, used / n), "psana": (m / took_psana, used_psana / m)}
        for name, (speed, cost) in found.items():
            print(
                f"  {rate:7,.0f} offered   {name:5} {speed:8,.0f} events/s"
                f"   {cost * 1e6:6.0f} us of CPU per event",
                flush=True,
            )
            best[name] = max(best.get(name, (0.0, 0.0)), (speed, cost))
    (mine, cost), (theirs, cost_psana) = best["ours"], best["psana"]
    print(
        f"  ratio of the best {mine / theirs:5.1f}   {cost_psana / cost:5.1f} by CPU   "
        "(target >= 5)",
        flush=True,
    )


class Again:
    """The batches of a run, again and again, until so much time has gone by."""

    def __init__(self, run: Run, batches: Sequence[Batch], seconds: float):
        self.info, self.kept, self.seconds = run.info, batches, seconds
        self.faults: Sequence[Fault] = ()
        self.events, self.graph, self.others = 0, 0.0, 0.0

    def runs(self) -> Iterator[Run]:
        yield self

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        time_, end = 1 << 32, time.monotonic() + self.seconds
        graph, others = time.thread_time(), other_threads()
        while time.monotonic() < end:
            for one in self.kept:
                times = np.arange(time_, time_ + len(one), dtype=np.uint64)
                time_ += len(one)
                self.events += len(one)
                yield Batch(times, one.steps, one.columns, one.status)
        self.graph = time.thread_time() - graph
        self.others = other_threads() - others


def other_threads() -> float:
    """CPU seconds of all threads of this process but the one that asks."""
    tasks = Path("/proc/self/task")
    others = [one for one in tasks.iterdir() if one.name != f"{threading.get_native_id()}"]
    return sum(int((one / "schedstat").read_text().split()[0]) for one in others) / 1e9


class Showing(Display):
    """Adds up what showing costs the graph's thread."""

    seconds = 0.0

    def show(self, *of_session: Any) -> None:
        begin = time.thread_time()
        super().show(*of_session)
        Showing.seconds += time.thread_time() - begin

    def show_values(self, *of_session: Any) -> bool:
        begin = time.thread_time()
        shown = super().show_values(*of_session)
        Showing.seconds += time.thread_time() - begin
        return shown


def readers(files: SimulatedFiles, graph: Path, seconds: float) -> None:
    """What publishing costs with nobody reading, one asleep, and one reading.

    All that the graph's thread spends in showing, and all other threads, which are there
    for publishing alone; against the rest of the time of the graph's thread. (The
    difference to a run without publisher is lost in what other processes do to the caches.)
    """
    (run,) = FilesSource.from_files(files.xtc2).runs()
    every = [s for d in run.info.detectors.values() for s in d.signals()]
    batches = list(run.batches(every, BatchLimits(events=8)))

    def constants(info: RunInfo) -> FindConstants:
        return find_constants(str(files.constants), info, None)

    def reduce(code: str | None, seconds: float) -> Again:
        again, guard = Again(run, batches, seconds), threading.Lock()
        with ZmqPublisher(guard=guard) as publisher, subscriber(code, publisher.address):
            options = LiveOptions(publishers=[publisher], guard=guard)
            Showing.seconds = 0.0
            assert list(run_live(again, GraphWatch(str(graph)), constants, options))
        return again

    reduce(READ, 0.5)  # compiles kernels
    print("publishing, CPU time of all threads, of the time of the frame graph")
    for name, code in {
        "nobody reads": None,
        "one sleeps": SLEEP,
        "one reads": READ,
    }.items():
        again = reduce(code, seconds)
        rest = again.graph - Showing.seconds
        there, elsewhere = Showing.seconds / rest, again.others / rest
        print(
            f"  {name:14} {there + elsewhere:6.2%}   {there:6.2%} in the graph's thread "
            f"{TARGETS.get(name, '')}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    live.Display = Showing  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames, scalars = folder / "frames.py", folder / "scalars.py"
        frames.write_text(FRAME_GRAPH)
        scalars.write_text(SCALAR_GRAPH)
        some = ("timing", "gmd", "jungfrau")
        run = simulate(folder / "run", Simulation(events=120, steps=1, detectors=some))
        path = write_scalars(folder / "scalars.xtc2", 1000)
        constants, loops = str(run.constants), max(1, round(2 * seconds))
        readers(run, frames, seconds)
        latency("512x1024 frames: ROI, projection, azimuthal", run.xtc2, frames, constants,
                120, loops, ("jungfrau", "raw", ["raw"]), 100)  # fmt: skip
        latency("80 scalars", [path], scalars, None, 1000, loops,
                ("scalars", "xtc1dump", ["s0"]), 50)  # fmt: skip
        sustained(path, scalars, seconds)


if __name__ == "__main__":
    main()
