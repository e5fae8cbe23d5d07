"""The metrics by name: what each one is called, says, and is labelled with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from smalldata_stream import __version__
from smalldata_stream.metrics_counts import Histogram, RunCounts
from smalldata_stream.protocols import Queue
from smalldata_stream.timestamps import unix_seconds

STAGES = ("read", "written", "filtered", "failed", "dropped")
"""Where the ledger has events: the first is the sum of the others."""

LOST = ("filtered", "failed", "dropped")

BATCH_BOUNDS = tuple(4**i for i in range(8))
"""Events in a batch."""

LATENCY_BOUNDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
"""Seconds from pulse to publish."""

Mode = Literal["live", "batch"]
Rows = Sequence[tuple[tuple[str, ...], float]]


class Family(NamedTuple):
    """A metric: its type, name, meaning, labels; and a value for each set of labels."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    text: str
    labels: tuple[str, ...]
    rows: Rows | Histogram


@dataclass(frozen=True, slots=True)
class Sent:
    """What a publisher has sent in all, and what could not be made or sent."""

    messages: int
    bytes: int
    failed: int


@dataclass(slots=True)
class State:
    """All that is counted at one moment.

    ``newest`` is the timestamp of the newest event, ``last_batch`` the time at which the
    last batch was done, in seconds since 1970; 0 before the first. ``missing`` is what the
    ledger of the run cannot account for.
    """

    mode: Mode
    graph: str = ""
    graph_sha256: str = ""
    exp: str = ""
    run: str = ""
    runs: int = 0
    in_progress: bool = False
    graph_broken: bool = False
    missing: int = 0
    newest: int = 0
    last_batch: float = 0.0
    read_bytes: int = 0
    counts: RunCounts = field(default_factory=RunCounts)
    batches: Histogram = field(default_factory=lambda: Histogram(BATCH_BOUNDS))
    latency: Histogram = field(default_factory=lambda: Histogram(LATENCY_BOUNDS))
    sent: dict[str, Sent] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    def snapshot(self) -> State:
        """The state of now, whatever is counted afterwards."""
        return replace(
            self,
            batches=self.batches.copy(),
            latency=self.latency.copy(),
            sent=dict(self.sent),
            queues=dict(self.queues),
        )

    def with_rank(self, other: State) -> State:
        """Together with what another rank of the same batch job has counted."""
        return replace(
            self,
            newest=max(self.newest, other.newest),
            last_batch=max(self.last_batch, other.last_batch),
            read_bytes=self.read_bytes + other.read_bytes,
            counts=self.counts + other.counts,
            batches=self.batches + other.batches,
        )


def families(state: State) -> Iterator[Family]:
    """All metrics, in the order in which they are shown."""
    yield from _identity(state)
    yield from _events(state)
    yield from _nodes(state.counts)
    yield from _flow(state)


def _identity(state: State) -> Iterator[Family]:
    build = (__version__, state.mode, state.graph, state.graph_sha256)
    run = [((state.exp, state.run), 1)] if state.runs else []
    yield Family(
        "gauge",
        "smalldata_build_info",
        "Version, mode, graph file and hash of its text.",
        ("version", "mode", "graph", "graph_sha256"),
        [(build, 1)],
    )
    yield Family(
        "gauge",
        "smalldata_run_info",
        "Experiment and run that is or was last worked on.",
        ("exp", "run"),
        run,
    )
    yield _counter("runs_total", "Runs begun.", state.runs)
    yield _gauge("run_in_progress", "1 from begin to end of a run.", state.in_progress)
    yield _gauge(
        "graph_broken",
        "1 while the graph file does not build; an older graph goes on if there is one.",
        state.graph_broken,
    )
    yield Family(
        "gauge",
        "smalldata_absent_info",
        "What the graph asks for and this run does not have.",
        ("what",),
        [((what,), 1) for what in dict.fromkeys(state.absent)],
    )


def _events(state: State) -> Iterator[Family]:
    stages = dict.fromkeys(STAGES, 0)
    lost: list[tuple[tuple[str, ...], float]] = []
    for (stage, reason), n in state.counts.events.items():
        stages[stage] += n
        if stage in LOST:
            lost.append(((stage, reason), n))
    yield Family(
        "counter",
        "smalldata_events_total",
        "Events by stage; read is the sum of the others where the ledger closes.",
        ("stage",),
        one_label(stages),
    )
    yield Family(
        "counter",
        "smalldata_events_lost_total",
        "Events filtered, failed and dropped, by reason.",
        ("stage", "reason"),
        lost,
    )
    yield _gauge(
        "ledger_missing_events",
        "Events read in this run that are nowhere else in the ledger.",
        state.missing,
    )
    newest = unix_seconds(state.newest) if state.newest else None
    yield _gauge("last_event_timestamp_seconds", "Time of the newest pulse.", newest)
    yield _gauge(
        "last_batch_timestamp_seconds",
        "Time at which the last batch was done.",
        state.last_batch or None,
    )


def _nodes(counts: RunCounts) -> Iterator[Family]:
    texts: dict[str, tuple[str, Mapping[str, float]]] = {
        "seconds": ("Time spent in the node.", counts.seconds),
        "events": ("Events that came through the node.", counts.passed),
        "errors": (
            "Events on which the node failed and left a gap.",
            {**dict.fromkeys(counts.passed, 0), **counts.errors},
        ),
    }
    for what, (text, values) in texts.items():
        name = f"smalldata_node_{what}_total"
        yield Family("counter", name, text, ("node",), one_label(values))


def _flow(state: State) -> Iterator[Family]:
    name = "smalldata_batch_events"
    yield Family("histogram", name, "Events in a batch.", (), state.batches)
    yield _counter("read_bytes_total", "Bytes handed to the graph.", state.read_bytes)
    if state.mode == "live":
        name, text = "smalldata_publish_latency_seconds", "Time from pulse to publish."
        yield Family("histogram", name, text, (), state.latency)
    messages = {name: sent.messages for name, sent in state.sent.items()}
    nbytes = {name: sent.bytes for name, sent in state.sent.items()}
    failed = {name: sent.failed for name, sent in state.sent.items()}
    depth = {name: queue.depth for name, queue in state.queues.items()}
    dropped = {name: queue.dropped for name, queue in state.queues.items()}
    for name, text, values in (
        ("published_messages_total", "Messages sent.", messages),
        ("published_bytes_total", "Bytes sent.", nbytes),
        ("publish_failed_total", "Messages that could not be made or sent.", failed),
    ):
        full, label = f"smalldata_{name}", ("publisher",)
        yield Family("counter", full, text, label, one_label(values))
    name, text = "smalldata_queue_depth", "What waits in the queue now."
    yield Family("gauge", name, text, ("queue",), one_label(depth))
    name, text = "smalldata_queue_dropped_total", "What the queue threw away."
    yield Family("counter", name, text, ("queue",), one_label(dropped))


def _gauge(name: str, text: str, value: float | None) -> Family:
    rows: Rows = [] if value is None else [((), float(value))]
    return Family("gauge", f"smalldata_{name}", text, (), rows)


def _counter(name: str, text: str, value: float) -> Family:
    return Family("counter", f"smalldata_{name}", text, (), [((), value)])


def one_label(values: Mapping[str, float]) -> list[tuple[tuple[str, ...], float]]:
    """Rows with one label each.

    >>> one_label({"read": 3})
    [(('read',), 3)]
    """
    return [((name,), value) for name, value in values.items()]
