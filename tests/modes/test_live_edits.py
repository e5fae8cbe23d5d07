"""A live session goes on whatever becomes of its graph, constants and runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import h5py
import numpy as np
import pytest

from sinks.memory import MemorySink
from sinks.zmq import ZmqPublisher
from smalldata_stream.cli import main
from smalldata_stream.cli.follow import files
from smalldata_stream.client import Client
from smalldata_stream.errors import ConstantsError
from smalldata_stream.graph import FindConstants
from smalldata_stream.loading import GraphFile
from smalldata_stream.message import Message
from smalldata_stream.metrics import Metrics
from smalldata_stream.metrics_counts import Histogram
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import NO_GRAPH, LiveOptions, run_live
from smalldata_stream.protocols import Run
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.simulated import Script, SimulatedSource
from tests.modes.editing import BROKEN, GOOD, OTHER, SMALL, Editing, live, newest


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


def test_an_edited_graph_has_a_file_of_its_own(graph: Path) -> None:
    output = graph.with_name("live.h5")
    sink = files(argparse.Namespace(output=output, overwrite=False))
    source = Editing(Script(), {3: lambda: graph.write_text(OTHER)})
    options = LiveOptions(limits=SMALL, sink=sink)
    watch = GraphWatch(str(graph))
    list(run_live(source, watch, lambda info: lambda name: None, options))
    names = [output.name, f"live_Run{Script().number:04d}.h5"]
    for name in names:
        with h5py.File(output.with_name(name)) as file:
            assert file.attrs["complete"]
            assert len(file["timestamp"]) == 20
    assert {path.name for path in graph.parent.iterdir()} == {graph.name, *names}
