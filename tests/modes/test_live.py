"""Live mode over scripted runs: the same numbers as batch, edited graphs, failures."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import h5py
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink
from sinks.memory import MemorySink
from sinks.zmq import ZmqPublisher
from smalldata_stream.batch import Batch, BatchLimits, Signal
from smalldata_stream.cli import main
from smalldata_stream.client import Client
from smalldata_stream.errors import ConstantsError
from smalldata_stream.graph import FindConstants
from smalldata_stream.kernels import compiled
from smalldata_stream.ledger import Ledger
from smalldata_stream.loading import GraphFile, load_graph
from smalldata_stream.message import Message
from smalldata_stream.metrics import Metrics
from smalldata_stream.metrics_counts import Histogram
from smalldata_stream.modes import graph_watch, pace
from smalldata_stream.modes.batch import reduce_run
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import NO_GRAPH, LiveOptions, run_live
from smalldata_stream.modes.resets import Resets
from smalldata_stream.modes.session import Report
from smalldata_stream.modes.shield import Shield
from smalldata_stream.protocols import Declaration, Fault, Queue, Result, Run, Source
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.simulated import Lost, Missing, Script, SimulatedSource
from tests.processes import PATIENCE, until
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
    monkeypatch.setattr(pace, "SHARE", 1e9)  # every batch is shown, whatever that costs
    path = tmp_path / "graph.py"
    path.write_text(GOOD)
    return path


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


def test_an_edited_graph_takes_over_at_a_batch(graph: Path) -> None:
    sinks: list[MemorySink] = []
    source = Editing(Script(), {3: lambda: graph.write_text(OTHER)})
    one, two = live(graph, source, sinks)
    assert (one.ledger.read, two.ledger.read) == (20, 20)
    assert "diode/trace" not in sinks[0]
    assert np.asarray(sinks[1]["diode/trace"].values).shape == (20, 50)
    assert all(sink.complete for sink in sinks)


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

    def found() -> Message | None:
        message = client.latest(topic, timeout=PATIENCE)
        return message if there(message.metadata) else None

    return until(found)


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


@pytest.mark.parametrize(
    "text",
    [b"\xff", b"import sys\nsys.exit()\n", b"def graph(g, run):\n    quit()\n", b""],
    ids=["no text", "exit", "quit", "empty"],
)
def test_nothing_in_a_graph_file_ends_the_session(
    graph: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (report,) = live(graph, Editing(Script(), {1: lambda: graph.write_bytes(text)}))
    assert report.ledger.read == report.ledger.written == 40
    assert "graph.py" in caplog.text


def test_constants_that_cannot_be_read_do_not_end_the_session(graph: Path) -> None:
    """They may be mended by the next edit of the graph, which asks for them again."""
    asked: list[int] = []

    def constants(info: RunInfo) -> FindConstants:
        asked.append(info.number)
        if len(asked) == 1:
            raise ConstantsError("half a file")
        return lambda name: None

    source = Editing(Script(), {3: lambda: graph.write_text(OTHER)})
    (report,) = run_live(
        source, GraphWatch(str(graph)), constants, LiveOptions(limits=SMALL)
    )
    assert asked == [1, 1]
    assert report.ledger.failed[NO_GRAPH] > 0
    assert report.ledger.written > 0
    assert report.ledger.closes


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-o", "nowhere/a.h5"], "no directory nowhere, where a.h5 is to go"),
        (["--constants", "none.h5"], "no constants file none.h5"),
    ],
)
def test_wrong_paths_are_told_before_anything_begins(
    graph: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["live", str(graph), "--shmem", "x", *words]) == 1
    said = capsys.readouterr()
    assert why in said.err
    assert "publishing" not in said.out


def test_the_error_is_in_the_index_and_in_the_metrics_until_it_is_mended(
    graph: Path,
) -> None:
    metrics = Metrics("live")
    seen: list[tuple[float, str]] = []
    with ZmqPublisher() as publisher, Client(publisher.address) as client:
        client.subscribe("index")

        def look() -> None:
            broken = next(f for f in metrics.families() if f.name.endswith("graph_broken"))
            assert not isinstance(broken.rows, Histogram)
            value = broken.rows[0][1]
            told = newest(
                client, "index", lambda m: "error" in m and bool(m["error"]) == bool(value)
            )
            seen.append((value, told.metadata["error"]))

        at = {1: lambda: graph.write_text(BROKEN), 3: look,
              4: lambda: graph.write_text(OTHER), 6: look}  # fmt: skip
        live(graph, Editing(Script(), at), publishers=[publisher], metrics=metrics)
    (broken, why), mended = seen
    assert broken == 1
    assert "no detector 'gmdd'" in why
    assert mended == (0, "")


class Index:
    """A publisher that only keeps what is told, with the index at each time."""

    counts = SimpleNamespace(sent=0, bytes=0, failed=0)

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.each: list[dict[str, Any]] = []

    def wanted(self, topics: Collection[str]) -> set[str]:
        return set()

    def offer(self, topic: str, make: Callable[[], Message]) -> None: ...

    def describe(self, topic: str, about: Mapping[str, Any]) -> None: ...

    def forget(self, topics: Collection[str] | None = None) -> None: ...

    def tell(self, about: Mapping[str, Any]) -> None:
        self.told |= about
        self.each.append(dict(self.told))


@pytest.mark.parametrize("second", [GOOD, BROKEN])
def test_a_run_is_never_told_with_the_ledger_of_another(graph: Path, second: str) -> None:
    class TwoRuns:
        def runs(self) -> Iterator[Run]:
            yield from SimulatedSource(Script()).runs()
            graph.write_text(second)
            yield from SimulatedSource(Script(number=2)).runs()

    index = Index()
    live(graph, TwoRuns(), publishers=[cast("ZmqPublisher", index)])
    of_first = [one["ledger"]["read"] for one in index.each if one["ledger"]]
    assert 40 in of_first
    of_second = [one for one in index.each if one["run"] == 2]
    assert of_second[0]["ledger"] == {}
    assert bool(of_second[-1]["error"]) == (second == BROKEN)
    assert bool(of_second[-1]["graph"]) == (second == GOOD)
    counts = [one["ledger"]["read"] for one in of_second if one["ledger"]]
    assert counts[:1] == ([0] if second == GOOD else [])


def test_watch_sees_a_change_once(graph: Path) -> None:
    watch = GraphWatch(str(graph))
    assert not watch.changed()
    graph.write_text(OTHER)
    assert watch.changed()
    assert isinstance(watch.load(), GraphFile)
    assert not watch.changed()
    graph.unlink()
    assert not watch.changed()
