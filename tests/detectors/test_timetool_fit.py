"""The fit of the time tool's traces against edges that are written down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array
from smalldata_stream.detectors.timetool_raw import TimeToolRaw
from smalldata_stream.graph import build
from smalldata_stream.testing.detectors import Data, batch_of, run_of, void

EDGES = np.array([70.0, 95.5, 130.25])
WIDTH = 200


def step(edges: Array, depth: float = 0.4) -> Array:
    """What is left of the light: 1, and 1 - depth behind the edge."""
    x = np.arange(float(WIDTH))
    behind = 0.5 * (1 + np.tanh((x - edges[:, None]) / 4))
    left: Array = 1 - depth * behind
    return left


def spectrum(n: int) -> Array:
    """Light of another height and slope in each event."""
    x = np.arange(float(WIDTH))
    heights: Array = (
        500.0 + 200 * np.arange(n)[:, None] + 3 * x * (1 + np.arange(n))[:, None]
    )
    return heights


def fitted(kind: TimeToolRaw, **fields: Array) -> dict[str, Any]:
    """What a graph of it finds in the fields of one detector."""
    given = {("raw", name): list(values) for name, values in fields.items()}
    data = {"cam": Data(type="opal", fields=given, frame=("image",))}
    g = build(lambda g, _: void(g.add(kind)), run_of(data))
    batch = batch_of(data)
    g.plan.push(batch)
    assert not g.plan.failures
    paths = [path for path in g.plan.outputs() if path.startswith("ttRaw/")]
    return {path.partition("/")[2]: batch.record[path] for path in paths}


def test_the_reference_of_the_daq_is_that_of_the_same_event() -> None:
    light = spectrum(3)
    signal = light * step(EDGES)
    found = fitted(TimeToolRaw("cam"), proj_sig=signal, proj_ref=light)
    np.testing.assert_allclose(found["pos"].values, EDGES, atol=0.05)
    assert np.asarray(found["fitted"].values).all()
    np.testing.assert_array_equal(found["tt_reference"].values, light)
    # Of another event it is not: the fit then sees the other event's slope, too.
    other = fitted(TimeToolRaw("cam"), proj_sig=signal, proj_ref=light[::-1])
    assert np.abs(other["amp"].values - found["amp"].values)[0] > 0.01


@pytest.mark.parametrize("columns", [None, (25, 185)])
def test_positions_are_counted_from_the_first_column_of_the_camera(columns: Any) -> None:
    """Whatever is cut off, and with the sideband under signal and reference."""
    light, background = spectrum(1)[0], 80.0 + 0.2 * np.arange(WIDTH)
    signal = light * step(EDGES) + background
    images = np.stack([signal, signal, np.broadcast_to(background, signal.shape)], axis=1)
    cut = slice(*columns) if columns else slice(None)
    kind = TimeToolRaw(
        "cam", rows=(0, 2), sideband=(2, 3), columns=columns,
        polynomial_ps=(1.0, -0.5, 2.0),
        reference=(light + background)[cut],
    )  # fmt: skip
    found = fitted(kind, image=images)
    np.testing.assert_allclose(found["pos"].values, EDGES, atol=0.05)
    np.testing.assert_allclose(
        found["pos_ps"].values, 1 - 0.5 * EDGES + 2 * EDGES**2, rtol=2e-3
    )
    # The background is in neither: what is left is as deep as the step, and the same as
    # of a camera without background.
    np.testing.assert_allclose(found["amp"].values, 0.4, rtol=0.15)
    dark = TimeToolRaw("cam", rows=(0, 2), columns=columns, reference=light[cut])
    without = fitted(dark, image=images - background)
    for field in ("pos", "amp", "fwhm"):
        np.testing.assert_allclose(found[field].values, without[field].values, rtol=1e-9)


def test_small_edges_dark_references_and_lost_traces_are_gaps() -> None:
    signal = np.stack(
        [*step(EDGES[:2], 0.4), *step(EDGES[:1], 0.1), np.full(WIDTH, np.nan)]
    )
    bright, dark = np.ones(WIDTH), np.zeros(WIDTH)
    kind = TimeToolRaw("cam", reference=bright, min_amplitude=0.2)
    found = fitted(kind, proj_sig=signal)
    assert found["fitted"].values.tolist() == [True, True, False, False]
    for field in ("pos", "amp", "fwhm"):
        assert found[field].mask.tolist() == [True, True, False, False]
    nothing = fitted(TimeToolRaw("cam", reference=dark), proj_sig=signal)
    assert not np.asarray(nothing["fitted"].values).any()


def test_the_width_is_that_of_the_filtered_edge() -> None:
    """A step of no width makes a triangle of the step filter: as wide as half of it."""
    sharp = np.where(np.arange(WIDTH) < 100, 1.0, 0.5)[None]
    kind = TimeToolRaw("cam", reference=np.ones(WIDTH), half=20)
    found = fitted(kind, proj_sig=sharp)
    np.testing.assert_allclose(found["fwhm"].values, 20, atol=1.5)
    np.testing.assert_allclose(found["pos"].values, 99.5, atol=0.01)


def test_a_filter_of_ones_own() -> None:
    """A filter twice as high makes the amplitude so, and leaves the place."""
    signal = step(EDGES)
    weights = np.repeat([1.0, -1.0], 15) / 15
    one, two = (
        fitted(TimeToolRaw("cam", reference=np.ones(WIDTH), weights=w), proj_sig=signal)
        for w in (weights, 2 * weights)
    )
    np.testing.assert_allclose(two["amp"].values, 2 * one["amp"].values, rtol=1e-12)
    np.testing.assert_allclose(two["pos"].values, one["pos"].values, rtol=1e-12)
    np.testing.assert_allclose(one["pos"].values, EDGES, atol=0.05)
