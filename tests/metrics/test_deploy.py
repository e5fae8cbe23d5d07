"""Names and labels by convention; dashboard, rules and pages use what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from smalldata_stream.metrics import Metrics
from tests.metrics.servers import fetch
from tests.metrics.sessions import busy_metrics, parsed, text_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool (Debian package prometheus)"
)

OF_PROMETHEUS = {"up": set[str]()}
OF_TARGETS = {"job", "instance", "file", "le"}
OPERATORS = {"and", "or", "unless"}


@cache
def exposed() -> dict[str, set[str]]:
    """The names of all samples, each with its labels."""
    metrics = busy_metrics()
    with metrics.serve(0) as exporter:
        samples = parsed(fetch(exporter.url))
    found = dict(OF_PROMETHEUS)
    for name, labels in samples:
        found[name] = found.get(name, set()) | dict(labels).keys()
    return found


def board() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text())
    return loaded


def dashboard_expressions() -> list[str]:
    panels = [target["expr"] for p in board()["panels"] for target in p.get("targets", [])]
    return panels + [note["expr"] for note in board()["annotations"]["list"]]


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def alert_expressions() -> list[str]:
    return [rule["expr"] for rule in rules()]


def uses(expression: str) -> list[tuple[str, set[str]]]:
    """The metrics in an expression with the labels that are matched or grouped by."""
    grouped: set[str] = set()
    for group in re.findall(r"\b(?:by|on|ignoring|group_left)\s*\(([^)]*)\)", expression):
        grouped |= set(re.findall(r"\w+", group))
    text = re.sub(r"\b(by|on|ignoring|group_left)\s*\([^)]*\)|\[[^]]*\]", " ", expression)
    selector = r"([a-zA-Z_]\w*)\s*\{([^}]*)\}"
    found = [
        (name, grouped | set(re.findall(r"(\w+)\s*[=!]~?", matchers)))
        for name, matchers in re.findall(selector, text)
    ]
    bare = re.findall(r"\b[a-zA-Z_]\w*\b(?!\s*\()", re.sub(selector, " ", text))
    return found + [(name, grouped) for name in bare if name not in OPERATORS]


@pytest.mark.parametrize("expression", dashboard_expressions() + alert_expressions())
def test_every_expression_uses_metrics_that_exist(expression: str) -> None:
    known, found = exposed(), uses(expression)
    assert found
    for name, labels in found:
        assert name in known, f"{name} in {expression}"
        all_of_them = set().union(*(known[n] for n, _ in found))
        assert labels <= all_of_them | OF_TARGETS, expression


def test_a_misspelled_metric_would_be_seen() -> None:
    wrong = 'sum by (nod) (rate(smalldata_event_total{stge="read"}[1m])) / foo > 0.5'
    assert uses(wrong) == [
        ("smalldata_event_total", {"nod", "stge"}),
        ("foo", {"nod"}),
    ]


def test_every_metric_is_shown_or_watched() -> None:
    used = {
        name for e in dashboard_expressions() + alert_expressions() for name, _ in uses(e)
    }
    stems = {re.sub("_(bucket|sum|count)$", "", name) for name in used}
    ours = {family.name for family in busy_metrics().families()}
    assert ours <= stems


def test_the_panels_have_units_and_places_of_their_own() -> None:
    panels = board()["panels"]
    assert len({p["id"] for p in panels}) == len(panels)
    cells = [
        {
            (x, y)
            for x in range(g["x"], g["x"] + g["w"])
            for y in range(g["y"], g["y"] + g["h"])
        }
        for g in (p["gridPos"] for p in panels)
    ]
    assert all(not a & b for a, b in combinations(cells, 2))
    assert all(x < 24 for cell in cells for x, _ in cell)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["datasource"]["uid"] == "${datasource}"
            references = [target["refId"] for target in panel["targets"]]
            assert len(set(references)) == len(references)


def test_the_dashboard_uses_its_variables_and_no_others() -> None:
    defined = {v["name"] for v in board()["templating"]["list"]} | {"__rate_interval"}
    text = " ".join(dashboard_expressions()) + (DEPLOY / "grafana.json").read_text()
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__all"}
    assert used == defined
    for expression in dashboard_expressions():
        for matchers in re.findall(r"\{([^}]*)\}", expression):
            assert 'job=~"$job", instance=~"$instance"' in matchers


def test_the_alerts_say_how_bad_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["for"]


def test_names_follow_the_conventions() -> None:
    for family in busy_metrics().families():
        assert re.fullmatch(r"smalldata(_[a-z0-9]+)+", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.text.endswith(".")
        assert not set(family.labels) & OF_TARGETS


def test_the_page_has_every_metric_with_type_and_labels() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", page, re.MULTILINE)
    on_page = {
        (name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows
    }
    there = {(f.name, f.kind, f.labels) for f in busy_metrics().families()}
    assert on_page == there


def promtool(*words: str | Path, given: str = "") -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *map(str, words)],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("metrics", [busy_metrics(), Metrics("batch")], ids=["busy", "new"])
def test_promtool_has_nothing_against_the_metrics(metrics: Metrics) -> None:
    promtool("check", "metrics", given=text_of(metrics))


@needs_promtool
def test_promtool_has_nothing_against_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", DEPLOY / "alerts.yml")


@needs_promtool
def test_the_alerts_ring_when_they_should(tmp_path: Path) -> None:
    for file in (DEPLOY / "alerts.yml", Path(__file__).with_name("alerts_test.yml")):
        shutil.copy(file, tmp_path)
    promtool("test", "rules", tmp_path / "alerts_test.yml")


@needs_promtool
def test_the_configuration_on_the_page_is_one(tmp_path: Path) -> None:
    (config,) = re.findall(
        r"```yaml\n(.*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL
    )
    (tmp_path / "prometheus.yml").write_text(config)
    shutil.copy(DEPLOY / "alerts.yml", tmp_path)
    promtool("check", "config", tmp_path / "prometheus.yml")
