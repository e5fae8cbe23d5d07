"""Plots in a graph: words, paths, labels, and every kind against numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from smalldata_stream.batch import Array
from smalldata_stream.errors import GraphError
from smalldata_stream.flow import Node
from smalldata_stream.graph import Graph, build
from smalldata_stream.ledger import Ledger
from smalldata_stream.message import Message, messages
from smalldata_stream.plan import Plan
from smalldata_stream.protocols import Window
from smalldata_stream.total import MOST_WAITING, TotalNode
from tests.graph.events import (
    CAM_THERE,
    ENERGIES,
    EVENTS,
    FRAMES,
    GMD_THERE,
    LASER,
    RUN,
    STEP,
    batches,
    whole,
)

Write = Callable[[Graph, Node, Node], object]


def plan_of(write: Write) -> Plan:
    def graph(g: Graph, run: object) -> None:
        g.light_status(xray_excluded=[162], laser_required=[90])
        g.scan()
        gmd = g.detector("gmd")
        cam = g.detector("cam", frames="raw.value", calibration="raw")
        write(g, gmd["energy"], cam)

    return build(graph, RUN).plan


def shown(write: Write, *cuts: int, live: bool = False) -> Message:
    """The only plot, after all events."""
    plan = plan_of(write)
    if live:
        plan.go_live()
    for batch in batches(*cuts):
        plan.push(batch)
    assert plan.failures == {}
    (message,) = messages(plan, RUN, workers=2, sequence=5)
    return message


SPLITS: tuple[tuple[int, ...], ...] = ((), (1, 5, 7), tuple(range(EVENTS)))
BOTH = CAM_THERE & GMD_THERE


@pytest.mark.parametrize("cuts", SPLITS)
def test_histogram(cuts: tuple[int, ...]) -> None:
    m = shown(lambda g, energy, cam: energy.plot.histogram((0, 10, 5)), *cuts)
    values = ENERGIES[GMD_THERE]
    assert m.arrays["counts"].tolist() == np.histogram(values, 5, (0, 10))[0].tolist()
    assert m.arrays["edges"].tolist() == [0, 2, 4, 6, 8, 10]
    assert int(m.arrays["above"]) == (values > 10).sum()
    assert m.topic == "plots/gmd/energy_histogram"
    assert dict(m.metadata) == {
        "kind": "histogram",
        "title": "gmd/energy",
        "x_label": "gmd/energy (mJ)",
        "y_label": "events",
        "group": "gmd",
        "exp": "tst",
        "run": 7,
        "timestamp": 111,
        "events": 10,
        "workers": 2,
        "sequence": 5,
    }


def test_histogram_of_pixels() -> None:
    m = shown(lambda g, energy, cam: cam.plot.histogram([0, 100, 1000], name="adu"))
    counts = np.histogram(FRAMES[CAM_THERE], [0, 100, 1000])[0]
    assert m.arrays["counts"].tolist() == counts.tolist()
    assert (m.topic, m.metadata["y_label"]) == ("plots/cam/adu", "values")


@pytest.mark.parametrize("cuts", SPLITS)
def test_strip(cuts: tuple[int, ...]) -> None:
    m = shown(lambda g, energy, cam: energy.plot.strip(title="Energy", group="b"), *cuts)
    # All events are within the first millisecond since 1990.
    values = ENERGIES[GMD_THERE]
    assert m.arrays["time"].tolist() == [0]
    assert m.arrays["mean"].tolist() == [values.mean()]
    assert (m.arrays["low"].item(), m.arrays["high"].item()) == (1.0, 12.0)
    assert (m.metadata["title"], m.metadata["group"]) == ("Energy", "b")
    assert m.metadata["y_label"] == "gmd/energy (mJ)"


@pytest.mark.parametrize("cuts", SPLITS)
def test_scatter(cuts: tuple[int, ...]) -> None:
    def write(g: Graph, energy: Node, cam: Node) -> None:
        cam.roi("ROI_0", None)["sum"].plot.scatter(energy)

    m = shown(write, *cuts)
    x, y = ENERGIES[BOTH], FRAMES[BOTH].sum(axis=(1, 2), dtype=float)
    assert sorted(m.arrays["x"].tolist()) == x.tolist()
    assert sorted(m.arrays["y"].tolist()) == sorted(y.tolist())
    assert m.arrays["r"] == pytest.approx(stats.pearsonr(x, y).statistic, rel=1e-12)
    assert m.metadata["x_label"] == "gmd/energy (mJ)"
    assert m.metadata["title"] == "cam/ROI_0_sum against gmd/energy"


@pytest.mark.parametrize("cuts", SPLITS)
@pytest.mark.parametrize("as_path", [True, False])
def test_line_by_laser(cuts: tuple[int, ...], as_path: bool) -> None:
    def write(g: Graph, energy: Node, cam: Node) -> None:
        projection = cam.roi("ROI_0", None).projection(axis=0)
        by: Any = "lightStatus/laser" if as_path else g.plan.find("lightStatus/laser")
        projection.plot.line(by=by)

    m = shown(write, *cuts)
    profiles = FRAMES.sum(axis=1, dtype=float)
    on, off = profiles[CAM_THERE & LASER], profiles[CAM_THERE & ~LASER]
    for name, part in (("on", on), ("off", off)):
        np.testing.assert_array_equal(m.arrays[name], part.mean(axis=0))
        error = stats.sem(part, axis=0)
        np.testing.assert_allclose(m.arrays[f"{name}_error"], error, rtol=1e-12)
        assert int(m.arrays[f"{name}_counts"]) == len(part)
    difference = on.mean(axis=0) - off.mean(axis=0)
    np.testing.assert_array_equal(m.arrays["difference"], difference)
    np.testing.assert_array_equal(m.arrays["last"], profiles[-1])
    assert m.metadata["title"] == "cam/ROI_0_pj_ax_0 by lightStatus/laser"


@pytest.mark.parametrize("cuts", SPLITS)
def test_image(cuts: tuple[int, ...]) -> None:
    m = shown(lambda g, energy, cam: cam.plot.image(), *cuts)
    mean = FRAMES[CAM_THERE].mean(axis=0)
    np.testing.assert_array_equal(m.arrays["mean"], mean.astype(np.float32))
    np.testing.assert_array_equal(m.arrays["last"], FRAMES[-1])
    assert m.arrays["extent"].tolist() == [6, 4]


@pytest.mark.parametrize("cuts", SPLITS)
def test_scan(cuts: tuple[int, ...]) -> None:
    m = shown(
        lambda g, energy, cam: energy.plot.scan("scan/lxt", by="lightStatus/laser"), *cuts
    )
    assert m.arrays["position"].tolist() == [0.0, 1.0]
    for name, light in (("on", LASER), ("off", ~LASER)):
        parts = [ENERGIES[GMD_THERE & light & (step == STEP)] for step in (0, 1)]
        assert m.arrays[name].tolist() == [part.mean() for part in parts]
        assert m.arrays[f"{name}_counts"].tolist() == [len(part) for part in parts]
        for k, part in enumerate(parts):
            want = stats.sem(part) if len(part) > 1 else np.nan
            assert m.arrays[f"{name}_error"][k] == pytest.approx(want, nan_ok=True)
    assert m.metadata["events"] == (GMD_THERE & (STEP >= 0)).sum()


def test_scan_in_bins_of_a_function() -> None:
    def write(g: Graph, energy: Node, cam: Node) -> None:
        double = g.function(lambda e: 2 * e, energy, name="gmd/double", unit="mJ")
        double.plot.scan(energy, bins=(0, 8, 2))

    m = shown(write)
    values = ENERGIES[GMD_THERE]
    parts = [values[values < 4], values[(values >= 4) & (values <= 8)]]
    assert m.arrays["position"].tolist() == [2.0, 6.0]
    assert m.arrays["mean"].tolist() == [2 * part.mean() for part in parts]
    assert int(m.arrays["left_out"]) == (values > 8).sum()


def test_live_shows_the_window_and_batch_the_run() -> None:
    def write(g: Graph, energy: Node, cam: Node) -> None:
        energy.plot.histogram((0, 20, 20), window_events=5)

    live, batch = shown(write, 3, 8, live=True), shown(write, 3, 8)
    assert (live.metadata["events"], batch.metadata["events"]) == (5, 10)
    newest = ENERGIES[GMD_THERE][-5:]
    assert live.arrays["counts"].tolist() == np.histogram(newest, 20, (0, 20))[0].tolist()


def test_live_without_a_word_about_it_has_the_window_of_its_kind() -> None:
    def windows(write: Write) -> Window | None:
        (node,) = (n for n in plan_of(write).nodes if n.totals)
        window: Window | None = node.prepared.window
        return window

    assert windows(lambda g, e, cam: e.plot.strip()) == Window(seconds=300)
    assert windows(lambda g, e, cam: cam.plot.image()) == Window(seconds=60, panes=4)
    assert windows(lambda g, e, cam: e.plot.scan("scan/lxt")) is None
    given = windows(lambda g, e, cam: e.plot.scan("scan/lxt", window_seconds=20))
    assert given == Window(seconds=20)


def test_a_failing_event_is_left_out_of_a_live_plot_too() -> None:
    plan = plan_of(lambda g, energy, cam: energy.plot.histogram((0, 20, 20)))
    plan.go_live()
    (node,) = (n for n in plan.nodes if n.totals)
    add = node.state.add

    def picky(*values: Array) -> None:
        if 4.0 in values[1]:
            raise ArithmeticError("no four")
        add(*values)

    node.state = type("Picky", (), {"add": staticmethod(picky), "value": node.state.value})
    for batch in batches(6):
        plan.push(batch)
    plan.report(ledger := Ledger())
    assert ledger.gaps == {"gmd/energy_histogram": 1}
    assert [letter.timestamp for letter in ledger.dead_letters] == [103]
    counts = node.results()["plots/gmd/energy_histogram/counts"]
    assert counts.value.tolist() == [
        int(k in ENERGIES[GMD_THERE] and k != 4) for k in range(20)
    ]


def test_a_live_plot_of_numbers_takes_many_batches_at_once() -> None:
    plan = plan_of(lambda g, energy, cam: energy.plot.histogram((0, 20, 20)))
    plan.go_live()
    (node,) = (n for n in plan.nodes if n.totals)
    assert isinstance(node, TotalNode)
    taken: list[int] = []
    add = node.state.add

    def spied(*values: Array) -> None:
        taken.append(len(values[0]))
        add(*values)

    spying: Any = type("Spied", (), {"add": staticmethod(spied), "value": node.state.value})
    node.state = spying
    for _ in range(MOST_WAITING // EVENTS):
        for batch in batches(6):
            plan.push(batch)
    here = int(GMD_THERE.sum())
    assert taken == []
    counts = node.results()["plots/gmd/energy_histogram/counts"].value
    assert taken == [MOST_WAITING // EVENTS * here]
    assert counts.sum() == taken[0]
    for _ in range(MOST_WAITING // here + 1):
        plan.push(whole())
    assert len(taken) == 2  # nobody has looked, but there is an end to what waits
    assert MOST_WAITING < taken[1] <= MOST_WAITING + here
    plan.push(whole())
    node.restart()
    assert node.results()["plots/gmd/energy_histogram/counts"].value.sum() == 0


def test_parameters_of_plots_do_not_meet() -> None:
    def write(g: Graph, energy: Node, cam: Node) -> None:
        roi = cam.roi("ROI_0", None)
        roi["sum"].plot.histogram((0, 1, 2))
        roi["mean"].plot.histogram((0, 5, 3))
        energy.plot.scatter(roi["sum"])

    config = plan_of(write).config
    assert config["cam"]["ROI_0_sum_histogram_bins"] == (0, 1, 2)
    assert config["cam"]["ROI_0_mean_histogram_bins"] == (0, 5, 3)
    assert config["gmd"]["energy_scatter_other"] == "cam/ROI_0_sum"
    assert not any("KIND" in name for name in config["cam"])


def test_a_plot_of_what_is_not_in_this_run_is_dropped() -> None:
    def write(g: Graph, energy: Node, cam: Node) -> None:
        absent = g.detector("opal", optional=True)
        absent.plot.image()
        energy.plot.scatter(absent["x"])

    plan = plan_of(write)
    assert plan.plots() == {}
    assert plan.dropped == [
        "opal: not in this run",
        "opal/image: needs opal",
        "gmd/energy_scatter: needs opal/x",
    ]


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda g, e, cam: e.plot.histogramm((0, 1, 2)), "did you mean 'histogram'"),
        (lambda g, e, cam: e.plot.histogram(bins=(0, 1, 2), titel="x"), "'title'"),
        (lambda g, e, cam: e.plot.histogram((1, 0, 2)), "low < high"),
        (lambda g, e, cam: e.plot.histogram([1, 1, 2]), "increasing edges"),
        (lambda g, e, cam: e.plot.histogram((0, 1, 0)), "low < high"),
        (lambda g, e, cam: e.plot.strip(bins=1), "number of time bins"),
        (lambda g, e, cam: e.plot.strip(bins=2.5), "number of time bins"),
        (lambda g, e, cam: e.plot.scatter(e, points=2.5), "a number such as"),
        (lambda g, e, cam: e.plot.strip(name="a/b"), "write a word"),
        (lambda g, e, cam: e.plot.strip(window_events=3, window_seconds=1), "one of them"),
        (lambda g, e, cam: cam.plot.strip(), "one number for each event"),
        (lambda g, e, cam: e.plot.scatter("gmd/energi"), "did you mean 'gmd/energy'"),
        (lambda g, e, cam: e.plot.scatter(3), "a path such as"),
        (lambda g, e, cam: e.plot.scatter(e, points=0), "a number such as"),
        (lambda g, e, cam: e.plot.scatter(cam), "one number for each event"),
        (lambda g, e, cam: e.plot.line(), "along one axis"),
        (
            lambda g, e, cam: cam.roi("R", None).projection(axis=0).plot.line(x=[1]),
            "points",
        ),
        (lambda g, e, cam: cam.plot.line(x=[2, 1]), "increase"),
        (lambda g, e, cam: cam.plot.line(x="q"), "one number for each point"),
        (lambda g, e, cam: e.plot.image(), "the input is one number"),
        (
            lambda g, e, cam: cam.roi("R", None).projection(axis=0).plot.image(),
            "write line",
        ),
        (lambda g, e, cam: e.plot.scan("scan/lxt", bins=3), "low < high"),
        (lambda g, e, cam: [e.plot.strip(), e.plot.strip()], "another name"),
    ],
)
def test_what_cannot_be_shown_is_said_before_the_first_event(
    write: Write, says: str
) -> None:
    with pytest.raises(GraphError, match=says) as error:
        plan_of(write)
    assert error.value.line is not None
