"""What goes into a message: images made smaller, tiles in a grid."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from smalldata_stream.message import MOST_PIXELS, averaged, in_grid, plot_messages, smaller
from smalldata_stream.protocols import Plot, Result
from smalldata_stream.run import RunInfo

RUN = RunInfo(exp="tst", number=3, detectors={})


@pytest.mark.parametrize("shape", [(8, 12), (7, 11), (1, 9)])
@pytest.mark.parametrize("step", [1, 2, 5])
def test_averages_of_squares(shape: tuple[int, int], step: int) -> None:
    image = np.random.default_rng(1).normal(size=shape)
    image[0, :3] = np.nan
    small = averaged(image, step)
    for r, c in np.ndindex(small.shape):
        block = image[r * step : (r + 1) * step, c * step : (c + 1) * step]
        good = block[~np.isnan(block)]
        want = good.mean() if len(good) else np.nan
        assert small[r, c] == pytest.approx(want, rel=1e-6, nan_ok=True)
    assert small.dtype == np.float32


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4", "f8"])
def test_no_image_is_larger_than_it_should(dtype: str) -> None:
    image = np.arange(1200 * 700).reshape(1200, 700).astype(dtype)
    small = smaller({"mean": image, "last": image})
    assert small["mean"].shape == (400, 234)
    assert max(small["mean"].shape) <= MOST_PIXELS
    assert small["extent"].tolist() == [700, 1200]
    assert small["last"][0, 0] == pytest.approx(image[:3, :3].mean(dtype=float))


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((0, 5), (0, 5)), ((0, 0), (0, 0)), ((0, 4, 4), (0, 4)), ((3, 4, 0), (12, 0))],
)
def test_an_image_without_pixels_stays_one(
    shape: tuple[int, ...], grid: tuple[int, int]
) -> None:
    small = smaller({"mean": np.zeros(shape)})
    assert small["mean"].shape == grid
    assert small["extent"].tolist() == [*reversed(grid)]


def test_tiles_are_side_by_side() -> None:
    tiles = np.arange(3 * 2 * 4.0).reshape(3, 2, 4)
    grid: Any = in_grid(tiles)
    assert grid.shape == (6, 4)
    np.testing.assert_array_equal(grid, tiles.reshape(6, 4))
    square: Any = in_grid(np.arange(3 * 4).reshape(3, 2, 2))
    assert square.tolist()[:2] == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert square.tolist()[2][:2] == [8, 9]
    assert np.isnan(square[2:, 2:]).all()
    assert in_grid(np.zeros((8, 512, 1024), "f4")).shape == (2048, 2048)


def test_metadata_are_plain_and_other_totals_are_left_out() -> None:
    plots = {
        "plots/gmd/x": Plot(kind="strip", title="X", group="beam"),
        "plots/gmd/x_y": Plot(kind="strip", title="never"),
    }
    totals = {
        "plots/gmd/x/mean": Result(np.arange(2.0), 7),
        "Sums/gmd_x": Result(np.zeros(3), 9),
    }
    (message,) = plot_messages(plots, totals, RUN, 2**63 + 1, sequence=4)
    assert list(message.arrays) == ["mean"]
    metadata = json.loads(json.dumps(message.metadata))
    assert metadata["timestamp"] == 2**63 + 1
    assert (metadata["events"], metadata["sequence"], metadata["exp"]) == (7, 4, "tst")
