"""A disk that is full: live the plots go on, in batch the job ends and says why."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink, partials
from sinks.hdf5_disk import OrderedFile
from sinks.memory import MemorySink
from sinks.zmq import ZmqPublisher
from smalldata_stream.batch import Column
from smalldata_stream.client import Client
from smalldata_stream.errors import OutputError
from smalldata_stream.ledger import NOT_IN_FILE, Ledger
from smalldata_stream.loading import graph_of
from smalldata_stream.metrics import Metrics
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.joined import JoinedRun
from smalldata_stream.modes.live import LiveOptions, run_live
from smalldata_stream.modes.relay import Shown, Taken
from smalldata_stream.modes.session import Report
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.simulated import Script, SimulatedSource
from tests.modes.editing import OTHER, SMALL, Editing, newest

ROOT = Path(__file__).resolve().parents[2]
READ = [("read", "", 40)]
FULL = NOT_IN_FILE + "No space left on device"


class Disk:
    """A disk that is full from the moment it is told to be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        put = OrderedFile._put

        def checked(file: OrderedFile, offset: int, data: memoryview) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            put(file, offset, data)

        monkeypatch.setattr(OrderedFile, "_put", checked)

    def fill(self) -> None:
        self.full = True

    def clean(self) -> None:
        self.full = False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def written_live(
    graph: Path, source: Editing, flush_seconds: float = 0.0, **more: Any
) -> list[Report]:
    paths = (graph.parent / f"{n}.h5" for n in range(9))

    def sink(info: RunInfo) -> Hdf5Sink:
        return Hdf5Sink(next(paths), flush_seconds=flush_seconds)

    options = LiveOptions(limits=SMALL, sink=sink, display_seconds=0.0, **more)
    watch = GraphWatch(str(graph))
    return list(run_live(source, watch, lambda info: lambda name: None, options))


def kept_in(report: Report) -> int:
    """Events in what is left of the file; all of them are right."""
    assert isinstance(report.sink, Hdf5Sink)
    assert not report.sink.path.exists()
    (partial,) = partials(report.sink.path)
    assert str(partial) in report.lost
    with h5py.File(partial) as file:
        rows = int(file.attrs["rows"])
        assert not file.attrs["complete"]
        energy = file["gmd/energy"][:rows]
        np.testing.assert_allclose(energy, 1 + 0.1 * np.arange(rows), rtol=1e-12)
        assert file["cam/ROI_0_area"][:rows].shape[0] == rows
    return rows


