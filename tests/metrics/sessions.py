"""A small graph with a node that fails and a detector that is absent; and its sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from smalldata_stream.batch import Batch, BatchLimits, Column, Signal
from smalldata_stream.graph import Graph, build
from smalldata_stream.ledger import Ledger
from smalldata_stream.loading import GraphFile
from smalldata_stream.metrics import Metrics
from smalldata_stream.modes.session import declare, kept_events
from smalldata_stream.protocols import Declaration
from smalldata_stream.run import DetectorInfo, FieldInfo, RunInfo
from smalldata_stream.sources.simulated import Lost, Script, SimulatedSource

ENERGY = Signal("gmd", "raw", "energy")
TEXT = "the text of the graph"

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def run_info(number: int = 1) -> RunInfo:
    energy = FieldInfo(dtype=np.dtype("f8"))
    gmd = DetectorInfo(
        name="gmd",
        type="gmd",
        fields={("raw", "energy"): energy},
        versions={"raw": (1, 0, 0)},
    )
    return RunInfo(exp="tstx00123", number=number, detectors={"gmd": gmd})


def fails_above_two(energy: float) -> float:
    if energy > 2:
        raise ValueError("too much energy")
    return energy


def small_graph(g: Graph, run: RunInfo) -> None:
    g.detector("jungfrau", optional=True)
    gmd = g.detector("gmd")
    g.function(fails_above_two, gmd["energy"], name="gmd/small")
    g.function(np.negative, gmd["energy"], name="gmd/negative", vectorized=True)


GRAPH = GraphFile(Path("small_graph.py"), TEXT, small_graph)


def begun(metrics: Metrics, number: int = 1) -> Graph:
    """A run that has begun."""
    g = build(small_graph, run_info(number))
    metrics.begin(declare(g, GRAPH), g.plan)
    return g


def bare_run(metrics: Metrics) -> None:
    """A run of a graph without nodes that has begun."""
    g = build(lambda g, run: None, run_info())
    metrics.begin(Declaration(run=run_info(), outputs={}), g.plan)


def batch_at(nanoseconds: Sequence[int], value: float = 1.0) -> Batch:
    """A batch whose pulses came at these times, in nanoseconds since 1970."""
    times = np.array(nanoseconds, np.int64)
    since_1990 = times - 631_152_000 * 10**9
    stamps = (since_1990 // 10**9) << 32 | since_1990 % 10**9
    n = len(times)
    return Batch(
        stamps.astype(np.uint64),
        np.zeros(n, np.int32),
        {ENERGY: Column(np.full(n, value))},
        {"gmd": np.zeros(n, np.uint8)},
    )


def session(
    metrics: Metrics, events: int, each: Callable[[Ledger], None] = lambda ledger: None
) -> Ledger:
    """A whole simulated run, as a mode works it off; it loses and leaves out events."""
    (run,) = SimulatedSource(Script(events=events, items=(Lost(5),))).runs()

    def graph(g: Graph, run: RunInfo) -> None:
        energy = g.detector("gmd", calibration="raw")["energy"]
        g.keep(g.function(lambda e: e > 1.95, energy, name="gmd/strong"), why="weak")

    g, ledger = build(graph, run.info), Ledger()
    metrics.begin(Declaration(run=run.info, outputs=g.plan.outputs()), g.plan)
    for batch in run.batches(tuple(g.plan.signals), BatchLimits(events=7)):
        g.plan.push(batch)
        kept = kept_events(g.plan, batch, ledger)
        ledger.read += len(batch)
        ledger.written += int(kept.sum())
        metrics.batch(batch, ledger)
        metrics.published("zmq", messages=ledger.read, nbytes=ledger.read * 10)
        metrics.queue("writer", depth=len(batch), dropped=0)
        each(ledger)
    for fault in run.faults:
        ledger.read += fault.events
        ledger.dropped[fault.what] += fault.events
    g.plan.report(ledger)
    metrics.end(ledger)
    g.plan.close()
    return ledger


def text_of(metrics: Metrics) -> str:
    registry = CollectorRegistry()
    registry.register(metrics)
    return generate_latest(registry).decode()


def parsed(text: str) -> Samples:
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


def scrape(metrics: Metrics) -> Samples:
    return parsed(text_of(metrics))


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"smalldata_{name}", frozenset(labels.items())]


def rows(samples: Samples) -> Iterator[tuple[str, str, int]]:
    """The ledger as it was scraped, without reasons that cost nothing."""
    for (name, labels), n in samples.items():
        of = dict(labels)
        if name == "smalldata_events_total" and of["stage"] in ("read", "written"):
            yield of["stage"], "", int(n)
        if name == "smalldata_events_lost_total" and n:
            yield of["stage"], of["reason"], int(n)


EMPTY = batch_at([])


def busy_metrics() -> Metrics:
    """Metrics in which every family has a sample: a run is over, the next has begun."""
    metrics = Metrics("live")
    session(metrics, 40)
    begun(metrics, 2).plan.close()
    return metrics
