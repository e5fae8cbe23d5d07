"""A real Prometheus scrapes a session, and gives its numbers back over its HTTP API."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml  # type: ignore[import-untyped]

from smalldata_stream.ledger import Ledger
from smalldata_stream.metrics import Metrics
from smalldata_stream.metrics_families import STAGES
from tests.metrics.servers import Prometheus, free_port, stop_at_end
from tests.metrics.sessions import busy_metrics, scrape, session, value
from tests.metrics.test_deploy import DEPLOY, dashboard_expressions, rules
from tests.processes import until

PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="no Prometheus server (Debian package prometheus)"
)


@dataclass(frozen=True)
class Scraped:
    """A session that goes on and on, and the Prometheus that watches it."""

    metrics: Metrics
    prometheus: Prometheus
    ledgers: list[Ledger]
    stop: threading.Event
    worker: threading.Thread


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    assert PROMETHEUS is not None
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    metrics, stop, ledgers = busy_metrics(), threading.Event(), list[Ledger]()

    def work() -> None:
        while not stop.wait(0.05):
            ledgers.append(session(metrics, 40))

    worker = threading.Thread(target=work)
    with metrics.serve(0) as exporter:
        target = f"{exporter.address}:{exporter.port}"
        config = {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [str(DEPLOY / "alerts.yml")],
            "scrape_configs": [
                {"job_name": "smalldata", "static_configs": [{"targets": [target]}]}
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        words = [
            PROMETHEUS,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        worker.start()
        with (
            (folder / "log").open("wb") as log,
            stop_at_end(subprocess.Popen(words, stdout=log, stderr=log)),
        ):
            prometheus = Prometheus(port)
            until(lambda: prometheus.query('up{job="smalldata"} == 1'))
            try:
                yield Scraped(metrics, prometheus, ledgers, stop, worker)
            finally:
                stop.set()
                worker.join()


def test_the_rate_is_that_of_the_session(scraped: Scraped) -> None:
    rate = 'rate(smalldata_events_total{stage="read"}[5s])'
    assert until(lambda: scraped.prometheus.value(rate))
    # Each session reads 40 events and loses one of them, whenever it is scraped.
    share = (
        'increase(smalldata_events_total{stage="written"}[5s])'
        ' / ignoring (stage) increase(smalldata_events_total{stage="read"}[5s])'
    )
    found = until(lambda: scraped.prometheus.value(share))
    (ledger,) = scraped.ledgers[:1]
    assert found == pytest.approx(ledger.written / ledger.read, abs=0.1)


def test_every_scrape_saw_a_closed_ledger(scraped: Scraped) -> None:
    until(lambda: (scraped.prometheus.value("count_over_time(up[1m])") or 0) >= 5)
    gap = (
        "max_over_time((smalldata_events_total{stage='read'}"
        " - ignoring (stage) smalldata_events_total{stage='written'}"
        " - ignoring (stage) smalldata_events_total{stage='filtered'}"
        " - ignoring (stage) smalldata_events_total{stage='failed'}"
        " - ignoring (stage) smalldata_events_total{stage='dropped'})[1m:500ms])"
    )
    assert scraped.prometheus.value(gap) == 0
    assert scraped.prometheus.value("resets(smalldata_runs_total[1m])") == 0


@pytest.mark.parametrize("expression", dashboard_expressions())
def test_every_panel_has_something_to_show(scraped: Scraped, expression: str) -> None:
    filled = expression.replace("$__rate_interval", "5s")
    filled = filled.replace("$job", ".+").replace("$instance", ".+")
    if expression.startswith("changes(") or expression.endswith("> 0"):
        filled = filled.rpartition(" > ")[0]  # there is something to show when it is not
    assert until(lambda: scraped.prometheus.query(filled))


def test_the_rules_are_loaded_and_work(scraped: Scraped) -> None:
    def evaluated() -> list[dict[str, str]]:
        groups = (scraped.prometheus.api("rules") or {"groups": []})["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        return [] if any(rule["health"] == "unknown" for rule in found) else found

    found = until(evaluated)
    assert {rule["name"] for rule in found} == {rule["alert"] for rule in rules()}
    assert {rule["health"] for rule in found} == {"ok"}


def test_at_last_its_numbers_are_ours(scraped: Scraped) -> None:
    scraped.stop.set()
    scraped.worker.join()
    total = 40 + sum(ledger.read for ledger in scraped.ledgers)
    expected = {
        stage: value(scrape(scraped.metrics), "events_total", stage=stage)
        for stage in STAGES
    }
    assert expected["read"] == total

    def as_scraped() -> dict[str, float]:
        found = scraped.prometheus.query("smalldata_events_total")
        return {one["metric"]["stage"]: float(one["value"][1]) for one in found}

    assert until(lambda: as_scraped() == expected)
    (run,) = scraped.prometheus.query("smalldata_run_info")
    assert run["metric"]["exp"]
    joined = "on (job, instance) group_left (exp, run) smalldata_run_info"
    found = scraped.prometheus.query(f"smalldata_events_total * {joined}")
    assert [one["metric"]["exp"] for one in found] == [run["metric"]["exp"]] * 5
