"""What a graph does with default detectors: hutch lists, and one by one."""

from __future__ import annotations

from collections.abc import Mapping

from smalldata_stream.default_node import DefaultNode, OnceNode
from smalldata_stream.defaults import Defaults
from smalldata_stream.detectors.default import STEP, DefaultDetector, NotInRun, Reading
from smalldata_stream.errors import GraphError
from smalldata_stream.flow import Absent, Node, below
from smalldata_stream.hutches import hutch_defaults
from smalldata_stream.nodes import DetectorNode, cheapest
from smalldata_stream.plan import TIMESTAMP, Plan
from smalldata_stream.reductions.first import First
from smalldata_stream.run import RunInfo


class WithDefaults(Defaults):
    """A graph of one run, as far as default detectors go."""

    def __init__(self, run: RunInfo):
        self.run = run
        self.plan = Plan()
        self._detectors: dict[str, DetectorNode] = {}

    def defaults(self, *chosen: str | DefaultDetector) -> Mapping[str, Node]:
        """Default detectors: a hutch's list by name, or one by one.

        What the run does not have is dropped, and said. A group that the graph has already
        is left as it is: write ``g.light_status(...)`` before the list to have other event
        codes than the hutch. Returns the nodes by their group, to chain words behind them:
        ``g.defaults("xpp")["ipm2"]["sum"]``.
        """
        kinds = [
            kind
            for one in chosen
            for kind in (hutch_defaults(one) if isinstance(one, str) else (one,))
        ]
        nodes: dict[str, Node] = {}
        lacking: dict[str, list[str]] = {}
        for kind in kinds:
            if kind.group in nodes:
                continue
            have = self._default(kind.group)
            if have is not None:
                nodes[kind.group] = have
                continue
            try:
                nodes[kind.group] = self._add(kind, kind.read(self.run), optional=True)
            except NotInRun as error:
                lacking.setdefault(kind.group, []).append(error.what)
        for group, whats in lacking.items():
            if group not in nodes:
                self.plan.dropped.append(f"{group}: {'; '.join(dict.fromkeys(whats))}")
                nodes[group] = Absent(self.plan, group)
        return nodes

    def add(self, kind: DefaultDetector) -> Node:
        """A default detector, also one that has no method of its own."""
        try:
            return self._add(kind, kind.read(self.run), optional=False)
        except NotInRun as error:
            hint = f"; {error.hint}" if error.hint else ""
            raise GraphError(
                f"{kind.group}: {error.what}{hint}. Give it to g.defaults(...) to drop it "
                "from runs that do not have it"
            ) from error

    def _default(self, group: str) -> DefaultNode | None:
        made = (n for n in self.plan.nodes if isinstance(n, DefaultNode))
        return next((node for node in made if node.path == group), None)

    def _add(self, kind: DefaultDetector, reading: Reading, *, optional: bool) -> Node:
        if reading.lacking:
            lacking = f"{kind.group}: not in this run: {', '.join(reading.lacking)}"
            if not optional:
                hint = f"; {reading.hint}" if reading.hint else ""
                raise GraphError(lacking + hint)
            self.plan.dropped.append(lacking)
        for name in reading.damage:
            node = self._reading(name)
            if not node.read:
                node.want(cheapest(node.info))
        names = dict.fromkeys(
            signal.detector
            for part in reading.parts
            for signal in part.inputs
            if signal != STEP
        )
        readers = [self._reading(name) for name in names]
        if reading.once:
            return self._once(kind.group, reading)
        alias = kind.group not in self.run.detectors
        made = DefaultNode(self.plan, readers, kind.group, reading, alias=alias)
        try:
            self.plan.claim(made)
        except GraphError as error:
            if optional:
                raise
            raise GraphError(
                f"{error.what}, or write this line above g.defaults(...), which then "
                f"leaves out its own {kind.group}"
            ) from error
        self.plan.config.setdefault(kind.group, {}).update(reading.config)
        return made

    def _once(self, group: str, reading: Reading) -> Node:
        made: Node = self.plan.source
        for part in reading.parts:
            (signal,), (field,) = part.inputs, part.outputs
            reader = self._reading(signal.detector)
            value = reader.choose(signal)
            inputs = [value, self.plan.find(TIMESTAMP)]
            made = OnceNode(self.plan, inputs, below(group, field), First())
            self.plan.claim(made)
        self.plan.config.setdefault(group, {}).update(reading.config)
        return made

    def _reading(self, name: str) -> DetectorNode:
        if name not in self._detectors:
            self._detectors[name] = DetectorNode(self.plan, self.run.detectors[name])
        return self._detectors[name]
