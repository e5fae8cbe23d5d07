"""The time tool from its traces: the edge by hand, and against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, BatchLimits
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.timetool_raw import TimeToolRaw
from smalldata_stream.graph import Graph, build
from smalldata_stream.h5 import read_tree
from smalldata_stream.kernels.edge import filtered, find_edges, step_filter, vertex
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.simulate.timetool import EDGE_WIDTH, PS_PER_PIXEL, ROWS, ZERO_PIXEL
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.testing.detectors import Data, DetectorContract, run_of

GAP = None


def traces(edges: Sequence[float | None], depth: float = 0.4) -> list[Any]:
    x = np.arange(200.0)
    return [
        None if e is None else 1000 * (1 - depth / 2 * (1 + np.tanh((x - e) / 5)))
        for e in edges
    ]


class TestRawTraces(DetectorContract):
    """The traces alone; columns and sideband cut by hand."""

    def make(self) -> DefaultDetector:
        return TimeToolRaw("cam", rows=(1, 3), sideband=(3, 4), columns=(1, 4), fit=False)

    def data(self) -> Mapping[str, Data]:
        image = np.arange(20, dtype=np.uint16).reshape(4, 5)
        return {
            "cam": Data(
                type="opal", fields={("raw", "image"): [image, GAP]}, frame=("image",)
            )
        }

    def expected(self) -> Mapping[str, Sequence[Any]]:
        return {
            "tt_signal": [[8.5, 9.5, 10.5], GAP],
            "tt_sideband": [[16.0, 17.0, 18.0], GAP],
        }


def test_an_edge_without_noise_is_found_where_it_is() -> None:
    edges = np.array([60.0, 90.25, 99.5, 130.125])
    data = {"cam": Data(type="opal", fields={("ttproj", "proj_sig"): traces(list(edges))})}
    for sign, depth in (("down", 0.4), ("up", -0.4)):
        kind = TimeToolRaw(
            "cam",
            reference=np.full(200, 1000.0),
            edge=sign,  # type: ignore[arg-type]
            polynomial_ps=(-1.0, 0.01),
        )
        (part,) = (p for p in kind.read(run_of(data)).parts if "pos" in p.outputs)
        assert part.compute is not None
        found: Any = part.compute(np.array(traces(list(edges), depth)))
        np.testing.assert_allclose(found["pos"].values, edges, atol=0.02)
        # The mean of 20 samples after the edge minus that before: the depth, but for what
        # the edge's own width takes of it.
        np.testing.assert_allclose(found["amp"].values, 0.4, rtol=0.2)
        np.testing.assert_allclose(found["pos_ps"].values, -1 + 0.01 * edges, atol=2e-4)
        assert found["fitted"].all()


def test_the_filter_is_numpys_convolution_and_the_parabola_its_least_squares() -> None:
    random = np.random.default_rng(5)
    trace, weights = random.normal(size=60), random.normal(size=11)
    out = np.empty(50)
    filtered(trace, weights, out)
    np.testing.assert_allclose(out, np.convolve(trace, weights, "valid"), atol=1e-12)
    values = -((np.arange(21.0) - 9.3) ** 2) + random.normal(0, 0.5, 21)
    a, b, c = np.polyfit(np.arange(-4.0, 5), values[5:14], 2)
    at, height = vertex(values, 9, 4)
    np.testing.assert_allclose([at, height], [9 - b / (2 * a), c - b * b / (4 * a)])


def test_the_width_is_between_the_half_heights() -> None:
    """A step of width 0 through a box filter is a triangle: as wide as half the filter."""
    trace = np.where(np.arange(200) < 100, 1.0, 0.5)[None]
    out = np.empty((1, 3))
    find_edges(trace, step_filter(20), -1.0, 4, out)
    assert out[0, 2] == pytest.approx(20, abs=1.5)
    assert out[0, 0] == pytest.approx(99.5, abs=0.01)


@pytest.mark.parametrize("bad", [np.full(200, np.nan), np.full(200, 1.0), np.arange(200.0)])
def test_what_is_no_edge_is_a_gap(bad: Array) -> None:
    out = np.empty((1, 3))
    find_edges(bad[None], step_filter(20), -1.0, 4, out)
    assert np.isnan(out).all()


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "give reference="),
        ({"reference": np.ones(3)}, "3 columns, a trace 200"),
        ({"reference": np.ones(200), "half": 120}, "too short"),
        ({"columns": (0, 201), "fit": False}, "columns="),
        ({"rows": (0, 1), "fit": False}, "timetool_raw with rows"),
    ],
)
def test_what_does_not_fit_the_data(parameters: dict[str, Any], says: str) -> None:
    data = {"cam": Data(type="opal", fields={("ttproj", "proj_sig"): traces([60.0])})}
    with pytest.raises((ValueError, LookupError), match=says):
        TimeToolRaw("cam", **parameters).read(run_of(data))


def test_the_edge_is_found_to_a_tenth_of_its_width(tmp_path: Path) -> None:
    """Traces of the simulated camera over the mean of its shots without X-rays."""
    simulation = Simulation(events=120, detectors=("timing", "atmopal"))
    files = simulate(tmp_path, simulation)
    truth = read_tree(files.truth)
    cut: dict[str, Any] = {"rows": (ROWS.start, ROWS.stop), "sideband": (0, 20)}

    def first(g: Graph, run: RunInfo) -> None:
        light = g.light_status(xray_excluded=[162], laser_required=[90])
        raw = g.timetool_raw("atmopal", **cut, fit=False)
        g.function(
            lambda x, laser: bool(laser and not x),
            light["xray"],
            light["laser"],
            name="light/reference",
            dtype=bool,
        )
        raw["tt_signal"].sum("calib", where="light/reference", name="reference")

    def run_graph(write: Any) -> tuple[Graph, list[Any]]:
        (run,) = FilesSource.from_files(files.xtc2).runs()
        g = build(write, run.info)
        batches = []
        for batch in run.batches(list(g.plan.signals), BatchLimits()):
            g.plan.push(batch)
            batches.append(batch)
        assert not g.plan.failures
        return g, batches

    g, _ = run_graph(first)
    (total,) = g.plan.results().values()
    calibration = (-ZERO_PIXEL * PS_PER_PIXEL, PS_PER_PIXEL)

    def second(g: Graph, run: RunInfo) -> None:
        reference = total.value / total.count
        g.timetool_raw(
            "atmopal",
            **cut,
            reference=reference,
            polynomial_ps=calibration,
            min_amplitude=0.2,
        )

    _, batches = run_graph(second)
    true = truth["atmopal/edge_position"]
    found = np.full(simulation.events, np.nan)
    start = 0
    for batch in batches:
        column = batch.record["ttRaw/pos"]
        found[start : start + len(batch)][column.mask] = column.values
        ps = batch.record["ttRaw/pos_ps"].values
        np.testing.assert_allclose(ps, (column.values - 128) * 0.005, atol=1e-9)
        start += len(batch)
    edges = np.isfinite(true)
    assert edges.sum() == 54
    np.testing.assert_array_equal(np.isfinite(found), edges)
    error = found[edges] - true[edges]
    assert np.abs(error).max() < EDGE_WIDTH / 10
