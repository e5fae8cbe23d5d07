"""What the metrics cost: for each batch, and for each scrape.

    python -m benchmarks.bench_metrics [--nodes N] [--events N]

1. `Metrics.batch` and `Metrics.published` for a batch of scalars, against the time that the
   same batch takes in the graph.
2. A scrape over HTTP, and what five a second take from the rate of the graph.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable

import numpy as np

from smalldata_stream.batch import Batch, Column, Signal
from smalldata_stream.graph import Graph, build
from smalldata_stream.ledger import Ledger
from smalldata_stream.metrics import Metrics
from smalldata_stream.protocols import Declaration
from smalldata_stream.run import DetectorInfo, FieldInfo, RunInfo
from smalldata_stream.timestamps import EPOCH

ENERGY = Signal("gmd", "raw", "energy")


def graph_of(nodes: int) -> tuple[Graph, RunInfo]:
    """A graph of nodes that do next to nothing."""
    info = DetectorInfo(
        name="gmd",
        type="gmd",
        fields={("raw", "energy"): FieldInfo(dtype=np.dtype("f8"))},
        versions={"raw": (1, 0, 0)},
    )
    run = RunInfo(exp="bench", number=1, detectors={"gmd": info})

    def graph(g: Graph, run: RunInfo) -> None:
        energy = g.detector("gmd")["energy"]
        for i in range(nodes):
            g.function(np.positive, energy, name=f"gmd/copy{i}", vectorized=True)

    return build(graph, run), run


def batch_of(events: int) -> Batch:
    """Events of now, 10 us apart."""
    nanoseconds = np.arange(events, dtype=np.uint64) * np.uint64(10_000)
    second = np.uint64(int(time.time()) - EPOCH)
    return Batch(
        (second << np.uint64(32)) | nanoseconds,
        np.zeros(events, np.int32),
        {ENERGY: Column(np.ones(events))},
        {"gmd": np.zeros(events, np.uint8)},
    )


def microseconds(what: Callable[[], object], repeat: int) -> float:
    """Median time of a call."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        what()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def rate(work: Callable[[], object], url: str | None, seconds: float) -> float:
    """Calls of ``work`` per second while ``url`` is scraped five times a second."""
    stop = threading.Event()

    def scrape() -> None:
        while url is not None and not stop.wait(0.2):
            read(url)

    thread = threading.Thread(target=scrape)
    thread.start()
    calls, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        work()
        calls += 1
    calls_per_second = calls / (time.perf_counter() - started)
    stop.set()
    thread.join()
    return calls_per_second


def read(url: str) -> bytes:
    """One scrape."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        body: bytes = answer.read()
    return body


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--events", type=int, default=4096)
    options = parser.parse_args()
    g, run = graph_of(options.nodes)
    batch, ledger = batch_of(options.events), Ledger(read=options.events)
    ledger.written = options.events - 2
    ledger.filtered["laser off"] = ledger.dropped["incomplete"] = 1
    columns = batch.columns, batch.status

    def push() -> None:
        g.plan.push(Batch(batch.timestamps, batch.steps, *columns))

    in_graph = microseconds(push, 20)
    metrics = Metrics("live")
    metrics.begin(Declaration(run=run, outputs={}), g.plan)

    def whole() -> None:
        metrics.batch(batch, ledger)
        metrics.published("zmq", messages=1, nbytes=1)

    whole()
    both = microseconds(whole, 2000)

    def step() -> None:
        push()
        whole()

    print(f"{options.events} events, {options.nodes} nodes")
    print(f"  the batch in the graph            {in_graph:>10,.0f} us")
    print(f"  metrics: batch and published      {both:>10,.1f} us  {both / in_graph:.2%}")
    quiet = Metrics("batch")
    quiet.begin(Declaration(run=run, outputs={}), g.plan)
    job = microseconds(lambda: quiet.batch(batch, ledger), 2000)
    print(f"  metrics of a batch job            {job:>10,.1f} us  {job / in_graph:.2%}")
    with metrics.serve(0) as exporter:
        size = len(read(exporter.url))
        scrape = microseconds(lambda: read(exporter.url), 50)
        rates = [(rate(step, None, 1.0), rate(step, exporter.url, 1.0)) for _ in range(3)]
    print(f"  a scrape over HTTP                {scrape:>10,.0f} us  {size:,} bytes")
    lost = statistics.median(1 - scraped / alone for alone, scraped in rates)
    print(f"  five scrapes a second             {lost:>10.1%} of the rate")
    g.plan.close()


if __name__ == "__main__":
    main()
