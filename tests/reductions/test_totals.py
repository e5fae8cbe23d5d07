"""Totals of the run in a graph: as declared, of the events asked for, in any batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array
from smalldata_stream.graph import Graph, build
from smalldata_stream.protocols import Result
from smalldata_stream.run import RunInfo
from smalldata_stream.testing.reductions import same_bits
from tests.graph.events import CAM_THERE, ENERGIES, FRAMES, GMD_THERE, RUN, batches

CHOSEN = CAM_THERE & GMD_THERE & (ENERGIES > 6)


def totals(*cuts: int, where: str | None = "gmd/late") -> tuple[Graph, dict[str, Result]]:
    def write(g: Graph, run: RunInfo) -> None:
        g.detector("gmd")
        g.function(lambda e: bool(e > 6), "gmd/energy", name="gmd/late", dtype=bool)
        cam = g.detector("cam", calibration="raw")
        more: dict[str, Any] = {"where": where}
        cam.sum("calib", **more)
        cam.sum("calib_max", **more)
        cam.speckle_size(lags=(3, 2), **more)
        cam.center(rings=2, percentile=20, radius_range=(0.5, 5), **more)
        cam.photons(adu_per_photon=100).contrast(kbar_bins=(0, 3, 99), **more)

    g = build(write, RUN)
    for batch in batches(*cuts):
        g.plan.push(batch)
    assert not g.plan.failures
    return g, g.plan.results()


@pytest.mark.parametrize("cuts", [(), (5,), tuple(range(12))])
def test_they_are_as_declared_and_of_the_events_asked_for(cuts: tuple[int, ...]) -> None:
    g, found = totals(*cuts)
    declared = g.plan.totals()
    assert set(found) == set(declared)
    _, whole = totals()
    for path, result in found.items():
        spec = declared[path]
        got = np.asarray(result.value)
        assert (got.dtype, got.shape) == (spec.dtype, spec.shape), path
        assert result.count == np.count_nonzero(CHOSEN), path
        assert same_bits(got, np.asarray(whole[path].value)), path
    np.testing.assert_array_equal(found["Sums/cam_calib"].value, FRAMES[CHOSEN].sum(axis=0))
    np.testing.assert_array_equal(
        found["Sums/cam_calib_max"].value, FRAMES[CHOSEN].max(axis=0)
    )


def test_without_where_every_event_that_has_a_frame_counts() -> None:
    _, found = totals(where=None)
    assert {result.count for result in found.values()} == {np.count_nonzero(CAM_THERE)}


def test_the_speckle_of_the_events_asked_for_alone() -> None:
    """From the definition: the sum over pairs of pixels, under the mean of the frames."""
    _, found = totals()
    frames: Array = FRAMES[CHOSEN].astype(float)
    mean = frames.mean(axis=0)
    want = np.full((6, 4), np.nan)
    rows, columns = mean.shape
    for i, down in enumerate(range(-3, 3)):
        for j, right in enumerate(range(-2, 2)):
            here = (slice(max(0, -down), rows - max(0, down)),
                    slice(max(0, -right), columns - max(0, right)))  # fmt: skip
            there = (slice(max(0, down), rows - max(0, -down)),
                     slice(max(0, right), columns - max(0, -right)))  # fmt: skip
            pairs = (frames[:, *here] * frames[:, *there]).mean()
            want[i, j] = pairs / (mean[here].mean() * mean[there].mean())
    np.testing.assert_allclose(found["Sums/cam_speckle_autocorr"].value, want, rtol=1e-9)
