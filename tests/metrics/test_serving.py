"""Over HTTP: what is served, ports that cannot be had, and scrapes under load."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections import Counter

import pytest

from smalldata_stream.errors import OutputError
from smalldata_stream.metrics import Metrics
from tests.metrics.sessions import parsed, rows, scrape, session, text_of, value
from tests.processes import PATIENCE


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        text: str = answer.read().decode()
    return text


def test_over_http_and_closed_for_good() -> None:
    metrics, threads = Metrics("live"), threading.active_count()
    with metrics.serve(0) as exporter:
        assert exporter.address == "127.0.0.1"
        text = read(exporter.url)
        assert "process_resident_memory_bytes" in text
        own = [line for line in text.splitlines() if "smalldata_" in line]
        assert own == text_of(metrics).splitlines()
    with pytest.raises(urllib.error.URLError):
        read(exporter.url)
    with metrics.serve(exporter.port):
        assert "smalldata_runs_total 0.0" in read(exporter.url)
    assert threading.active_count() == threads


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(OutputError, match=f":{port}: .*choose another port"):
        Metrics("live").serve(port)


def test_a_busy_port_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match=rf"127.0.0.1:{port}: .*in use.*another port"):
            Metrics("live").serve(port)


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(OutputError, match=r"cannot serve metrics at 192\.0\.2\.1"):
        Metrics("live").serve(0, "192.0.2.1")


def test_scrapes_under_load_change_nothing_and_see_whole_batches() -> None:
    metrics, stop = Metrics("live"), threading.Event()
    reads: list[float] = []
    broken: list[str] = []

    def keep_scraping(url: str) -> None:
        while not stop.is_set():
            samples = parsed(read(url))
            stages = [value(samples, "events_total", stage=s) for s in ("read", "written")]
            lost = sum(n for what, _, n in rows(samples) if what not in ("read", "written"))
            if stages[0] != stages[1] + lost:
                broken.append(f"{stages} {lost}")
            reads.append(stages[0])

    with metrics.serve(0) as exporter:
        threads = [
            threading.Thread(target=keep_scraping, args=(exporter.url,)) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        ledgers = [session(metrics, 60) for _ in range(30)]
        stop.set()
        for thread in threads:
            thread.join()
    total = Counter[tuple[str, str]]()
    for ledger in ledgers:
        total += Counter({(what, why): n for what, why, n in ledger.rows()})
    assert not broken
    assert reads
    assert {(what, why): n for what, why, n in rows(scrape(metrics))} == total
