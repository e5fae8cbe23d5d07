"""Histograms, bounded labels and totals that only rise, against numpy and datetime."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_stream.metrics_counts import (
    OTHER,
    Bounded,
    Histogram,
    Rising,
    RunCounts,
)
from smalldata_stream.timestamps import unix_nanoseconds, unix_seconds

PULSES = st.datetimes(datetime(1990, 1, 1), datetime(2120, 1, 1))
VALUES = st.lists(
    st.sampled_from([0.0, 0.001, 0.5, 1.0, 1.0000001, 60.0, 1e9]), max_size=30
)


@given(st.lists(VALUES, max_size=4))
def test_a_histogram_counts_up_to_each_bound(parts: list[list[float]]) -> None:
    bounds = [0.001, 1.0, 60.0]
    histogram = Histogram(bounds)
    for part in parts:
        histogram.add(np.array(part))
    values = np.array([v for part in parts for v in part])
    expected = [int((values <= bound).sum()) for bound in bounds]
    assert histogram.buckets() == list(
        zip(["0.001", "1", "60", "+Inf"], [*expected, len(values)], strict=True)
    )
    assert histogram.sum == pytest.approx(values.sum())


def test_a_copy_of_a_histogram_stays_as_it_is() -> None:
    histogram = Histogram([1])
    copy = histogram.copy()
    histogram.add(np.array([1]))
    assert copy.buckets() == [("1", 0), ("+Inf", 0)]
    assert copy.sum == 0


@given(PULSES, st.integers(0, 999))
def test_the_time_of_a_pulse(pulse: datetime, nanoseconds: int) -> None:
    since = pulse.replace(tzinfo=UTC) - datetime(1990, 1, 1, tzinfo=UTC)
    seconds = since.days * 86400 + since.seconds
    low = since.microseconds * 1000 + nanoseconds
    stamp = (seconds << 32) | low
    unix = int(pulse.replace(tzinfo=UTC, microsecond=0).timestamp())
    (found,) = unix_nanoseconds(np.array([stamp], np.uint64))
    assert int(found) == unix * 10**9 + low
    assert unix_seconds(stamp) == pytest.approx(unix + low / 1e9, abs=1e-6)


@given(st.lists(st.sampled_from("abcdef")), st.integers(0, 4))
def test_labels_are_bounded_and_keep_their_meaning(names: list[str], limit: int) -> None:
    bounded = Bounded(limit)
    told_apart = list(dict.fromkeys(names))[:limit]
    expected = [name if name in told_apart else OTHER for name in names]
    assert [bounded(name) for name in names] == expected


@given(st.lists(st.lists(st.integers(0, 9), min_size=1)))
def test_a_counter_that_begins_again_adds_up(lives: list[list[int]]) -> None:
    rising, total = Rising(), 0
    for steps in lives:
        rising.read(0)
        for reading in np.cumsum(steps).tolist():
            now = rising.read(reading)
        total += sum(steps)
        assert now == total


def test_counts_of_runs_add_up() -> None:
    one = RunCounts({("read", ""): 1}, {"a": 0.5}, {"a": 1}, {"a": 1})
    two = RunCounts({("read", ""): 2}, {"b": 0.25}, {"a": 2}, {})
    both = RunCounts({("read", ""): 3}, {"a": 0.5, "b": 0.25}, {"a": 3}, {"a": 1})
    assert one + two == both
