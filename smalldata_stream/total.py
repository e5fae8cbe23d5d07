"""The node of what adds up over the run: a total, or a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Batch, Values, take
from smalldata_stream.columns import common_events, truth
from smalldata_stream.flow import Node
from smalldata_stream.protocols import Accumulated, Plot, Result, State
from smalldata_stream.reductions.window import Windowed

if TYPE_CHECKING:
    from smalldata_stream.plan import Plan

MOST_WAITING = 1000
"""So many events of numbers may wait to be added to a plot that nobody looks at."""


class TotalNode(Node):
    """A reduction over the run: a state that adds up, exactly, in any order.

    Live, a plot of numbers takes many batches at once, when somebody looks or
    `MOST_WAITING` events wait: a batch costs, not its events, and there are many plots.
    ``chooser`` puts out the column that ``prepared.where`` names.
    """

    def __init__(
        self,
        plan: Plan,
        inputs: Sequence[Node],
        path: str,
        prepared: Accumulated,
        chooser: Node | None = None,
    ):
        self.prepared, self._state = prepared, prepared.start()
        self.windowed = False
        self._pending: list[tuple[list[Array], NDArray[np.uint64]]] = []
        self.keys = [node.key()[0] for node in inputs]
        self.where: tuple[str, bool] | None = None
        waits = list(inputs)
        if prepared.where is not None and chooser is not None:
            self.where = (chooser.key()[0], prepared.where[1])
            waits.append(chooser)
        super().__init__(plan, waits, path)
        self.plot_path = f"plots/{path}"
        stem = f"Sums/{inputs[0].path.replace('/', '_')}_"
        self.shown: Plot | None = None
        if prepared.plot is not None:
            stem = f"{self.plot_path}/"
            self.shown = named(prepared.plot, path, [node.path for node in inputs])
        self.fields = {f"{stem}{field}": field for field in prepared.outputs}
        self.totals = {p: prepared.outputs[field] for p, field in self.fields.items()}

    @property
    def state(self) -> State:
        """What it holds of all events so far."""
        self.catch_up()
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state
        self._pending.clear()

    def go_live(self) -> None:
        """Span a sliding window from now on, where the reduction has one."""
        if self.prepared.window is not None:
            self.state = Windowed(self.prepared.start, self.prepared.window)
            self.windowed = True

    def restart(self) -> None:
        """Forget all events so far."""
        self.state = self.prepared.start()
        if self.windowed:
            self.go_live()

    def work(self, batch: Batch) -> None:
        """Add the chosen events, now or when somebody looks."""
        inputs = [batch.record[key] for key in self.keys]
        events = common_events(inputs)
        if self.where is not None:
            events = events & truth(batch.record[self.where[0]], self.where[1])
        values, timestamps = [c.at(events) for c in inputs], batch.timestamps[events]
        if not self.windowed or not all(map(_numbers, values)):
            self._add(values, timestamps)
            return
        # Copies: what waits must not keep the memory of frames that came with it.
        self._pending.append(([np.array(v) for v in values], timestamps.copy()))
        if sum(len(times) for _, times in self._pending) > MOST_WAITING:
            self.catch_up()

    def catch_up(self) -> None:
        """Add what waits; an event that fails is known only then."""
        if self._pending:
            waiting, self._pending = self._pending, []
            columns, times = zip(*waiting, strict=True)
            together = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
            self._add(together, np.concatenate(times))

    def _add(self, values: Sequence[Values], timestamps: NDArray[np.uint64]) -> None:
        if not len(timestamps):
            return
        try:
            self._state.add(*([timestamps] if self.windowed else []), *values)
        except Exception as error:  # noqa: BLE001  isolation: a node may raise anything
            if len(timestamps) == 1:
                self.plan.failed(self.path, timestamps, error)
                return
            first = np.arange(len(timestamps)) < len(timestamps) // 2
            for half in (first, ~first):
                self._add([take(v, half) for v in values], timestamps[half])

    def results(self) -> dict[str, Result]:
        """The totals so far, by path."""
        values = self.state.value()
        return {path: values[field] for path, field in self.fields.items()}


def _numbers(values: Values) -> bool:
    """Whether there is one number for each event."""
    return isinstance(values, np.ndarray) and values.ndim == 1


def named(plot: Plot, path: str, inputs: Sequence[str]) -> Plot:
    """``plot`` with the paths of its inputs in title and labels, and a group.

    >>> named(Plot(kind="strip", title="{0}", x_label="{1}"), "gmd/x", ["gmd/energy", "t"])
    Plot(kind='strip', title='gmd/energy', x_label='t', y_label='', group='gmd')
    """
    texts = {name: getattr(plot, name) for name in ("title", "x_label", "y_label")}
    for name, text in texts.items():
        for number, input_path in enumerate(inputs):
            text = text.replace(f"{{{number}}}", input_path)
        texts[name] = text
    return replace(plot, group=plot.group or path.partition("/")[0], **texts)
