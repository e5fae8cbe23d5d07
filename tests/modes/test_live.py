"""Live mode over scripted runs: the same numbers as batch, edited graphs, failures."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink
from sinks.memory import MemorySink
from sinks.zmq import ZmqPublisher
from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.client import Client
from smalldata_stream.loading import GraphFile, load_graph
from smalldata_stream.message import Message
from smalldata_stream.modes import graph_watch
from smalldata_stream.modes.batch import reduce_run
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import NO_GRAPH, LiveOptions, run_live
from smalldata_stream.modes.session import Report
from smalldata_stream.protocols import Fault, Run, Source
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.simulated import Lost, Missing, Script, SimulatedSource
from tests.test_real_files import assert_same_tree

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


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(graph_watch, "LOOK_SECONDS", 0.0)
    path = tmp_path / "graph.py"
    path.write_text(GOOD)
    return path


class Editing:
    """A scripted source at whose batches something happens; signals may be asked for."""

    def __init__(self, script: Script, at: Mapping[int, Callable[[], object]]):
        self.script, self.at = script, at

    def runs(self) -> Iterator[Run]:
        for run in SimulatedSource(self.script).runs():
            yield EditingRun(run, self)


class EditingRun:
    def __init__(self, run: Run, source: Editing):
        self.run, self.source = run, source
        self.info, self.signals = run.info, tuple[Signal, ...]()

    @property
    def faults(self) -> Sequence[Fault]:
        return self.run.faults

    def ask(self, signals: Collection[Signal]) -> None:
        self.signals = tuple(signals)

    def batches(self, signals: Collection[Signal], limits: BatchLimits) -> Iterator[Batch]:
        self.signals = tuple(signals)
        every = [s for d in self.info.detectors.values() for s in d.signals()]
        for number, batch in enumerate(self.run.batches(every, limits)):
            columns = {s: batch.columns[s] for s in self.signals}
            names = {s.detector for s in self.signals}
            status = {name: batch.status[name] for name in names}
            if number in self.source.at:
                self.source.at[number]()
            yield Batch(batch.timestamps, batch.steps, columns, status)


def live(
    graph: Path,
    source: Source,
    sinks: list[MemorySink] | None = None,
    publishers: Sequence[ZmqPublisher] = (),
) -> list[Report]:
    def sink(info: RunInfo) -> MemorySink:
        made = MemorySink()
        if sinks is not None:
            sinks.append(made)
        return made

    options = LiveOptions(
        limits=SMALL, sink=sink, publishers=publishers, display_seconds=0.0
    )
    watch = GraphWatch(str(graph))
    return list(run_live(source, watch, lambda info: lambda name: None, options))


def test_live_writes_the_same_file_as_batch(graph: Path, tmp_path: Path) -> None:
    script = Script(items=(Missing("cam", event=7), Lost(event=9, why="no bytes")))
    options = LiveOptions(limits=SMALL, sink=lambda info: Hdf5Sink(tmp_path / "live.h5"))
    watch = GraphWatch(str(graph))
    source = SimulatedSource(script)
    (report,) = run_live(source, watch, lambda info: lambda name: None, options)
    (run,) = SimulatedSource(script).runs()
    reduce_run(run, load_graph(str(graph)), Hdf5Sink(tmp_path / "batch.h5"))
    assert report.ledger.closes
    assert report.ledger.dropped == {"no bytes": 1}
    with h5py.File(tmp_path / "live.h5") as one, h5py.File(tmp_path / "batch.h5") as other:
        assert one["timestamp"].shape == (39,)
        assert_same_tree(one, other)


def test_an_edited_graph_takes_over_at_a_batch(graph: Path) -> None:
    sinks: list[MemorySink] = []
    source = Editing(Script(), {3: lambda: graph.write_text(OTHER)})
    one, two = live(graph, source, sinks)
    assert (one.ledger.read, two.ledger.read) == (20, 20)
    assert "diode/trace" not in sinks[0]
    assert np.asarray(sinks[1]["diode/trace"].values).shape == (20, 50)
    assert all(sink.complete for sink in sinks)


def test_a_graph_that_does_not_build_leaves_the_old_one_running(
    graph: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = {1: lambda: graph.write_text(BROKEN), 4: lambda: graph.write_text(OTHER)}
    one, two = live(graph, Editing(Script(), at))
    assert (one.ledger.read, two.ledger.read) == (25, 15)
    assert "graph.py:2: no detector 'gmdd' in run 1; did you mean 'gmd'" in caplog.text


def test_events_without_a_graph_are_failed_and_counted(graph: Path) -> None:
    graph.write_text(BROKEN)
    source = Editing(Script(), {2: lambda: graph.write_text(GOOD)})
    (report,) = live(graph, source)
    assert report.ledger.failed == {NO_GRAPH: 15}
    assert (report.ledger.read, report.ledger.written) == (40, 25)
    assert report.ledger.closes


def test_failures_never_end_a_live_session(graph: Path) -> None:
    graph.write_text(
        "def graph(g, run):\n"
        "    g.function(lambda e: 1 / 0, g.detector('gmd')['energy'], name='gmd/bad')\n"
    )
    (report,) = live(graph, SimulatedSource(Script()))
    assert report.ledger.gaps == {"gmd/bad": 40}
    assert report.ledger.closes


def newest(
    client: Client, topic: str, there: Callable[[Mapping[str, Any]], bool]
) -> Message:
    """The newest message of a topic once it says what is waited for."""
    deadline = time.monotonic() + 20
    while not there((message := client.latest(topic, timeout=10)).metadata):
        assert time.monotonic() < deadline, message.metadata
        time.sleep(0.02)
    return message


def test_plots_values_and_ledger_are_published(graph: Path) -> None:
    with ZmqPublisher() as publisher, Client(publisher.address) as client:
        client.subscribe()
        live(graph, SimulatedSource(Script()), publishers=[publisher])
        plot = newest(client, "plots/gmd/energy_histogram", lambda m: m["events"] == 40)
        values = newest(client, "gmd", lambda m: m["timestamp"] == Script().timestamp(39))
        index = newest(client, "index", lambda m: m.get("ledger", {}).get("read") == 40)
    assert plot.metadata["kind"] == "histogram"
    assert plot.arrays["counts"].sum() == 40
    assert values.arrays["energy"] == pytest.approx(1 + 0.1 * 39)
    assert index.metadata["ledger"]["written"] == 40
    assert index.metadata["graph"]["file"] == "graph.py"


def test_watch_sees_a_change_once(graph: Path) -> None:
    watch = GraphWatch(str(graph))
    assert not watch.changed()
    graph.write_text(OTHER)
    assert watch.changed()
    assert isinstance(watch.load(), GraphFile)
    assert not watch.changed()
    graph.unlink()
    assert not watch.changed()
