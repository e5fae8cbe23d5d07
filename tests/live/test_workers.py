"""Several workers and their collector: what one session gives, and what all say of it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink
from sinks.memory import MemorySink
from sinks.zmq import ZmqPublisher
from smalldata_stream.batch import Column
from smalldata_stream.client import Client
from smalldata_stream.loading import load_graph
from smalldata_stream.metrics import Metrics
from smalldata_stream.modes import in_order
from smalldata_stream.modes.batch import reduce_run
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.modes.collector import WINDOW_SECONDS, run_workers
from smalldata_stream.modes.in_order import InOrder
from smalldata_stream.modes.live import LiveOptions
from smalldata_stream.modes.relay import Job
from smalldata_stream.modes.session import Report
from smalldata_stream.protocols import Sink, Spec
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import SimulatedFiles
from smalldata_stream.sources.files import FilesSource
from tests.live.test_command import COMMAND, GRAPH, command, read_at_least
from tests.live.test_parity import GRAPH as WHOLE
from tests.live.test_parity import SeenLive, sent, simulated
from tests.modes.editing import newest
from tests.processes import PATIENCE, alive, family
from tests.shmem.playing import Playing, needs_server, new_tag, write_run
from tests.test_real_files import assert_same_tree

__all__ = ["COMMAND", "sent", "simulated"]  # fixtures of the run
# A worker that begins late knows EPICS from the next slow update on, batch from the first;
# and no worker knows the frame of the pulse before.
ALL = WHOLE
for left_out in (
    '    g.keep(light["xray"], why="no X-rays")\n',
    "    g.epics()\n",
    ", ghost=Ghost(most_ms=100)",
):
    assert left_out in ALL
    ALL = ALL.replace(left_out, "")


# ------------------------------------------------------------------------------- in order


def put(rows: InOrder, worker: str, *times: int, enabled: int = 0) -> None:
    stamps = np.array(times, np.uint64)
    record = {"x": Column(stamps.astype(int))}
    rows.put(worker, stamps, np.full(len(times), enabled, np.uint64), stamps, record)


def taken(rows: InOrder, *workers: str) -> list[int]:
    """The times handed on; the values are theirs."""
    found = []
    for times, record in rows.ready(set(workers)):
        assert np.asarray(record["x"].values).tolist() == times.tolist()
        found += times.tolist()
    return found


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


def order(seconds: float = 100.0) -> InOrder:
    return InOrder({"x": Spec(dtype=np.dtype(int))}, seconds)


def test_rows_wait_for_the_slower_worker() -> None:
    rows = order()
    put(rows, "a", 10, 30, 50)
    assert taken(rows, "a", "b") == []
    put(rows, "b", 20, 40)
    assert taken(rows, "a", "b") == [10, 20, 30, 40]
    assert rows.depth == 1
    rows.leave("b")
    assert taken(rows, "a") == [50]
    assert rows.gaps.missing == 0


def test_rows_wait_no_longer_than_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(in_order, "time", clock)
    rows = order(seconds=0.05)
    put(rows, "a", 10, 20)
    assert taken(rows, "a", "b") == []
    clock.now += 0.06
    assert taken(rows, "a", "b") == [10, 20]
    put(rows, "b", 15, 30)
    clock.now += 0.06
    assert taken(rows, "a", "b") == [30]
    assert rows.late == 1


def test_what_comes_twice_is_handed_on_once() -> None:
    rows = order()
    put(rows, "a", 10, 20)
    put(rows, "b", 20, 30)
    assert taken(rows) == [10, 20, 30]
    assert (rows.twice, rows.late) == (1, 0)


def test_events_that_nobody_got_are_counted_within_an_enable() -> None:
    rows = order()
    put(rows, "a", 10, 30, 50, enabled=5)
    put(rows, "b", 20, 60, enabled=5)  # 40 is missing
    put(rows, "a", 200, 210, enabled=100)  # a pause is no gap
    assert taken(rows) == [10, 20, 30, 50, 60, 200, 210]
    assert rows.gaps.missing == 1


def test_a_worker_without_a_column_leaves_a_gap() -> None:
    rows = order()
    stamps = np.array([20], np.uint64)
    rows.put("b", stamps, stamps * 0, stamps, {})
    put(rows, "a", 10, 30)
    ((times, record),) = rows.ready(())
    assert times.tolist() == [10, 20, 30]
    assert record["x"].mask.tolist() == [True, False, True]


# ------------------------------------------------------------- through the real server


def collected(
    graph: Path,
    tag: str,
    options: LiveOptions,
    constants: str | None = None,
    window: float = WINDOW_SECONDS,
) -> Generator[Report, None, None]:
    job = Job(tag=tag, path=graph, constants=constants)
    return run_workers(
        job, 2, lambda info: find_constants(constants, info, None), options, window
    )


@needs_server
def test_two_workers_write_the_bits_of_batch(
    simulated: SimulatedFiles, sent: list[int], tmp_path: Path
) -> None:
    graph, tag = tmp_path / "graph.py", new_tag()
    graph.write_text(ALL)
    constants = str(simulated.constants)
    options = LiveOptions(sink=lambda info: Hdf5Sink(tmp_path / "live.h5"))
    with (
        Playing(*simulated.xtc2, tag=tag, rate_hz=60, clients=2),
        # On a busy machine one worker may be ready long after the other.
        closing(collected(graph, tag, options, constants, PATIENCE)) as reports,
    ):
        report = next(reports)
    assert report.ledger.closes
    assert report.ledger.written + report.ledger.dropped.total() == report.ledger.read
    assert not report.ledger.failed
    with h5py.File(tmp_path / "live.h5") as f:
        seen = f["timestamp"][:].astype(np.uint64)
    assert set(seen.tolist()) <= set(sent)
    assert len(seen) == report.ledger.written > len(sent) // 2
    (run,) = FilesSource.from_files(simulated.xtc2).runs()
    reduce_run(
        SeenLive(run, sent, seen),
        load_graph(str(graph)),
        Hdf5Sink(tmp_path / "batch.h5"),
        find_constants(constants, run.info, None),
    )
    with (
        h5py.File(tmp_path / "live.h5", "r+") as one,
        h5py.File(tmp_path / "batch.h5", "r+") as other,
    ):
        assert int(one["Sums/jungfrau_calib"].attrs["count"]) == len(seen)
        for f in (one, other):
            del f["ledger"]
        assert_same_tree(one, other)


@contextmanager
def two_workers(
    graph: Path, tag: str, options: LiveOptions
) -> Iterator[tuple[threading.Thread, list[Report]]]:
    """A collector in a thread, until its first report."""
    reports: list[Report] = []

    def collect() -> None:
        with closing(collected(graph, tag, options)) as iterator:
            reports.append(next(iterator))

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    yield thread, reports
    thread.join(PATIENCE)
    assert not thread.is_alive()


@needs_server
def test_every_result_says_how_many_workers_and_an_edit_reaches_all(
    tmp_path: Path,
) -> None:
    graph, tag = tmp_path / "graph.py", new_tag()
    graph.write_text(GRAPH)
    sinks: list[MemorySink] = []

    def sink(info: RunInfo) -> Sink:
        sinks.append(MemorySink())
        return sinks[-1]

    topic, guard, metrics = "plots/other/value_histogram", threading.Lock(), Metrics("live")
    with (
        ZmqPublisher(guard=guard) as publisher,
        Client(publisher.address) as client,
        Playing(write_run(tmp_path / "a.xtc2", 100), tag=tag, loops=0, clients=2),
    ):
        client.subscribe()
        options = LiveOptions(
            sink=sink, publishers=[publisher], guard=guard, metrics=metrics
        )
        with two_workers(graph, tag, options) as (_, reports):
            client.latest(topic, timeout=PATIENCE)  # two processes have to begin
            plot = newest(client, topic, lambda m: m["workers"] == 2 and m["events"] > 50)
            assert plot.arrays["counts"].sum() > 50
            values = newest(client, "other", lambda m: m["workers"] == 1)
            assert values.metadata["events"] == 1
            graph.write_text("def graph(g, run):\n    g.detctor('cam')\n")
            index = newest(client, "index", lambda m: bool(m.get("error")))
            assert "'detctor'" in index.metadata["error"]
            assert index.metadata["workers"] == {"asked": 2, "alive": 2}
            graph.write_text(GRAPH + "    cam.sum('calib')\n")
    (report,) = reports
    assert report.ledger.closes
    assert report.ledger.read > 50
    assert sinks[0].complete
    times = sinks[0].timestamps
    assert (times[1:] > times[:-1]).all()


@needs_server
@pytest.mark.slow
def test_a_worker_that_dies_costs_what_it_had(tmp_path: Path) -> None:
    graph, tag, output = tmp_path / "graph.py", new_tag(), tmp_path / "live.h5"
    graph.write_text(GRAPH)
    words = ["live", graph, "--workers", "2", "--shmem", tag, "--publish",
             "tcp://127.0.0.1:*", "-o", output]  # fmt: skip
    with (
        Playing(write_run(tmp_path / "a.xtc2", 100), tag=tag, loops=0, clients=2),
        command(*words, says="publishing:") as (process, address),
    ):
        read_at_least(address, 60)
        processes = family(process.pid)
        first = next(
            pid
            for pid in processes
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(first, signal.SIGKILL)
        with Client(address) as client:
            newest(client, "index", lambda m: m["workers"] == {"asked": 2, "alive": 1})
        read_at_least(address, 150)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "The ledger closes" in said
    assert not any(map(alive, processes))
    assert not list(Path("/dev/shm").glob(f"*{tag}*"))
    with h5py.File(output) as f:
        times = f["timestamp"][:]
        assert (times[1:] > times[:-1]).all()


def test_workers_need_shared_memory(tmp_path: Path) -> None:
    from smalldata_stream.cli import main

    assert main(["live", "everything", "--workers", "2", "--files", "a.xtc2"]) == 1


@pytest.mark.parametrize("number", ["0", "-1"])
def test_there_is_at_least_one_worker(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from smalldata_stream.cli import main

    with pytest.raises(SystemExit):
        main(["live", "everything", "--workers", number, "--shmem", "x"])
    assert "write a whole number, 1 or more" in capsys.readouterr().err
