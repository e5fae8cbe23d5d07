"""A shift at the beamline, in small: a live graph in a thread, at a rate, until stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sinks.zmq import ZmqPublisher
from smalldata_stream.batch import Array, Batch, BatchLimits, Signal
from smalldata_stream.modes.display import Publisher
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import LiveOptions, run_live
from smalldata_stream.modes.resets import Resets
from smalldata_stream.protocols import Fault, Run
from smalldata_stream.run import FieldInfo, RunInfo
from smalldata_stream.sources.simulated import EndStep, Script, SimulatedSource
from smalldata_stream.sources.simulated_detectors import DETECTORS, ScriptedDetector

GRAPH = """
def graph(g, run):
    light = g.light_status(xray_excluded=[162], laser_required=[90])
    g.scan()
    gmd = g.detector("gmd")
    jungfrau = g.detector("jungfrau", frames="raw.image", calibration="raw")
    diode = g.detector("diode")
    ring = jungfrau.roi("ROI_0", [[0, 1], [0, 64], [30, 60]])
    ratio = g.function(
        lambda s, e: s / e, ring["sum"], gmd["energy"], name="jungfrau/ratio"
    )

    gmd["energy"].plot.strip(group="beam", title="pulse energy")
    gmd["energy"].plot.histogram((0, 4, 80), group="beam")
    jungfrau.plot.image(title="jungfrau")
    ring["sum"].plot.scatter(gmd["energy"])
    ring.projection(axis=0).plot.line(by=light["laser"])
    diode["trace"].plot.line(group="beam", title="diode")
    ratio.plot.scan("scan/lxt", by="lightStatus/laser")
"""
BROKEN = "def graph(g, run):\n    g.detector('gmdd')\n"
FAILING = """
def graph(g, run):
    gmd = g.detector("gmd")
    gmd["energy"].plot.strip()
    g.function(lambda e: [][int(e)], gmd["energy"], name="gmd/bad")
"""
NOT_A_NUMBER = """
def graph(g, run):
    laser = "lightStatus/laser"
    g.light_status(xray_excluded=[162], laser_required=[90])
    g.scan()
    gmd, diode = g.detector("gmd"), g.detector("diode")
    none = g.function(lambda e: e * float("nan"), gmd["energy"], name="gmd/none")
    flat = g.function(
        lambda t: t * float("nan"), diode["trace"], name="diode/none", shape=(400,)
    )
    none.plot.strip(group="nan")
    none.plot.histogram((0, 4, 80), group="nan")
    none.plot.scatter(gmd["energy"], group="nan")
    flat.plot.line(group="nan")
    flat.plot.line(by=laser, name="by_laser", group="nan")
    none.plot.scan("scan/lxt", group="nan")
    none.plot.scan("scan/lxt", by=laser, name="by_laser", group="nan")
"""

HERTZ = 50


def info(dtype: type, shape: tuple[int, ...] = (), frame: bool = False) -> FieldInfo:
    return FieldInfo(dtype=np.dtype(dtype), rank=len(shape), shape=shape, frame=frame)


def noise(event: int) -> np.random.Generator:
    return np.random.default_rng(event)


def energy(event: int) -> float:
    return float(2 + 0.4 * np.sin(event / 70) + noise(event).normal(0, 0.15))


Y, X = np.mgrid[0:128, 0:128] - np.array([64, 20])[:, None, None]
RADIUS = np.hypot(Y, X)


def frame(event: int) -> Array:
    """Rings as bright as the pulse; the laser moves them."""
    lag = 6 if event % 2 == 0 else 0
    rings = 40 * np.exp(-((RADIUS - 45 - lag) ** 2) / 30) + 300 / (1 + RADIUS)
    photons = noise(event).poisson(rings * energy(event))
    image: Array = photons.reshape(2, 64, 128).astype(np.uint16)
    return image


def trace(event: int) -> Array:
    time = np.arange(400)
    pulse = energy(event) * np.exp(-(((time - 130) / 25) ** 2))
    return (pulse + noise(event).normal(0, 0.05, 400)).astype(np.float32)


SHIFT: Mapping[str, ScriptedDetector] = {
    "timing": DETECTORS["timing"],
    "scan": DETECTORS["scan"],
    "gmd": ScriptedDetector(
        type="gmd", fields={("raw", "energy"): (info(np.float64), energy)}
    ),
    "diode": ScriptedDetector(
        type="wave8", fields={("raw", "trace"): (info(np.float32, (400,)), trace)}
    ),
    "jungfrau": ScriptedDetector(
        type="axis",
        fields={("raw", "image"): (info(np.uint16, (2, 64, 128), frame=True), frame)},
    ),
}


class Paced:
    """Runs as fast as events would come; ends when it is told to, or when it is held up."""

    def __init__(self, script: Script, hertz: float, stop: threading.Event) -> None:
        self.script, self.hertz, self.stop = script, hertz, stop
        self.held = threading.Event()
        self.given = 0

    def runs(self) -> Iterator[Run]:
        for run in SimulatedSource(self.script).runs():
            yield PacedRun(run, self)


class PacedRun:
    def __init__(self, run: Run, source: Paced) -> None:
        self._run, self._source = run, source
        self.info: RunInfo = run.info

    @property
    def faults(self) -> Sequence[Fault]:
        return self._run.faults

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        every = [s for d in self.info.detectors.values() for s in d.signals()]
        size, begin = 5, time.monotonic()
        for number, batch in enumerate(self._run.batches(every, BatchLimits(events=size))):
            while self._source.held.is_set() and not self._source.stop.is_set():
                time.sleep(0.02)
            due = begin + number * size / self._source.hertz
            if self._source.stop.wait(max(0.0, due - time.monotonic())):
                return
            self._source.given += len(batch)
            yield batch

    def ask(self, signals: Collection[Signal]) -> None:
        """All signals come in any case."""


@dataclass
class Shift:
    """What is going on: where it is published, and how to disturb it."""

    address: str
    graph: Path
    source: Paced
    publisher: ZmqPublisher
    stop: Callable[[], None]
    thread: int


@contextmanager
def shift(
    path: Path,
    text: str = GRAPH,
    hertz: float = HERTZ,
    address: str = "tcp://127.0.0.1:*",
    more: Sequence[Publisher] = (),
) -> Iterator[Shift]:
    """Run a graph live until the block is left; ``more`` publishers show it, too."""
    graph = path / "beamtime.py"
    graph.write_text(text)
    steps = tuple(EndStep(after=event) for event in range(99, 2000, 100))
    stop = threading.Event()
    source = Paced(Script(events=100_000, items=steps, detectors=SHIFT), hertz, stop)
    guard = threading.Lock()
    resets = Resets()
    with ZmqPublisher(address, guard=guard, on_reset=resets.ask) as publisher:
        options = LiveOptions(
            publishers=[publisher, *more], guard=guard, display_seconds=0.2, resets=resets
        )
        work: Callable[[], object] = lambda: list(  # noqa: E731
            run_live(source, GraphWatch(str(graph)), lambda i: lambda n: None, options)
        )
        thread = threading.Thread(target=work, name="graph")
        thread.start()

        def end() -> None:
            stop.set()
            thread.join()
            publisher.close()

        try:
            yield Shift(
                publisher.address, graph, source, publisher, end, thread.native_id or 0
            )
        finally:
            end()
