"""What is scraped is what happened: ledger, nodes, latency; over runs and under load."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_stream import __version__
from smalldata_stream.ledger import Ledger
from smalldata_stream.metrics import Metrics
from smalldata_stream.metrics_counts import Histogram
from smalldata_stream.metrics_families import Family
from smalldata_stream.metrics_session import MAX_REASONS
from tests.metrics.sessions import (
    EMPTY,
    TEXT,
    Samples,
    bare_run,
    batch_at,
    begun,
    rows,
    scrape,
    session,
    value,
)

NOW = 1_790_000_000 * 10**9
SECOND = 10**9

STAGES = ["read", "written", "filtered", "failed", "dropped"]
STEP = st.tuples(
    st.sampled_from(STAGES[1:]),
    st.one_of(st.sampled_from(["laser off", "incomplete", 'a\\b\n"c"']), st.text()),
    st.integers(1, 1000),
)
RUNS = st.lists(st.lists(STEP, max_size=6), max_size=4)


@given(RUNS)
def test_the_counters_are_the_ledgers_of_all_runs(
    runs: list[list[tuple[str, str, int]]],
) -> None:
    metrics, expected = Metrics("batch"), Counter[tuple[str, str]]()
    before: Samples = {}
    for steps in runs:
        bare_run(metrics)
        ledger = Ledger()
        for stage, reason, n in steps:
            ledger.read += n
            if stage == "written":
                ledger.written += n
            else:
                getattr(ledger, stage)[reason] += n
            expected["read", ""] += n
            expected[stage, "" if stage == "written" else reason] += n
            metrics.batch(EMPTY, ledger)
            samples = scrape(metrics)
            assert {(s, why): n for s, why, n in rows(samples) if n} == dict(expected)
            assert value(samples, "ledger_missing_events") == 0
            counts = [value(samples, "events_total", stage=s) for s in STAGES]
            assert counts[0] == sum(counts[1:])
            before = never_back(before, samples)
        metrics.end(ledger)
        before = never_back(before, scrape(metrics))


def never_back(before: Samples, after: Samples) -> Samples:
    falling = {key for key, n in before.items() if key[0].endswith("_total")}
    assert not {key for key in falling if after[key] < before[key]}
    return after


def test_a_whole_run_as_its_ledger_has_it() -> None:
    metrics = Metrics("live")
    moments: list[bool] = []

    def during(ledger: Ledger) -> None:
        samples = scrape(metrics)
        moments.append(value(samples, "run_in_progress") == 1)
        assert value(samples, "events_total", stage="read") == ledger.read

    ledger = session(metrics, 40, during)
    assert ledger.closes
    assert {what for what, _, _ in ledger.rows()} == {
        "read",
        "written",
        "filtered",
        "dropped",
    }
    samples = scrape(metrics)
    assert sorted(rows(samples)) == sorted(ledger.rows())
    assert moments == [True] * 6
    assert value(samples, "run_in_progress") == 0
    assert value(samples, "published_bytes_total", publisher="zmq") == 390
    second = session(metrics, 20)
    both = scrape(metrics)
    assert value(both, "events_total", stage="read") == ledger.read + second.read
    assert value(both, "node_events_total", node="gmd/strong") == 39 + 19
    # The publisher counted from 0 again: 390 and then 190.
    assert value(both, "published_bytes_total", publisher="zmq") == 390 + 190
    assert value(both, "runs_total") == 2


def test_nodes_by_path_with_their_time_and_failures() -> None:
    metrics = Metrics("batch")
    g = begun(metrics)
    ledger = Ledger()
    for energy in (1.0, 3.0):
        batch = batch_at(range(0, 50), energy)
        g.plan.push(batch)
        ledger.read += len(batch)
        metrics.batch(batch, ledger)
    for _ in range(2):  # during the run, and when its counts are those of a former run
        samples = scrape(metrics)
        nodes = {dict(labels)["node"] for name, labels in samples if "_node_" in name}
        assert nodes == {"gmd", "gmd/small", "gmd/negative"}
        assert value(samples, "node_events_total", node="gmd/negative") == 100
        assert value(samples, "node_errors_total", node="gmd/small") == 50
        assert value(samples, "node_errors_total", node="gmd/negative") == 0
        seconds = {
            n.path: n.seconds for n in g.plan.nodes if n.path in ("gmd/small", "gmd")
        }
        for path, spent in seconds.items():
            assert 0 < value(samples, "node_seconds_total", node=path) == spent
        metrics.end(ledger)
    g.plan.close()


def test_what_runs() -> None:
    metrics = Metrics("live")
    for number in (1, 2):
        g = begun(metrics, number)
        samples = scrape(metrics)
        g.plan.close()
    (build,) = (dict(labels) for name, labels in samples if name == "smalldata_build_info")
    assert build.pop("graph_sha256") == hashlib.sha256(TEXT.encode()).hexdigest()
    assert build == {"version": __version__, "mode": "live", "graph": "small_graph.py"}
    infos = [dict(labels) for name, labels in samples if name == "smalldata_run_info"]
    assert infos == [{"exp": "tstx00123", "run": "2"}]
    assert value(samples, "absent_info", what="jungfrau: not in this run") == 1
    high = [labels for _, labels in samples if {"exp", "run"} & dict(labels).keys()]
    assert len(high) == 1


def test_latency_is_from_pulse_to_publish() -> None:
    clock = [NOW]
    metrics = Metrics("live", clock=lambda: clock[0])
    bare_run(metrics)
    waits = [0.3, 0.02, 0.0005, -5.0]  # the last pulse is from the future: clocks differ
    metrics.batch(batch_at([NOW - int(w * SECOND) for w in waits]), Ledger(read=4))
    name = "publish_latency_seconds"
    assert value(scrape(metrics), f"{name}_count") == 0
    clock[0] += SECOND
    metrics.published("zmq", messages=1, nbytes=1)
    metrics.published("psplot", messages=1, nbytes=1)
    samples = scrape(metrics)
    true = np.maximum([w + 1 for w in waits], 0)
    for bound in ("0.001", "1", "2.5", "60"):
        expected = (true <= float(bound)).sum()
        assert value(samples, f"{name}_bucket", le=bound) == expected
    assert value(samples, f"{name}_count") == 4
    assert value(samples, f"{name}_sum") == pytest.approx(true.sum())


def test_what_nobody_publishes_is_late_and_not_kept() -> None:
    clock = [NOW]
    metrics = Metrics("live", clock=lambda: clock[0])
    bare_run(metrics)
    for second in range(100):
        clock[0] = NOW + second * SECOND
        metrics.batch(batch_at([clock[0]]), Ledger(read=second + 1))
    samples = scrape(metrics)
    assert value(samples, "publish_latency_seconds_bucket", le="60") == 0
    assert value(samples, "publish_latency_seconds_count") == 99 - 60
    assert len(metrics._unpublished) == 61


def test_a_batch_job_has_no_latency_and_keeps_nothing() -> None:
    metrics = Metrics("batch", clock=lambda: NOW)
    bare_run(metrics)
    metrics.batch(batch_at([NOW]), Ledger(read=1))
    assert not [name for name, _ in scrape(metrics) if "latency" in name]
    assert not metrics._unpublished


def test_time_size_and_bytes_of_batches() -> None:
    metrics = Metrics("batch", clock=lambda: NOW)
    bare_run(metrics)
    before = scrape(metrics)
    assert not [name for name, _ in before if "timestamp" in name]
    pulse = NOW - 2 * SECOND
    metrics.batch(batch_at([pulse - 7, pulse]), Ledger(read=2))
    metrics.batch(EMPTY, Ledger(read=2))
    samples = scrape(metrics)
    assert value(samples, "last_event_timestamp_seconds") == pulse / 1e9
    assert value(samples, "last_batch_timestamp_seconds") == NOW / 1e9
    assert value(samples, "batch_events_count") == 2
    assert value(samples, "batch_events_sum") == 2
    assert value(samples, "batch_events_bucket", le="1") == 1
    assert value(samples, "read_bytes_total") == 2 * 8


def test_queues_are_gauges_and_their_drops_counters() -> None:
    metrics = Metrics("live")
    metrics.queue("writer", depth=3, dropped=2)
    metrics.queue("writer", depth=1, dropped=5)
    metrics.queue("writer", depth=0, dropped=1)  # another queue of this name
    samples = scrape(metrics)
    assert value(samples, "queue_depth", queue="writer") == 0
    assert value(samples, "queue_dropped_total", queue="writer") == 6


def test_what_the_source_has_lost_is_counted_while_the_run_goes_on() -> None:
    metrics = Metrics("live")
    bare_run(metrics)
    metrics.batch(EMPTY, Ledger(read=7, written=7))
    metrics.lost(Ledger(read=12, written=7, dropped=Counter({"given up": 5})))
    # What the session keeps itself does not say it, and an estimate may shrink.
    metrics.batch(EMPTY, Ledger(read=9, written=9))
    metrics.lost(Ledger(read=13, written=9, dropped=Counter({"given up": 4})))
    samples = scrape(metrics)
    lost = value(samples, "events_lost_total", stage="dropped", reason="given up")
    assert lost == value(samples, "events_total", stage="dropped") == 5
    assert value(samples, "events_total", stage="written") == 9
    assert value(samples, "events_total", stage="read") == 14
    assert value(samples, "ledger_missing_events") == 0


def test_what_is_lost_in_one_run_is_not_in_the_next() -> None:
    metrics = Metrics("live")
    for _ in range(2):
        bare_run(metrics)
        metrics.lost(Ledger(read=5, dropped=Counter({"given up": 5})))
    assert value(scrape(metrics), "events_total", stage="dropped") == 10


def test_reasons_beyond_the_limit_are_other_and_none_is_lost() -> None:
    metrics = Metrics("batch")
    for first in (0, 20):
        bare_run(metrics)
        ledger = Ledger()
        for i in range(first, first + 2 * MAX_REASONS):
            ledger.read += 1
            ledger.dropped[f"damaged at byte {i:03d}"] += 1
            metrics.batch(EMPTY, ledger)
        metrics.end(ledger)
    samples = scrape(metrics)
    lost = {k: n for k, n in samples.items() if k[0] == "smalldata_events_lost_total"}
    assert len(lost) == MAX_REASONS + 1
    assert value(samples, "events_lost_total", stage="dropped", reason="other") == (
        4 * MAX_REASONS - MAX_REASONS - 10
    )
    assert value(samples, "events_total", stage="dropped") == 4 * MAX_REASONS


def test_a_ledger_that_does_not_close_is_seen() -> None:
    metrics = Metrics("live")
    bare_run(metrics)
    metrics.batch(EMPTY, Ledger(read=5, written=3))
    assert value(scrape(metrics), "ledger_missing_events") == 2


def test_what_was_asked_for_stays_as_it_was() -> None:
    metrics = Metrics("live", clock=lambda: NOW)

    def go_on(events: int) -> None:
        metrics.batch(batch_at([NOW] * events), Ledger(read=events, written=events))
        metrics.published("zmq", messages=events, nbytes=events)
        metrics.queue("writer", depth=events, dropped=events)

    def seen(families: list[Family]) -> list[object]:
        return [
            (f.rows.buckets(), f.rows.sum)
            if isinstance(f.rows, Histogram)
            else list(f.rows)
            for f in families
        ]

    bare_run(metrics)
    go_on(1)
    asked = metrics.families()
    before = seen(asked)
    go_on(5)
    assert seen(asked) == before != seen(metrics.families())
