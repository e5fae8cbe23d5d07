"""Values of every dtype: each is shown, or what to write instead is said at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from smalldata_stream.errors import GraphError
from smalldata_stream.flow import Node
from smalldata_stream.graph import Graph
from smalldata_stream.message import Message, messages
from tests.graph.events import EVENTS, RUN, batches
from tests.plots.test_graph import plan_of

NUMBERS = ("?", "i1", "u1", "i2", "u8", "f2", "f4", "g", ">f4")
EDGES = np.linspace(0, 20, 5)


def odd(g: Graph, energy: Node, dtype: Any, shape: tuple[int, ...] = ()) -> Node:
    def cast(e: float) -> Any:
        return np.full(shape, e).astype(dtype)

    return g.function(cast, energy, name="gmd/odd", dtype=np.dtype(dtype), shape=shape)


def shown(write: Callable[[Graph, Node], object]) -> tuple[Message, np.ndarray]:
    """The plot, and the energies of all events that are in it."""
    plan = plan_of(lambda g, energy, cam: write(g, energy))
    energies = []
    for batch in batches(5):
        plan.push(batch)
        energies.append(np.asarray(batch.record["gmd/energy"].values))
    assert not plan.failures
    (message,) = messages(plan, RUN)
    return message, np.concatenate(energies)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_histogram_and_curves(dtype: str) -> None:
    message, energy = shown(lambda g, e: odd(g, e, dtype).plot.histogram(list(EDGES)))
    want = np.histogram(energy.astype(dtype).astype(np.float64), EDGES)[0]
    assert message.arrays["counts"].tolist() == want.tolist()
    message, energy = shown(lambda g, e: odd(g, e, dtype, (3,)).plot.line())
    want = energy.astype(dtype).astype(np.float64).mean()
    assert message.arrays["mean"] == pytest.approx([want] * 3, rel=1e-12)
    message, energy = shown(lambda g, e: e.plot.scan("scan/lxt", by=odd(g, e, dtype)))
    on = np.count_nonzero(energy.astype(dtype))
    assert message.arrays["on_counts"].sum() <= on < EVENTS


@pytest.mark.parametrize("dtype", [np.dtypes.StringDType(), "f8"])
def test_what_tells_events_apart_is_one_number(dtype: Any) -> None:
    shape = (2,) if dtype == "f8" else ()
    for plot in ("line", "scan"):

        def write(g: Graph, energy: Node, cam: Node, plot: str = plot) -> object:
            by = g.function(lambda e: e, energy, name="gmd/by", dtype=dtype, shape=shape)
            if plot == "scan":
                return energy.plot.scan("scan/lxt", by=by)
            return cam.roi("R", None).projection(axis=0).plot.line(by=by)

        with pytest.raises(GraphError, match="by= tells the events apart by one number"):
            plan_of(write)
