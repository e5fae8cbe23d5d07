"""Nodes of default detectors: columns of the data handed on, or computed from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from smalldata_stream.batch import Batch, Column, Signal
from smalldata_stream.columns import common_events, spread
from smalldata_stream.detectors.default import STEP, Part, Reading
from smalldata_stream.flow import Chosen, Node, below
from smalldata_stream.nodes import DetectorNode
from smalldata_stream.reductions.first import First
from smalldata_stream.total import TotalNode

if TYPE_CHECKING:
    from smalldata_stream.plan import Plan


STEP_KEY = str(STEP)


class DefaultNode(Node):
    """Puts out what a default detector makes of the detectors that it reads.

    ``readers`` are their nodes. With ``alias``, the damage of the one detector that is read
    is written under the name of the group, too.
    """

    def __init__(
        self,
        plan: Plan,
        readers: Sequence[DetectorNode],
        group: str,
        reading: Reading,
        *,
        alias: bool,
    ):
        super().__init__(plan, [*readers] or [plan.source], group)
        self.parts = [
            (part, [STEP_KEY if one == STEP else str(one) for one in part.inputs])
            for part in reading.parts
        ]
        self.outputs = {
            below(group, field): spec
            for part in reading.parts
            for field, spec in part.outputs.items()
        }
        # Not paths of the file: words may be chained to them, nobody writes them.
        self.inner = {
            field: (f"{group}:{field}", spec)
            for part in reading.parts
            for field, spec in part.inner.items()
        }
        for part in reading.parts:
            for signal in part.inputs:
                if signal != STEP:
                    _reader_of(readers, signal).want(signal)
        self.damage_of = ""
        if alias and len(readers) == 1 and readers[0].damage:
            self.damage_of = readers[0].damage
            self.outputs[f"damage/{group}"] = readers[0].outputs[self.damage_of]
        if len(self.outputs) - bool(self.damage_of) == 1:
            path, spec = next(iter(self.outputs.items()))
            self.value = (path, spec)

    def __getitem__(self, field: str) -> Node:
        """One of the outputs, or of what is there to chain words to."""
        if field not in self.inner:
            return super().__getitem__(field)
        self.wanted = True
        key, spec = self.inner[field]
        return Chosen(self, below(self.path, field), key, spec)

    def work(self, batch: Batch) -> None:
        """Hand on, or compute over the events that have all inputs of a part."""
        for part, keys in self.parts:
            if not part.outputs and not self.wanted:
                continue
            inputs = [_column(batch, key) for key in keys]
            if part.compute is None:
                (field,) = part.outputs
                batch.record.add(below(self.path, field), inputs[0])
            else:
                self._compute(batch, part, inputs)
        if self.damage_of and self.damage_of in batch.record:
            damage = batch.record[self.damage_of]
            batch.record.add(f"damage/{self.path}", damage)

    def _compute(self, batch: Batch, part: Part, inputs: Sequence[Column]) -> None:
        assert part.compute is not None
        events = common_events(inputs)
        values = [column.at(events) for column in inputs]
        timestamps = batch.timestamps[events]
        specs = {**part.outputs, **part.inner}
        columns = self.columns(part.compute, specs, values, timestamps)
        for field, column in columns.items():
            inner = field in part.inner
            path = self.inner[field][0] if inner else below(self.path, field)
            batch.record.add(path, spread(column, events))


class OnceNode(TotalNode):
    """Puts out one value for the run: that of the first event that has one."""

    def __init__(self, plan: Plan, inputs: Sequence[Node], path: str, first: First):
        prepared = first.prepare(*(node.key()[1] for node in inputs))
        super().__init__(plan, inputs, path, prepared)
        ((field, spec),) = prepared.outputs.items()
        self.fields, self.totals = {path: field}, {path: spec}


def _reader_of(readers: Sequence[DetectorNode], signal: Signal) -> DetectorNode:
    (found,) = (reader for reader in readers if reader.info.name == signal.detector)
    return found


def _column(batch: Batch, key: str) -> Column:
    if key == STEP_KEY:
        in_step = batch.steps >= 0
        return Column(batch.steps[in_step].astype(np.int32), in_step)
    return batch.record[key]
