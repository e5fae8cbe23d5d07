"""The job page and the run table, on a service of our own."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from sinks.memory import MemorySink
from smalldata_stream.cli import main
from smalldata_stream.ledger import Ledger
from smalldata_stream.modes import job_page
from smalldata_stream.modes.job_page import DURATION, EVENT, LAST, JobPage
from smalldata_stream.modes.run_table import PASSWORD_FILE, URL, USER, post_run
from smalldata_stream.modes.session import Report
from smalldata_stream.protocols import Declaration
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import Simulation, simulate
from tests.processes import until
from tests.web.service import Service

RUN = RunInfo(exp="xpptut26", number=12, detectors={})


def report() -> Report:
    return Report(
        run=RUN,
        sink=MemorySink(),
        declaration=Declaration(run=RUN, outputs={}),
        ledger=Ledger(read=100, written=90, filtered=Counter({"laser off": 10})),
        faults=(),
        dropped=(),
        totals={},
        seconds=90.0,
    )


def test_the_page_gets_the_newest_counters_and_the_last(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_page, "EVERY_SECONDS", 0.01)
    environment = {"ARP_JOB_ID": "1", "JID_UPDATE_COUNTERS": service.url + "/counters"}
    with JobPage.of_environment(environment) as page:
        page(1000, 4000)
        until(lambda: service.asked)
        page(2000, None)
        page.last(4000, 2)
    assert {path for path, _ in service.asked} == {"/counters"}
    assert service.asked[0][1] == [{"key": EVENT, "value": "1,000 of 4,000"}]
    rows = {row["key"]: row["value"] for _, body in service.asked for row in body}
    assert rows[EVENT] == "2,000"
    assert rows[LAST] == "~ 2 cores * 2,000 evts"
    assert rows[DURATION] == "0.0 min"


def test_posts_are_rare(service: Service) -> None:
    with JobPage(service.url) as page:
        for event in range(10_000):
            page(event, None)
    assert 1 <= len(service.asked) <= 3
    assert service.asked[-1][1] == [{"key": EVENT, "value": "9,999"}]


@pytest.mark.parametrize(
    "environment", [{}, {"ARP_JOB_ID": "1"}, {"JID_UPDATE_COUNTERS": "http://x"}]
)
def test_without_a_page_nothing_happens(environment: dict[str, str]) -> None:
    with JobPage.of_environment(environment) as page:
        page(1, 2)
        page.last(2, 1)
        assert page._thread is None


def test_a_page_that_fails_is_a_warning_and_then_left_alone(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job_page, "EVERY_SECONDS", 0.01)
    service.answer = lambda path: (500, b"")
    with JobPage(service.url) as page:
        for n in range(3):
            until(lambda n=n: len(service.asked) >= n)  # type: ignore[misc]
            page(n, None)
        assert page._thread is not None
        until(lambda: not page._thread.is_alive())  # type: ignore[union-attr]
        page(9, None)
    assert len(service.asked) == 3
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "500" in said[0]
    assert said[1] == "job page: left alone after 3 failed posts"


def test_a_page_that_does_not_answer_delays_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job_page, "FAREWELL_SECONDS", 0.2)
    service.slow = 60.0
    began = time.monotonic()
    with JobPage(service.url) as page:
        for event in range(1000):
            page(event, None)
        until(lambda: service.asked)
    assert time.monotonic() - began < 50
    assert "ends without its last post" in caplog.text


def test_the_run_table_gets_the_run(service: Service, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    environment = {
        URL: service.url + "/ws-auth/lgbk/",
        USER: "xppopr",
        PASSWORD_FILE: str(password),
    }
    post_run(report(), 120, environment)
    ((path, body),) = service.asked
    assert path == "/ws-auth/lgbk/run_control/xpptut26/ws/add_run_params?run_num=12"
    assert service.headers[0]["Authorization"].startswith("Basic ")
    assert body["SmallData"] == "done"
    assert body["Prod_ncores"] == 120
    assert body["Prod_duration_mins"] == 1.5
    assert (body["Prod_events"], body["Prod_events_written"]) == (100, 90)
    assert body["Prod_complete"] is True
    assert body["Prod_start"] < body["Prod_end"]


def test_a_run_table_that_fails_is_a_warning(
    nobody: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    post_run(report(), 1, {URL: nobody})
    assert "run table: " in caplog.text
    caplog.clear()
    post_run(report(), 1, {URL: nobody, USER: "x", PASSWORD_FILE: "/nowhere"})
    assert "/nowhere" in caplog.text
    caplog.clear()
    no_text = tmp_path / "password"
    no_text.write_bytes(b"\xff")
    post_run(report(), 1, {URL: nobody, USER: "x", PASSWORD_FILE: str(no_text)})
    assert "run table: " in caplog.text
    post_run(report(), 1, {})


def test_a_job_posts_and_its_file_is_whole_if_posts_fail(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tmp_path, Simulation(events=20, detectors=("gmd",)))
    graph = tmp_path / "graph.py"
    graph.write_text("def graph(g, run):\n    g.detector('gmd')\n")
    where = ["--exp", "xpptut26", "--run", "1", "--dir", str(tmp_path)]
    monkeypatch.setenv("ARP_JOB_ID", "1")
    monkeypatch.setenv("JID_UPDATE_COUNTERS", service.url + "/counters")
    monkeypatch.setenv(URL, service.url)
    assert main(["run", str(graph), *where, "-o", str(tmp_path / "a.h5")]) == 0
    keys = {
        row["key"] for path, rows in service.asked if path == "/counters" for row in rows
    }
    assert keys == {EVENT, LAST, DURATION}
    assert service.asked[-1][0] == "/run_control/xpptut26/ws/add_run_params?run_num=1"
    service.answer = lambda path: (503, b"")
    assert main(["run", str(graph), *where, "-o", str(tmp_path / "b.h5")]) == 0
    assert (tmp_path / "b.h5").exists()
