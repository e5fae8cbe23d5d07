"""Numbers in plots against numpy, scipy and fractions: sums, errors, bins, correlation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from smalldata_stream.batch import Ragged
from smalldata_stream.reductions.plots.groups import Groups
from smalldata_stream.reductions.plots.histogram import Counts
from smalldata_stream.reductions.plots.labels import ALL, ON_OFF
from smalldata_stream.reductions.plots.line import Curves
from smalldata_stream.reductions.plots.scan import Positions
from smalldata_stream.reductions.plots.scatter import Sample
from smalldata_stream.reductions.plots.strip import TimeBins
from smalldata_stream.reductions.plots.sums import Sums, mean_and_error
from tests.plots.oracle import exact

EDGES = np.array([-3.0, -1.0, 0.0, 0.1, 2.0])


@pytest.mark.parametrize("bins", [(0.0, 0.7, 7), (-1e-3, 1e-3, 999), (1e9, 1e9 + 1, 3)])
def test_values_at_edges_go_where_numpy_puts_them(bins: tuple[float, float, int]) -> None:
    edges = np.linspace(*bins[:2], bins[2] + 1)
    near = np.concatenate(
        [edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)]
    )
    counts = Counts(edges)
    counts.add(near)
    assert counts.value()["counts"].value.tolist() == np.histogram(near, edges)[0].tolist()


def test_values_of_variable_length_are_all_counted() -> None:
    counts = Counts(np.array([0.0, 1.0, 2.0]), (), ragged=True)
    counts.add(Ragged.of([np.array([0.5, 1.5]), np.array([]), np.array([1.0])]))
    assert counts.value()["counts"].value.tolist() == [1, 2]
    assert counts.value()["counts"].count == 3
    with pytest.raises(ValueError, match="declared"):
        counts.add(np.zeros(3))


@pytest.mark.parametrize("dtype", ["f2", "g", "f4", "f8"])
def test_floats_of_any_size_are_counted(dtype: str) -> None:
    values = np.array([0.5, 1.5, 1.5, np.nan], dtype)
    state = Counts(np.array([0.0, 1.0, 2.0]))
    state.add(values)
    assert state.value()["counts"].value.tolist() == [1, 2]


def test_what_is_neither_on_nor_off_is_in_no_curve() -> None:
    by = np.array([1.0, 0.0, np.nan, 2.0])
    signal = np.array([1.0, 2.0, 100.0, 3.0])
    line = Curves(np.zeros(1), ON_OFF)
    line.add(signal[:, None], np.arange(4, dtype=np.uint64), by)
    scan = Positions(None, ON_OFF)
    scan.add(signal, np.zeros(4), by)
    for found in (line.value(), scan.value()):
        assert found["on"].value.tolist() == [2]
        assert found["off"].value.tolist() == [2]
    assert scan.value()["left_out"].value == 1


def test_a_value_whose_square_is_no_number_is_no_warning() -> None:
    huge, when = np.array([1e200, 1.0]), np.arange(2, dtype=np.uint64)
    line, strip, scan, scatter = (
        Curves(np.zeros(1), ALL),
        TimeBins(9),
        Positions(None, ALL),
        Sample(9),
    )
    line.add(huge[:, None], when)
    strip.add(huge, when)
    scan.add(huge, when.astype(float))
    scatter.add(huge, huge, when)
    assert np.isnan(line.value()["mean"].value).all()
    assert np.isnan(strip.value()["mean"].value).all()
    assert np.isnan(scan.value()["mean"].value).tolist() == [True, False]
    assert np.isnan(scatter.value()["r"].value)


def test_correlation_is_scipys_and_the_sample_is_bounded() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(5, 1e-9, 5000)
    y = x * 3 + rng.normal(0, 1e-9, 5000)
    x, y = x - 5, y - 15
    state = Sample(2000)
    state.add(y, x, np.arange(5000, dtype=np.uint64))
    totals = state.value()
    assert totals["r"].value == pytest.approx(stats.pearsonr(x, y).statistic, rel=1e-9)
    assert totals["mean"].value == pytest.approx([x.mean(), y.mean()], rel=1e-9)
    assert totals["deviation"].value == pytest.approx(
        [x.std(ddof=1), y.std(ddof=1)], rel=1e-9
    )
    assert (len(totals["x"].value), totals["x"].count) == (2000, 5000)
    # Chosen without regard to time: about as many early ones as late ones.
    early = np.isin(x[:2500], totals["x"].value).sum()
    assert 850 < early < 1150


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e9, 1e20])
def test_sums_are_right_whatever_the_unit(scale: float) -> None:
    values = np.random.default_rng(15).normal(size=200) * scale
    total = Sums(1)
    total.add_at(values, np.zeros(200, np.int64))
    rows = Sums(1)
    rows.add_rows(values[:, None])
    assert total.value()[0] == rows.value()[0] == exact(values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2.0**126])
def test_a_sum_that_got_something_impossible_is_nan_and_the_others_are_not(
    bad: float,
) -> None:
    total = Sums(2)
    total.add_at(np.array([1.0, bad, 3.0]), np.array([0, 1, 1]))
    other = Sums(2)
    other.merge(total)
    np.testing.assert_array_equal(other.value(), [1.0, np.nan])


def test_the_error_is_scipys() -> None:
    values = np.random.default_rng(16).normal(100, 1e-3, 50)
    n = np.array([50.0])
    total, squares = np.array([values.sum()]), np.array([(values**2).sum()])
    mean, error = mean_and_error(n, total, squares)
    assert mean[0] == pytest.approx(values.mean(), rel=1e-15)
    assert error[0] == pytest.approx(stats.sem(values), rel=1e-4)


def test_groups_are_not_changed_by_what_is_made_of_them() -> None:
    one = Groups.of(np.array([1, 2]), np.array([1.0, 2.0]))
    other = Groups.of(np.array([2, 3]), np.array([5.0, 7.0]))
    both = one.plus(other)
    assert both.counts.tolist() == [1, 2, 1]
    assert both.rekeyed(both.keys // 2).counts.tolist() == [1, 3]
    assert both.only(np.array([3, 9])).mean_and_error()[0].tolist() == [7.0]
    assert both.at(np.array([0, 1, 2, 3])).counts.tolist() == [0, 1, 2, 1]
    assert one.counts.tolist() == [1, 1]


def test_what_cannot_be_merged_says_so() -> None:
    pairs: list[tuple[Any, Any]] = [
        (Counts(EDGES), Counts(EDGES + 1)),
        (TimeBins(5), TimeBins(6)),
        (Sample(5), Sample(6)),
        (Curves(EDGES, ALL), Curves(EDGES, ON_OFF)),
        (Positions(None, ALL), Positions(EDGES, ALL)),
    ]
    for one, other in pairs:
        with pytest.raises(ValueError, match="cannot be merged"):
            one.merge(other)
