"""What a session does, for Prometheus: the only module that knows its client.

The numbers are plain ones, changed once per batch; the families that Prometheus knows are
made of them when it asks. A `Metrics` lives as long as the process: its counters go on
when a new run begins, and never go back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from prometheus_client import (
    CollectorRegistry,
    ProcessCollector,
    start_http_server,
    write_to_textfile,
)
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from smalldata_stream.batch import Batch
from smalldata_stream.errors import OutputError
from smalldata_stream.ledger import Ledger
from smalldata_stream.metrics_counts import Histogram
from smalldata_stream.metrics_families import Family
from smalldata_stream.metrics_session import SessionCounts

log = logging.getLogger(__name__)

LOCAL = "127.0.0.1"
"""Where metrics are served unless told otherwise: to this machine alone."""

TEXTFILE_SECONDS = 15.0
"""How often a textfile is written again while batches come."""


class Metrics(SessionCounts, Collector):
    """Counts what happens; serves it to Prometheus, or writes it for the node exporter.

    For each run: `begin`, then `batch` (and `published`, `queue`) for each batch, then
    `end`, also when the run was aborted. All from one thread; scrapes come from others.

    Examples
    --------
    >>> metrics = Metrics("batch")
    >>> with metrics.serve(0) as exporter:
    ...     exporter.url.startswith("http://127.0.0.1:")
    True
    """

    _textfile: Textfile | None = None

    def batch(self, batch: Batch, ledger: Ledger) -> None:
        """A batch has gone through the graph, and ``ledger`` has it: once per batch."""
        super().batch(batch, ledger)
        if self._textfile is not None:
            self._textfile.write_if_due()

    def end(self, ledger: Ledger) -> None:
        """The run is over, or was aborted; ``ledger`` is its last."""
        super().end(ledger)
        if self._textfile is not None:
            self._textfile.write()

    def collect(self) -> Iterator[Metric]:
        """What Prometheus' client asks for at each scrape."""
        return map(as_metric, self.families())

    def serve(self, port: int, address: str = LOCAL) -> Exporter:
        """Serve ``/metrics`` over HTTP until closed; port 0 is any free one.

        Raises
        ------
        OutputError
            If the port cannot be had.
        """
        return Exporter(self, port, address)

    def textfile(self, path: Path | str, seconds: float = TEXTFILE_SECONDS) -> None:
        """Write to ``path`` now, with batches every so many seconds, and at each end.

        The label ``file`` tells several jobs of one machine apart.

        Raises
        ------
        OutputError
            If the file cannot be written, or is none that the node exporter reads.
        """
        self._textfile = Textfile(self, Path(path), seconds)


class Exporter:
    """Metrics of this process over HTTP; with those of the process itself (memory, CPU)."""

    def __init__(self, metrics: Metrics, port: int, address: str):
        registry = CollectorRegistry()
        registry.register(metrics)
        ProcessCollector(registry=registry)
        try:
            self._server, self._thread = start_http_server(port, address, registry)
        except (OSError, OverflowError) as error:
            raise OutputError(
                f"cannot serve metrics at {address}:{port}: {error}; choose another port, "
                "or 0 for any that is free"
            ) from error
        self.address, self.port = address, self._server.server_port

    @property
    def url(self) -> str:
        """What Prometheus must be told."""
        return f"http://{self.address}:{self.port}/metrics"

    def close(self) -> None:
        """Stop serving; the counters stay."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Textfile(Collector):
    """Metrics in a file for the textfile collector of Prometheus' node exporter."""

    def __init__(self, metrics: Metrics, path: Path, seconds: float):
        if path.suffix != ".prom":
            raise OutputError(f"the node exporter reads only *.prom; not {path}")
        self._metrics, self._path, self._seconds = metrics, path, seconds
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._due = 0.0
        try:
            self._write()
        except OSError as error:
            raise OutputError(f"cannot write metrics to {path}: {error}") from error

    def collect(self) -> Iterator[Metric]:
        """All families, labelled with the name of the file."""
        label = {"file": self._path.name}
        for metric in self._metrics.collect():
            metric.samples = [s._replace(labels=label | s.labels) for s in metric.samples]
            yield metric

    def write_if_due(self) -> None:
        """Write again if the last time is long ago."""
        if time.monotonic() >= self._due:
            self.write()

    def write(self) -> None:
        """Write again; a full disk is said in the log and must not end the run."""
        try:
            self._write()
        except OSError as error:
            log.warning("cannot write metrics to %s: %s", self._path, error)

    def _write(self) -> None:
        self._due = time.monotonic() + self._seconds
        write_to_textfile(str(self._path), self._registry)


def as_metric(family: Family) -> Metric:
    """A family as Prometheus' client has it."""
    kind, name, text, labels, rows = family
    if isinstance(rows, Histogram):
        histogram = HistogramMetricFamily(name, text)
        histogram.add_metric([], rows.buckets(), rows.sum)
        return histogram
    make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    metric = make(name, text, labels=labels)
    for values, value in rows:
        metric.add_metric(values, value)
    return metric
