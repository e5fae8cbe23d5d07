"""All nodes of one graph for one run: building it, running it, and what happened."""

from __future__ import annotations

import inspect
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Batch, Column, Signal
from smalldata_stream.errors import GraphError, did_you_mean
from smalldata_stream.flow import Absent, Chosen, Node, foreign_streams
from smalldata_stream.lead_in import Before
from smalldata_stream.ledger import DeadLetter, Ledger
from smalldata_stream.located import place
from smalldata_stream.nodes import DetectorNode, PerEventNode
from smalldata_stream.protocols import (
    Afterwards,
    PerEvent,
    Plot,
    Reduction,
    Result,
    Spec,
    State,
)
from smalldata_stream.total import TotalNode

LETTERS_PER_NODE = 20
"""Failures of one node that are kept in full; all are counted."""

TIMESTAMP = "timestamp"
"""Path under which a node may ask for the timestamps of the events."""


class Plan:
    """All nodes of one graph for one run, and what happened in them.

    ``signals`` is what the source must read; ``config`` what goes to ``/UserDataCfg``;
    ``keeps`` the (path, why) of the columns that decide which events are written;
    ``afterwards`` is looked up when the run has ended;
    ``dropped`` says what the graph asked for and this run does not have; ``newest`` is the
    timestamp of the newest event so far; ``unknown`` counts gaps that are no failure, since
    somebody has last taken that count.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.signals: dict[Signal, None] = {}
        self.config: dict[str, dict[str, Any]] = {}
        self.keeps: list[tuple[str, str]] = []
        self.dropped: list[str] = []
        self.afterwards: list[Afterwards] = []
        self.newest = 0
        self.failures: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.letters: list[DeadLetter] = []
        self.source = Node(self, [], "events")

    # ----------------------------------------------------------------------- building

    def find(self, path: str) -> Node:
        """The node that puts out ``path``, ready to be chained to."""
        if path == TIMESTAMP:
            self.source.wanted = True
            return Chosen(self.source, path, path, Spec(dtype=np.dtype(np.uint64)))
        for node in self.nodes:
            if path in node.outputs:
                return Chosen(node, path, path, node.outputs[path])
        for node in self.nodes:
            if node.absent and path.startswith(f"{node.path}/"):
                return Absent(self, path)
        known = did_you_mean(path, self.outputs())
        raise GraphError(f"nothing before this line puts out {path!r}; {known}")

    def reduce(self, reduction: Reduction, inputs: Sequence[Node], path: str) -> Node:
        """Make the node of a reduction of ``inputs``, and of the others it names."""
        others = getattr(reduction, "others", ())
        takes = getattr(reduction, "takes", ())
        if takes and not any(node.absent for node in inputs):
            inputs = _taken(inputs, reduction, takes)
        inputs = [*inputs, *(o if isinstance(o, Node) else self.find(o) for o in others)]
        absent = [node.path for node in inputs if node.absent]
        if absent:
            self.dropped.append(f"{path}: needs {', '.join(absent)}")
            return Absent(self, path)
        prepared = reduction.prepare(*(node.key()[1] for node in inputs))
        node: PerEventNode | TotalNode
        if isinstance(prepared, PerEvent):
            node = PerEventNode(self, inputs, path, prepared)
        else:
            chooser = None if prepared.where is None else self.find(prepared.where[0])
            if chooser is not None and chooser.absent:
                self.dropped.append(f"{path}: needs {chooser.path}")
                return Absent(self, path)
            node = TotalNode(self, inputs, path, prepared, chooser)
        self.claim(node)
        node.root = inputs[0].root or reduction.name
        self._configure(node, {**parameters(reduction), **prepared.config}, reduction.name)
        return node

    def _configure(self, node: Node, values: Mapping[str, Any], name: str) -> None:
        """Note parameters as smallData does: ``<first word>__<word>_<parameter>``."""
        group, _, word = node.path.partition("/")
        config = self.config.setdefault(group, {})
        for parameter, value in values.items():
            known_as = SMALLDATA_NAMES.get(parameter, parameter)
            # Plots of one kind may stand behind several results of one word.
            is_plot = isinstance(node, TotalNode) and node.shown is not None
            first = word if is_plot else f"{node.root}__{name}"
            config[f"{first}_{known_as}" if word else known_as] = value

    def claim(self, node: Node) -> None:
        """Make sure that no two nodes write the same; `GraphError` names the path."""
        for other in self.nodes:
            if other is not node:
                for path in (*node.outputs, *node.totals):
                    if path in other.outputs or path in other.totals:
                        raise GraphError(
                            f"{path} is written twice; give one of the two another name"
                        )

    def outputs(self) -> dict[str, Spec]:
        """Everything written for each event, by path."""
        return {path: spec for node in self.nodes for path, spec in node.outputs.items()}

    def plots(self) -> dict[str, Plot]:
        """How the totals are shown, by the path above them."""
        return {
            node.plot_path: node.shown
            for node in self.nodes
            if isinstance(node, TotalNode) and node.shown is not None
        }

    def totals(self) -> dict[str, Spec]:
        """Everything written at the end of the run, by path."""
        totals = {path: spec for node in self.nodes for path, spec in node.totals.items()}
        for later in self.afterwards:
            totals |= later.outputs
        return totals

    # ------------------------------------------------------------------------ running

    def go_live(self) -> None:
        """Have plots span their window instead of the run; before the first event."""
        for node in self.nodes:
            if isinstance(node, TotalNode):
                node.go_live()

    def restart_plots(self, topics: Collection[str]) -> None:
        """Have these plots forget all events so far, or all plots where none is named."""
        for node in self.nodes:
            plot = isinstance(node, TotalNode) and node.shown is not None
            if plot and (not topics or node.plot_path in topics):
                node.restart()

    def take_states(self) -> dict[str, State]:
        """The totals of what came since the last call, by node; they begin anew."""
        found: dict[str, State] = {}
        for node in self.nodes:
            if isinstance(node, TotalNode):
                found[node.path] = node.state
                node.restart()
        return found

    def merge_states(self, states: Mapping[str, Any]) -> None:
        """Add what another plan of the same graph has taken."""
        for node in self.nodes:
            if isinstance(node, TotalNode) and node.path in states:
                node.state.merge(states[node.path])

    def push(self, batch: Batch) -> None:
        """Send a batch through the graph; its record is complete when this returns."""
        if len(batch):
            self.newest = max(self.newest, int(batch.timestamps[-1]))
        if self.source.wanted:
            batch.record.add(TIMESTAMP, Column(batch.timestamps))
        self.source.update(batch)

    @property
    def before_ms(self) -> float:
        """Events up to so long before another are needed for it; 0 where none is."""
        return max((one.most_ms for one in self._befores()), default=0.0)

    def remember(self, batch: Batch) -> None:
        """Take a lead-in: see `smalldata_stream.lead_in`."""
        for one in self._befores():
            one.take(batch)

    def _befores(self) -> list[Before]:
        detectors = (node for node in self.nodes if isinstance(node, DetectorNode))
        return [node.before for node in detectors if node.before is not None]

    def failed(self, node: str, timestamps: NDArray[np.uint64], error: Exception) -> None:
        """Count failed events of a node; keep the first of them as dead letters."""
        self.failures[node] += len(timestamps)
        if sum(letter.node == node for letter in self.letters) < LETTERS_PER_NODE:
            text = "".join(traceback.format_exception(error))
            what = f"{type(error).__name__}: {error}{place(error)}"
            self.letters.append(DeadLetter(int(timestamps[0]), node, what, text))

    def results(self) -> dict[str, Result]:
        """The totals of the run so far, by path."""
        found: dict[str, Result] = {}
        for node in self.nodes:
            if isinstance(node, TotalNode):
                found |= node.results()
        return found

    def look_up(self, first: int) -> dict[str, Result]:
        """What is looked up elsewhere for a run that began at ``first`` and has ended."""
        found: dict[str, Result] = {}
        for later in self.afterwards:
            found |= later.look_up(first, max(first, self.newest))
        return found

    def states(self) -> list[State]:
        """What adds up over the run, as it is now, in the order of the graph."""
        return [node.state for node in self.nodes if isinstance(node, TotalNode)]

    def put_states(self, states: Sequence[State]) -> None:
        """Go on with ``states`` instead, as another plan of the same graph gave them."""
        totals = [node for node in self.nodes if isinstance(node, TotalNode)]
        for node, state in zip(totals, states, strict=True):
            node.state = state

    def results_of(self, plot: str) -> dict[str, Result]:
        """The totals of one plot, by path."""
        for node in self.nodes:
            if isinstance(node, TotalNode) and node.plot_path == plot:
                return node.results()
        raise KeyError(plot)

    def report(self, ledger: Ledger) -> None:
        """Put the failures of the nodes into the ledger."""
        for node in self.nodes:
            if isinstance(node, TotalNode):
                node.catch_up()
        ledger.gaps = Counter(self.failures)
        ledger.dead_letters = list(self.letters)

    def close(self) -> None:
        """Let go of everything; streamz keeps every sink alive until it is destroyed."""
        for stream in foreign_streams(self.nodes):
            stream.destroy()


def _taken(
    inputs: Sequence[Node], reduction: Reduction, takes: Sequence[str]
) -> list[Node]:
    """The fields that a reduction takes of the node that it is chained to."""
    try:
        return [node[field] for node in inputs for field in takes]
    except GraphError as error:
        behind = " or ".join(getattr(reduction, "behind", ("another word",)))
        raise GraphError(
            f"{reduction.name} cannot be chained to {inputs[0].path}: write it behind "
            f"{behind}, of which it takes {', '.join(takes)}"
        ) from error


SMALLDATA_NAMES = {"bounds": "bound", "threshold_adu": "thresADU"}
"""Parameters that have another name in smallData files."""


def parameters(reduction: Reduction) -> dict[str, Any]:
    """The parameters of a reduction, a frozen dataclass, by name."""
    given: Any = reduction  # a protocol: mypy would not have it that it is a dataclass
    names = [f.name for f in fields(given)] if is_dataclass(given) else []
    values = {name: getattr(reduction, name) for name in names if name != "name"}
    return {
        name: v.path if isinstance(v, Node) else source_text(v) if callable(v) else v
        for name, v in values.items()
    }


def source_text(function: Callable[..., Any]) -> str:
    """The text of a function, or its name where there is no text.

    >>> source_text(abs)
    'abs'
    """
    try:
        return inspect.getsource(function).strip()
    except (OSError, TypeError):
        return getattr(function, "__name__", type(function).__name__)
