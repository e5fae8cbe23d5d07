"""A session over a scripted run in the midst of which something happens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sinks.memory import MemorySink
from sinks.zmq import ZmqPublisher
from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.client import Client
from smalldata_stream.message import Message
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import LiveOptions, run_live
from smalldata_stream.modes.session import Report
from smalldata_stream.protocols import Fault, Queue, Run, Source
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.simulated import Script, SimulatedSource
from tests.processes import PATIENCE, until

GOOD = """
def graph(g, run):
    gmd = g.detector("gmd")
    cam = g.detector("cam", frames="raw.image", calibration="raw")
    cam.roi("ROI_0", [[0, 2], [0, 4], [2, 8]], area=True)
    cam.sum("calib")
    gmd["energy"].plot.histogram(bins=(0, 6, 12))
"""
OTHER = GOOD + '    g.detector("diode")\n'
BROKEN = "def graph(g, run):\n    g.detector('gmdd')\n"
SMALL = BatchLimits(events=5)


class Editing:
    """A scripted source at whose batches something happens; signals may be asked for.

    ``lost`` is what was lost by so many batches.
    """

    def __init__(self, script: Script, at: Mapping[int, Callable[[], object]]):
        self.script, self.at = script, at
        self.lost: dict[int, list[Fault]] = {}

    def runs(self) -> Iterator[Run]:
        for run in SimulatedSource(self.script).runs():
            yield EditingRun(run, self)


class EditingRun:
    def __init__(self, run: Run, source: Editing):
        self.run, self.source = run, source
        self.info, self.signals = run.info, tuple[Signal, ...]()
        self.queue = Queue(depth=3, dropped=2)
        self.lost: list[Fault] = []

    @property
    def faults(self) -> Sequence[Fault]:
        return [*self.run.faults, *self.lost]

    def ask(self, signals: Collection[Signal]) -> None:
        self.signals = tuple(signals)

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        self.signals = tuple(signals)
        every = [s for d in self.info.detectors.values() for s in d.signals()]
        for number, batch in enumerate(self.run.batches(every, limits)):
            columns = {s: batch.columns[s] for s in self.signals}
            names = {s.detector for s in self.signals}
            status = {name: batch.status[name] for name in names}
            self.lost = self.source.lost.get(number, self.lost)
            if number in self.source.at:
                self.source.at[number]()
            yield Batch(batch.timestamps, batch.steps, columns, status)


def live(
    graph: Path,
    source: Source,
    sinks: list[MemorySink] | None = None,
    publishers: Sequence[ZmqPublisher] = (),
    **more: Any,
) -> list[Report]:
    def sink(info: RunInfo) -> MemorySink:
        made = MemorySink()
        if sinks is not None:
            sinks.append(made)
        return made

    options = LiveOptions(
        limits=SMALL, sink=sink, publishers=publishers, display_seconds=0.0, **more
    )
    watch = GraphWatch(str(graph))
    return list(run_live(source, watch, lambda info: lambda name: None, options))


def newest(
    client: Client, topic: str, there: Callable[[Mapping[str, Any]], bool]
) -> Message:
    """The newest message of a topic once it says what is waited for."""

    def found() -> Message | None:
        message = client.latest(topic, timeout=PATIENCE)
        return message if there(message.metadata) else None

    return until(found)
