"""The textfile: whole at any moment, told apart by file, and read by the node exporter."""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path

import pytest

from smalldata_stream.errors import OutputError
from smalldata_stream.ledger import Ledger
from smalldata_stream.metrics import Metrics
from tests.metrics.servers import fetch, free_port, stop_at_end
from tests.metrics.sessions import EMPTY, bare_run, parsed, session, value
from tests.processes import until

EXPORTER = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")


def test_written_at_once_when_due_and_at_the_end(tmp_path: Path) -> None:
    path, metrics = tmp_path / "job.prom", Metrics("batch")
    metrics.textfile(path, seconds=3600)

    def read() -> float:
        samples = parsed(path.read_text())
        return value(samples, "events_total", stage="read", file="job.prom")

    assert read() == 0
    bare_run(metrics)
    ledger = Ledger(read=3, written=3)
    metrics.batch(EMPTY, ledger)
    assert read() == 0
    metrics.end(ledger)
    assert read() == 3
    metrics.textfile(path, seconds=0)
    bare_run(metrics)
    metrics.batch(EMPTY, Ledger(read=4, written=4))
    assert read() == 7
    assert [file.name for file in tmp_path.iterdir()] == ["job.prom"]


def test_replaced_and_never_changed(tmp_path: Path) -> None:
    path, metrics = tmp_path / "job.prom", Metrics("batch")
    metrics.textfile(path, seconds=0)
    with path.open() as before:
        session(metrics, 20)
        old = parsed(before.read())
    assert value(old, "events_total", stage="read", file="job.prom") == 0
    new = parsed(path.read_text())
    assert value(new, "events_total", stage="read", file="job.prom") == 20


def test_what_the_node_exporter_would_not_read(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"only \*\.prom; not .*job\.txt"):
        Metrics("batch").textfile(tmp_path / "job.txt")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write metrics to .*nowhere"):
        Metrics("batch").textfile(tmp_path / "nowhere" / "job.prom")


def test_a_disk_that_fails_later_does_not_end_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, metrics = tmp_path / "metrics", Metrics("batch")
    folder.mkdir()
    metrics.textfile(folder / "job.prom")
    shutil.rmtree(folder)
    with caplog.at_level(logging.WARNING):
        assert session(metrics, 20).closes
    assert "cannot write metrics to" in caplog.text


@pytest.mark.skipif(EXPORTER is None, reason="no node exporter (prometheus-node-exporter)")
def test_the_node_exporter_reads_two_jobs(tmp_path: Path) -> None:
    assert EXPORTER is not None
    for name, events in (("one", 20), ("two", 30)):
        metrics = Metrics("batch")
        metrics.textfile(tmp_path / f"{name}.prom")
        session(metrics, events)
    port = free_port()
    words = [
        f"--web.listen-address=127.0.0.1:{port}",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={tmp_path}",
    ]
    with stop_at_end(subprocess.Popen([EXPORTER, *words], stderr=subprocess.DEVNULL)):
        text = until(lambda: fetch(f"http://127.0.0.1:{port}/metrics"))
    samples = parsed(text)
    assert samples["node_textfile_scrape_error", frozenset()] == 0
    assert value(samples, "events_total", stage="read", file="one.prom") == 20
    assert value(samples, "events_total", stage="read", file="two.prom") == 30
