"""The graph as streamz runs it: the only module that knows streamz.

Batches flow along the edges. A node reads its inputs from the batch's record by name, adds
its own columns, and passes the batch on; nothing is paired by position or by latest. A node
with several inputs waits until the batch has come along all of them, so the order in which
branches were written never changes a number.

A node that raises on a batch is tried again on smaller parts, down to single events: those
that fail get a gap and a dead letter, and the rest goes on. streamz's own nodes (``map``,
``sink`` ...) can hang below any node of ours: they receive the `Batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from streamz import Sink, Stream

from smalldata_stream.batch import Batch, Column, Values, take
from smalldata_stream.columns import as_columns, gaps, join
from smalldata_stream.errors import GraphError, did_you_mean
from smalldata_stream.protocols import Reduction, Spec
from smalldata_stream.words import Word, Words

if TYPE_CHECKING:
    from smalldata_stream.plan import Plan

Compute = Callable[..., Mapping[str, Values | Column]]

STREAMZ_WORDS = ("map", "sink", "sink_to_list", "visualize")
"""Of streamz's own many words, those that a graph file may well want."""


class Downstreams:
    """Ordered children of a node, held strongly: streamz forgets unnamed branches."""

    def __init__(self) -> None:
        self._streams: dict[Stream, None] = {}

    def add(self, stream: Stream) -> None:
        """Take ``stream``, and hold its own children strongly too."""
        if not isinstance(stream, Node):
            stream.downstreams = Downstreams()
        self._streams[stream] = None

    def discard(self, stream: Stream) -> None:
        """Let ``stream`` go."""
        self._streams.pop(stream, None)

    remove = discard

    def __iter__(self) -> Iterator[Stream]:
        return iter(tuple(self._streams))

    def __len__(self) -> int:
        return len(self._streams)


class Node(Words, Stream):  # type: ignore[misc]  # streamz is untyped
    """One word of the graph: reads the record, adds to it, passes the batch on.

    Attributes
    ----------
    path
        Where its results go: ``<detector>/<word>``.
    outputs
        What it will write for each event, by path.
    totals
        What it will write at the end of the run, by path.
    value
        Key in the record, and `Spec`, of what a chained word works on; None where there
        is nothing, or where one of several results must be chosen first.
    seconds, events
        Time spent in this node so far, and events that came through it.
    """

    _graphviz_shape = "box"

    def __init__(self, plan: Plan, inputs: Sequence[Node], path: str):
        self.plan, self.path = plan, path
        self.outputs: dict[str, Spec] = {}
        self.totals: dict[str, Spec] = {}
        self.value: tuple[str, Spec] | None = None
        self.wanted = False
        self.absent = False
        self.root = ""
        self.seconds, self.events = 0.0, 0
        self._batch: Batch | None = None
        self._waiting = 0
        super().__init__(upstreams=list(dict.fromkeys(inputs)), stream_name=path)
        self.downstreams = Downstreams()
        plan.nodes.append(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    def __getitem__(self, field: str) -> Node:
        """One of the results, to chain words behind it or to give it to a function."""
        path = below(self.path, field)
        if self.absent:
            return Absent(self.plan, path)
        if path not in self.outputs:
            if list(self.outputs) == [self.path]:
                raise GraphError(f"{self.path} is one result: write it without [{field!r}]")
            known = [p.removeprefix(self.path).strip("_/") for p in self.outputs]
            raise GraphError(f"{self.path} has no {field!r}; {did_you_mean(field, known)}")
        return Chosen(self, path, path, self.outputs[path])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "path" not in self.__dict__:
            raise AttributeError(name)
        ours = [w for w, value in vars(Words).items() if isinstance(value, Word)]
        known = did_you_mean(name, [*ours, "plot", *STREAMZ_WORDS])
        raise AttributeError(f"{self.path} has no word {name!r}; {known}")

    def reduce(self, reduction: Reduction) -> Node:
        """Chain a reduction; what it needs and what it will put out is checked here."""
        return self.plan.reduce(reduction, [self], below(self.path, reduction.name))

    def key(self) -> tuple[str, Spec]:
        """What a chained word works on; `GraphError` if there is no such thing."""
        if self.value is None:
            known = ", ".join(p.removeprefix(self.path).strip("_/") for p in self.outputs)
            hint = (
                f"choose one of its results: node[{known!r}]" if known else "it is a total"
            )
            raise GraphError(f"nothing can be chained to {self.path}; {hint}")
        self.wanted = True
        return self.value

    # ------------------------------------------------------------------------ running

    def update(
        self, x: Batch, who: Stream | None = None, metadata: Any = None
    ) -> list[Any]:
        """streamz calls this once for every edge that the batch comes along."""
        if x is not self._batch:
            self._batch, self._waiting = x, max(1, len(self.upstreams))
        self._waiting -= 1
        if self._waiting:
            return []
        self._batch = None
        started = perf_counter()
        self.work(x)
        self.seconds += perf_counter() - started
        self.events += len(x)
        return self._emit(x)

    def work(self, batch: Batch) -> None:
        """Read the record, add to the record."""

    def _emit(self, x: Batch, metadata: Any = None) -> list[Any]:
        for stream in self.downstreams:
            if isinstance(stream, Node):
                stream.update(x, who=self)
                continue
            try:
                stream.update(x, who=self, metadata=[])
            except Exception as error:  # noqa: BLE001  what a user hangs here may raise anything
                self.plan.failed(f"{self.path} > {stream}", x.timestamps, error)
        return []

    def columns(
        self,
        compute: Compute,
        specs: Mapping[str, Spec],
        values: Sequence[Values],
        timestamps: NDArray[np.uint64],
    ) -> dict[str, Column]:
        """What ``compute`` makes of some events, with gaps for those on which it raises."""
        n = len(timestamps)
        if n == 0:
            return {field: gaps(spec, 0) for field, spec in specs.items()}
        try:
            return as_columns(compute(*values), specs, n)
        except Exception as error:  # noqa: BLE001  isolation: a node may raise anything
            if n == 1:
                self.plan.failed(self.path, timestamps, error)
                return {field: gaps(spec, 1) for field, spec in specs.items()}
        first = np.arange(n) < n // 2
        halves = [
            self.columns(compute, specs, [take(v, half) for v in values], timestamps[half])
            for half in (first, ~first)
        ]
        return {field: join([half[field] for half in halves]) for field in specs}


class Absent(Node):
    """Stands for a detector that this run does not have, and for all chained to it."""

    def __init__(self, plan: Plan, path: str):
        super().__init__(plan, [], path)
        self.absent = True


class Chosen(Node):
    """One of the results of another node."""

    def __init__(self, parent: Node, path: str, key: str, spec: Spec):
        super().__init__(parent.plan, [parent], path)
        self.value, self.root = (key, spec), parent.root


def below(path: str, name: str) -> str:
    """The path of ``name`` under ``path``: a detector is a group, the rest is one name.

    >>> below("cam", "ROI_0"), below("cam/ROI_0", "sum")
    ('cam/ROI_0', 'cam/ROI_0_sum')
    """
    return f"{path}_{name}" if "/" in path else f"{path}/{name}"


def foreign_streams(nodes: Collection[Node]) -> list[Stream]:
    """Every streamz node that hangs below ours."""
    found: list[Stream] = []
    todo = [s for node in nodes for s in node.downstreams if not isinstance(s, Node)]
    while todo:
        stream = todo.pop()
        found.append(stream)
        if not isinstance(stream, Sink):
            todo += list(stream.downstreams)
    return found