def test_the_plots_go_on_and_the_ledger_has_what_is_in_the_file(
    graph: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    metrics, guard = Metrics("live"), threading.Lock()
    # Five events a batch: on the disk are 20 when it is full at the fifth.
    source = Editing(Script(), {4: disk.fill})
    with (
        ZmqPublisher(guard=guard) as publisher,
        Client(publisher.address) as client,
    ):
        client.subscribe()
        (report,) = written_live(
            graph, source, publishers=[publisher], guard=guard, metrics=metrics
        )
        plot = newest(client, "plots/gmd/energy_histogram", lambda m: m["events"] == 40)
        index = newest(client, "index", lambda m: m.get("ledger", {}).get("read") == 40)
    assert kept_in(report) == 20
    assert plot.arrays["counts"].sum() == 40
    assert report.ledger.rows() == [*READ, ("written", "", 20), ("failed", FULL, 20)]
    assert index.metadata["ledger"]["failed"] == {FULL: 20}
    assert index.metadata["ledger"]["closes"]
    (said,) = (r.message for r in caplog.records if "No space left" in r.message)
    assert said.endswith("20 events are in it; the plots go on")
    assert counted(metrics, "smalldata_events_lost_total") == {("failed", FULL): 20}
    assert counted(metrics, "smalldata_events_total")["written",] == 20


def counted(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The rows of a family."""
    (rows,) = (family.rows for family in metrics.families() if family.name == name)
    assert isinstance(rows, list)
    return dict(rows)


def test_what_was_not_flushed_is_not_in_the_file_and_no_counter_goes_back(
    graph: Path, disk: Disk
) -> None:
    metrics, seen = Metrics("live"), list[dict[tuple[str, ...], float]]()

    def look() -> None:
        seen.append(counted(metrics, "smalldata_events_total"))

    class Late(Hdf5Sink):
        """Flushes at the sixth batch, and from then on; the disk is full by then."""

        def write(self, *record: Any) -> None:
            if len(seen) == 6:
                disk.fill()
                self._open[0]._pause = 0.0
            super().write(*record)

    options = LiveOptions(
        limits=SMALL,
        sink=lambda info: Late(graph.parent / "a.h5", flush_seconds=1e9),
        metrics=metrics,
    )
    source, watch = Editing(Script(), dict.fromkeys(range(8), look)), GraphWatch(str(graph))
    (report,) = run_live(source, watch, lambda info: lambda name: None, options)
    look()
    assert kept_in(report) == 0
    assert report.ledger.rows() == [*READ, ("written", "", 0), ("failed", FULL, 40)]
    for before, after in pairwise(seen):
        assert all(after[stage] >= n for stage, n in before.items())
        others = sum(n for stage, n in after.items() if stage != ("read",))
        assert after["read",] == others


def test_a_file_that_cannot_be_begun_or_ended(graph: Path, disk: Disk) -> None:
    def edit() -> None:
        graph.write_text(OTHER)
        disk.fill()

    edits = {3: edit}
    ended, never = written_live(graph, Editing(Script(), edits), flush_seconds=1e9)
    assert kept_in(ended) == 0
    assert never.lost.endswith("0 events are in it")
    assert isinstance(never.sink, Hdf5Sink)
    assert not partials(never.sink.path)
    assert ended.ledger.failed == {FULL: 20}
    assert never.ledger.failed == {FULL: 20}
    assert ended.ledger.closes
    assert never.ledger.closes


def test_the_next_file_is_written_where_there_is_room_again(
    graph: Path, disk: Disk
) -> None:
    def edit() -> None:
        graph.write_text(OTHER)
        disk.clean()

    edits = {2: disk.fill, 4: edit}
    lost, whole = written_live(graph, Editing(Script(), edits))
    assert kept_in(lost) == 10
    assert whole.lost == ""
    assert isinstance(whole.sink, Hdf5Sink)
    with h5py.File(whole.sink.path) as file:
        assert file.attrs["complete"]
        assert len(file["timestamp"]) == whole.ledger.written == 15


def test_what_does_not_fit_into_the_file_ends_the_file_alone(graph: Path) -> None:
    class Narrow(MemorySink):
        def write(self, timestamps: Any, record: Any) -> None:
            if len(self.timestamps) >= 15:
                raise OutputError("cam/ROI_0_area has another shape")
            super().write(timestamps, record)

    options = LiveOptions(limits=SMALL, sink=lambda info: Narrow())
    watch = GraphWatch(str(graph))
    source = Editing(Script(), {})
    (report,) = run_live(source, watch, lambda info: lambda name: None, options)
    assert report.lost == "cam/ROI_0_area has another shape; 15 events are in it"
    assert report.ledger.failed == {NOT_IN_FILE + "see the log": 25}
    assert report.ledger.written == 15


def test_rows_of_several_workers(graph: Path, disk: Disk) -> None:
    (run,) = SimulatedSource(Script(events=1)).runs()
    gmd = graph_of(graph, "def graph(g, run):\n    g.detector('gmd')\n")
    path = graph.parent / "a.h5"
    options = LiveOptions(sink=lambda info: Hdf5Sink(path, flush_seconds=0.0))
    joined = JoinedRun(run.info, gmd, lambda name: None, options, 0.0)
    joined.enter(0)

    def bring(first: int) -> None:
        stamps = np.arange(first, first + 10, dtype=np.uint64)
        energy = {"gmd/energy": Column(stamps * 0.5)}
        joined.take(0, Taken(stamps, stamps * np.uint64(0), 80, stamps, energy))
        ledger = Ledger(read=first + 9, written=first + 9)
        joined.merge(0, Shown({}, ledger, first + 9, {}))

    bring(1)
    disk.fill()
    bring(11)
    bring(21)
    report = joined.end()
    assert report.ledger.rows() == [
        ("read", "", 30),
        ("written", "", 10),
        ("failed", FULL, 20),
    ]
    (partial,) = partials(path)
    with h5py.File(partial) as file:
        assert file["gmd/energy"][: file.attrs["rows"]].tolist() == [
            0.5 * n for n in range(1, 11)
        ]


# A limit that the system itself sets: no file of the process may be larger.
LIMITED = """
import resource, sys
from pathlib import Path
from sinks.hdf5 import Hdf5Sink
from smalldata_stream.batch import BatchLimits
from smalldata_stream.loading import load_graph
from smalldata_stream.modes.batch import reduce_run
from smalldata_stream.modes.graph_watch import GraphWatch
from smalldata_stream.modes.live import LiveOptions, run_live
from smalldata_stream.sources.simulated import Script, SimulatedSource

mode, graph, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
sink = Hdf5Sink(Path(graph).with_name("a.h5"), flush_seconds=0.0, compression="none")
source = SimulatedSource(Script(events=10_000))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
if mode == "batch":
    (run,) = source.runs()
    reduce_run(run, load_graph(graph), sink)
else:
    options = LiveOptions(limits=BatchLimits(events=500), sink=lambda info: sink)
    watch = GraphWatch(graph)
    (report,) = run_live(source, watch, lambda info: lambda name: None, options)
    total = report.totals["Sums/cam_calib"]
    print(report.ledger.written, *report.ledger.failed, total.count, sep="; ")
"""


def limited(mode: str, graph: Path, limit: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED, mode, str(graph), str(limit)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def test_a_limit_of_the_system_ends_the_file_and_not_the_session(graph: Path) -> None:
    done = limited("live", graph, 1_000_000)
    assert done.returncode == 0, done.stderr
    written, failed, reduced = done.stdout.strip().split("; ")
    assert 0 < int(written) < 10_000
    assert failed == NOT_IN_FILE + "File too large"
    assert reduced == "10000"
    (partial,) = partials(graph.with_name("a.h5"))
    with h5py.File(partial) as file:
        rows = int(file.attrs["rows"])
        assert rows == int(written)
        assert len(file["cam/ROI_0_area"]) >= rows
        np.testing.assert_allclose(file["gmd/energy"][:rows], 1 + 0.1 * np.arange(rows))


def test_in_batch_it_ends_the_job_and_says_why(graph: Path) -> None:
    done = limited("batch", graph, 1_000_000)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("smalldata_stream.errors.WriteFailed: ")
    assert last.endswith(".partial cannot be written: File too large")
    assert not graph.with_name("a.h5").exists()
