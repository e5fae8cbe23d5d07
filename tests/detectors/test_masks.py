"""Pixels that are bad by their place, pixel by pixel from the words of the page."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Mask
from smalldata_stream.detectors.cspad import CSPAD
from smalldata_stream.detectors.jungfrau import JUNGFRAU
from smalldata_stream.detectors.masks import Masking, away_from_bad, not_at_edges

SHAPE = (2, 9, 12)


def near(pattern: str, down: int, right: int, radius: int) -> bool:
    if pattern == "diamond":
        return abs(down) + abs(right) <= radius
    if pattern == "circle":
        return math.hypot(down, right) <= radius
    return max(abs(down), abs(right)) <= radius


@pytest.mark.parametrize("pattern", ["diamond", "circle", "square"])
@pytest.mark.parametrize("radius", [1, 2, 3])
def test_neighbours_of_bad_pixels(pattern: str, radius: int) -> None:
    good = np.random.default_rng(radius).random(SHAPE) > 0.03
    bad = np.argwhere(~good).tolist()
    assert bad
    want = np.ones(SHAPE, bool)
    for t, r, c in np.ndindex(SHAPE):
        for tile, row, column in bad:
            if t == tile and near(pattern, r - row, c - column, radius):
                want[t, r, c] = False
    before = good.copy()
    np.testing.assert_array_equal(away_from_bad(good, radius, pattern), want)
    np.testing.assert_array_equal(good, before)
    # One segment alone, as cameras have it.
    np.testing.assert_array_equal(away_from_bad(good[0], radius, pattern), want[0])


@pytest.mark.parametrize(("edges", "centre"), [(0, 0), (1, 0), (2, 0), (0, 1), (1, 2)])
def test_edges_and_where_asics_meet(edges: int, centre: int) -> None:
    rows, columns, asic = 9, 12, (4, 6)
    want = np.ones(SHAPE, bool)
    for r, c in np.ndindex(rows, columns):
        at_edge = min(r, c, rows - 1 - r, columns - 1 - c) < edges
        seams = [s for s in range(asic[0], rows, asic[0]) if -centre <= r - s < centre]
        seams += [s for s in range(asic[1], columns, asic[1]) if -centre <= c - s < centre]
        want[:, r, c] = not (at_edge or seams)
    np.testing.assert_array_equal(not_at_edges(SHAPE, asic, edges, centre), want)
    np.testing.assert_array_equal(not_at_edges(SHAPE[1:], asic, edges, centre), want[0])


def test_a_line_has_two_edges_alone() -> None:
    assert not_at_edges((6,), (1, 6), 1, 0).tolist() == [False, *[True] * 4, False]
    assert (
        not_at_edges((1, 6), (1, 6), 2, 0)[0].tolist()
        == [False] * 2 + [True] * 2 + [False] * 2
    )


def test_edges_do_not_spread_and_neighbours_do() -> None:
    """Beside a bad pixel of the constants, not beside an edge."""
    good: Mask = np.ones((1, 512, 1024), bool)
    good[0, 100, 200] = False
    found = Masking(edges=1, neighbours=1).applied(good, JUNGFRAU)
    inner = found[0, 1:-1, 1:-1]
    assert np.count_nonzero(~inner) == 5
    assert not found[0, [0, -1]].any()
    assert not found[0, :, [0, -1]].any()
    assert good.sum() == good.size - 1


@pytest.mark.parametrize(
    ("asked", "number"),
    [({"unbonded": True}, 1), ({"unbonded_neighbours": True}, 5), ({}, 0)],
)
def test_unbonded_pixels_of_a_cspad(asked: dict[str, Any], number: int) -> None:
    good: Mask = np.ones((2, 185, 388), bool)
    found = Masking(**asked).applied(good, CSPAD)
    bad = ~found
    unbonded: Mask = np.zeros(good.shape, bool)
    for k in range(0, 185, 10):  # of each ASIC of 194 columns, each tenth of the diagonal
        unbonded[:, k, [k, 194 + k]] = True
    if number == 1:
        np.testing.assert_array_equal(bad, unbonded)
    elif number == 5:
        want = unbonded.copy()
        for t, r, c in np.argwhere(unbonded):
            for row, column in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if 0 <= row < 185 and 0 <= column < 388:
                    want[t, row, column] = True
        np.testing.assert_array_equal(bad, want)
    else:
        assert not bad.any()
    if asked:
        with pytest.raises(ValueError, match="those of a cspad"):
            Masking(**asked).applied(np.ones((1, 512, 1024), bool), JUNGFRAU)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [({"centre": -1}, "centre=-1"), ({"edges": True}, "edges=True"),
     ({"pattern": "cross"}, "pattern='cross'")],
)  # fmt: skip
def test_wrong_parameters(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Masking(**wrong)
