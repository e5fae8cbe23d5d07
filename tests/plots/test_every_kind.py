"""Every kind of plot, live and in batch: a window shows what a run of its events shows."""

from __future__ import annotations

import numpy as np
import pytest

from smalldata_stream.figures import KINDS
from smalldata_stream.flow import Node
from smalldata_stream.graph import Graph
from smalldata_stream.message import Message, messages
from smalldata_stream.plan import Plan
from tests.graph.events import EVENTS, RUN, batches, whole
from tests.plots.test_graph import SPLITS, plan_of

WINDOW = 4


def plan(window: int | None) -> Plan:
    def write(g: Graph, energy: Node, cam: Node) -> None:
        laser = "lightStatus/laser"
        ring = cam.roi("R", None)
        profile = ring.projection(axis=0)
        energy.plot.strip(window_events=window)
        energy.plot.histogram((0, 20, 4), window_events=window)
        ring["sum"].plot.scatter(energy, window_events=window)
        profile.plot.line(window_events=window)
        profile.plot.line(by=laser, name="by_laser", window_events=window)
        cam.plot.image(window_events=window)
        energy.plot.scan("scan/lxt", window_events=window)
        energy.plot.scan("scan/lxt", by=laser, name="by_laser", window_events=window)
        half = g.function(lambda e: e / 2, energy, name="gmd/half")
        half.plot.histogram((0, 10, 5), window_events=window)

    return plan_of(write)


def last_events(topic: str) -> Message:
    """The plot of a run that has the last `WINDOW` events of the plot, and no others."""
    for first in reversed(range(EVENTS)):
        batch = plan(None)
        batch.push(whole().select(np.arange(EVENTS) >= first))
        (found,) = (m for m in messages(batch, RUN) if m.topic == topic)
        if found.metadata["events"] == WINDOW:
            return found
    raise AssertionError(f"{topic}: there are not so many events")


def test_every_kind_is_here() -> None:
    assert {m.metadata["kind"] for m in messages(plan(None), RUN)} == set(KINDS)


@pytest.mark.parametrize("cuts", SPLITS)
def test_a_live_window_is_a_run_of_its_events(cuts: tuple[int, ...]) -> None:
    live = plan(WINDOW)
    live.go_live()
    for batch in batches(*cuts):
        live.push(batch)
    assert not live.failures
    for shown in messages(live, RUN):
        want = last_events(shown.topic)
        assert shown.arrays.keys() == want.arrays.keys()
        for field, array in want.arrays.items():
            np.testing.assert_array_equal(
                shown.arrays[field], array, f"{shown.topic} {field}"
            )
