"""Live mode over scripted runs: the same numbers as batch, losses, plots, signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import pytest

from sinks.hdf5 import Hdf5Sink
from sinks.memory import MemorySink
from sinks.zmq import ZmqPublisher
from smalldata_stream.client import Client
from smalldata_stream.kernels import compiled
from smalldata_stream.ledger import Ledger
from smalldata_stream.loading import load_graph
from smalldata_stream.metrics import Metrics
from smalldata_stream.modes.batch import reduce_run
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import LiveOptions, run_live
from smalldata_stream.modes.resets import Resets
from smalldata_stream.modes.shield import Shield
from smalldata_stream.protocols import Declaration, Fault, Result, Run
from smalldata_stream.sources.simulated import Lost, Missing, Script, SimulatedSource
from tests.modes.editing import OTHER, SMALL, Editing, live, newest
from tests.processes import PATIENCE
from tests.test_real_files import assert_same_tree


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


def test_what_compiles_kernels_is_loaded_before_the_source_is_opened(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    class Source:
        def runs(self) -> Iterator[Run]:
            calls.append("opened")
            yield from SimulatedSource(Script()).runs()

    monkeypatch.setattr(compiled, "load_compiler", lambda: calls.append("loaded"))
    live(graph, Source())
    assert calls == ["loaded", "opened"]


def losing(events: int) -> list[Fault]:
    return [Fault("here", "no bytes", events)]


def test_what_was_lost_is_told_by_the_graph_of_its_time(graph: Path) -> None:
    source = Editing(Script(), {3: lambda: graph.write_text(OTHER)})
    source.lost = {2: losing(1), 6: losing(4)}
    reports = live(graph, source)
    assert [report.ledger.dropped["no bytes"] for report in reports] == [1, 3]
    assert all(report.ledger.closes for report in reports)


def test_what_waits_and_what_is_lost_is_in_the_metrics_while_the_run_goes_on(
    graph: Path,
) -> None:
    metrics, seen = Metrics("live"), dict[str, object]()

    def look() -> None:
        seen.update((family.name, family.rows) for family in metrics.families())

    source = Editing(Script(), {7: look})
    source.lost = {2: losing(1)}
    with ZmqPublisher() as publisher:
        live(graph, source, publishers=[publisher], metrics=metrics)
    assert seen["smalldata_events_lost_total"] == [(("dropped", "no bytes"), 1)]
    assert seen["smalldata_queue_depth"] == [(("reader",), 3)]
    assert seen["smalldata_queue_dropped_total"] == [(("reader",), 2)]


def test_failures_never_end_a_live_session(graph: Path) -> None:
    graph.write_text(
        "def graph(g, run):\n"
        "    g.function(lambda e: 1 / 0, g.detector('gmd')['energy'], name='gmd/bad')\n"
    )
    (report,) = live(graph, SimulatedSource(Script()))
    assert report.ledger.gaps == {"gmd/bad": 40}
    assert report.ledger.closes


def test_plots_values_and_ledger_are_published(graph: Path) -> None:
    guard = threading.Lock()
    with ZmqPublisher(guard=guard) as publisher, Client(publisher.address) as client:
        client.subscribe()
        live(graph, SimulatedSource(Script()), publishers=[publisher], guard=guard)
        plot = newest(client, "plots/gmd/energy_histogram", lambda m: m["events"] == 40)
        values = newest(client, "gmd", lambda m: m["timestamp"] == Script().timestamp(39))
        index = newest(client, "index", lambda m: m.get("ledger", {}).get("read") == 40)
    assert plot.metadata["kind"] == "histogram"
    assert plot.arrays["counts"].sum() == 40
    assert values.arrays["energy"] == pytest.approx(1 + 0.1 * 39)
    assert index.metadata["ledger"]["written"] == 40
    assert index.metadata["graph"]["file"] == "graph.py"


def test_a_reader_resets_a_plot(graph: Path) -> None:
    resets, guard = Resets(), threading.Lock()
    sinks: list[MemorySink] = []
    with (
        ZmqPublisher(guard=guard, on_reset=resets.ask) as publisher,
        Client(publisher.address) as client,
    ):

        def reset() -> None:
            client.latest("plots/gmd/energy_histogram", timeout=PATIENCE)
            client.reset(["plots/gmd/energy_histogram"])

        # Five events a batch: asked for in the sixth, before which 25 were taken.
        source = Editing(Script(), {5: reset})
        live(graph, source, sinks, publishers=[publisher], resets=resets, guard=guard)
        plot = newest(client, "plots/gmd/energy_histogram", lambda m: m["events"] == 15)
    assert plot.arrays["counts"].sum() == 15
    assert sinks[0].totals["Sums/cam_calib"].count == 40


def test_all_plots_are_reset_where_none_is_named(graph: Path) -> None:
    resets = Resets()
    sinks: list[MemorySink] = []
    live(graph, Editing(Script(), {2: lambda: resets.ask([])}), sinks, resets=resets)
    assert sinks[0].totals["plots/gmd/energy_histogram/counts"].count == 30


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_midst_of_a_batch_loses_no_event(
    graph: Path, how: signal.Signals
) -> None:
    graph.write_text(
        "import signal\n"
        "def graph(g, run):\n"
        "    gmd = g.detector('gmd')\n"
        "    def stop(e):\n"
        f"        return (2.05 < e < 2.15 and signal.raise_signal({int(how)}), e)[1]\n"
        "    g.function(stop, gmd['energy'], name='gmd/same')\n"
    )
    sinks: list[MemorySink] = []
    shield = Shield()
    with shield.armed():
        (report,) = live(graph, SimulatedSource(Script()), sinks, shield=shield)
    assert report.ledger.read == report.ledger.written == 15
    assert report.ledger.closes
    assert len(sinks[0]["gmd/same"]) == 15
    assert sinks[0].complete


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_file_is_finished_waits_for_it(
    graph: Path, how: signal.Signals, tmp_path: Path
) -> None:
    class Struck(Hdf5Sink):
        def end(self, totals: Mapping[str, Result], ledger: Ledger) -> None:
            signal.raise_signal(how)
            super().end(totals, ledger)

    path, shield = tmp_path / "live.h5", Shield()
    options = LiveOptions(limits=SMALL, sink=lambda info: Struck(path), shield=shield)
    watch, source = GraphWatch(str(graph)), SimulatedSource(Script())
    with shield.armed():
        (report,) = run_live(source, watch, lambda info: lambda name: None, options)
    assert report.ledger.closes
    with h5py.File(path) as f:
        assert f.attrs["complete"]
        assert f["timestamp"].shape == (40,)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_file_is_begun_leaves_none_unfinished(
    graph: Path, how: signal.Signals, tmp_path: Path
) -> None:
    class Struck(Hdf5Sink):
        def begin(self, declaration: Declaration) -> None:
            super().begin(declaration)
            signal.raise_signal(how)

    folder, shield = tmp_path / "out", Shield()
    folder.mkdir()
    options = LiveOptions(sink=lambda info: Struck(folder / "live.h5"), shield=shield)
    watch, source = GraphWatch(str(graph)), SimulatedSource(Script())
    with shield.armed():
        (report,) = run_live(source, watch, lambda info: lambda name: None, options)
    assert isinstance(report.sink, Struck)
    assert list(folder.iterdir()) == [report.sink.path]
    with h5py.File(report.sink.path) as f:
        assert f.attrs["complete"]
