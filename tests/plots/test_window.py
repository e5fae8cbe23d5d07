"""Sliding windows: the last events, the last seconds, late events, and memory."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smalldata_stream.protocols import Window
from smalldata_stream.reductions.state import ExactSum
from smalldata_stream.reductions.window import Windowed

ONE = partial(ExactSum, "sum", (), np.dtype(np.int64))


def stamp(seconds: NDArray[np.float64] | list[float]) -> NDArray[np.uint64]:
    whole, part = np.divmod(np.asarray(seconds, np.float64), 1.0)
    return (whole.astype(np.uint64) << np.uint64(32)) + (part * 1e9).astype(np.uint64)


def total(window: Windowed) -> tuple[float, int]:
    result = window.value()["sum"]
    return float(result.value), result.count


@settings(max_examples=60, deadline=None)
@given(
    events=st.integers(1, 60),
    cuts=st.lists(st.integers(0, 300), max_size=12),
    panes=st.integers(2, 12),
)
def test_the_last_events_whatever_the_batches(
    events: int, cuts: list[int], panes: int
) -> None:
    values = np.random.default_rng(events).integers(0, 1000, 300)
    window = Windowed(ONE, Window(events=events, panes=panes))
    ends = sorted({*cuts, 300})
    for first, last in zip([0, *ends], ends, strict=False):
        window.add(np.arange(first, last, dtype=np.uint64) + 9, values[first:last])
        got, count = total(window)
        size = -(-events // panes)
        assert min(last, events - size + 1) <= count <= events
        assert got == values[last - count : last].sum()
        assert len(window.panes) <= panes + 1
    assert window.expired == 0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_the_last_seconds_in_any_order_within_a_batch(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    seconds = 1000 + np.cumsum(rng.exponential(0.1, 200))
    values = rng.integers(0, 1000, 200)
    window = Windowed(ONE, Window(seconds=5.0, panes=5))
    ends = sorted({*cuts, 200})
    for first, last in zip([0, *ends], ends, strict=False):
        order = first + rng.permutation(last - first)
        window.add(stamp(seconds[order]), values[order])
    inside = np.floor(seconds) > np.floor(seconds[-1]) - 5  # panes of one second
    assert total(window) == (values[inside].sum(), inside.sum())
    assert len(window.panes) <= 5


def test_a_late_event_goes_to_its_pane_and_one_too_late_is_counted() -> None:
    window = Windowed(ONE, Window(seconds=10, panes=5))
    window.add(stamp([100.0, 103.0, 109.0]), np.array([1, 2, 4]))
    window.add(stamp([104.5]), np.array([8]))
    assert total(window) == (15, 4)
    window.add(stamp([110.0]), np.array([16]))  # what began before 102 is gone
    assert total(window) == (30, 4)
    window.add(stamp([101.9]), np.array([32]))
    assert total(window) == (30, 4)
    assert window.expired == 1


def test_late_events_with_a_window_of_events() -> None:
    window = Windowed(ONE, Window(events=4, panes=2))
    window.add(np.array([10, 20, 30, 40], np.uint64), np.array([1, 2, 4, 8]))
    window.add(np.array([50], np.uint64), np.array([16]))
    assert total(window) == (28, 3)
    window.add(np.array([35], np.uint64), np.array([32]))  # beside 30 and 40
    assert total(window) == (60, 4)
    window.add(np.array([15], np.uint64), np.array([64]))
    assert (total(window), window.expired) == ((60, 4), 1)


def test_windows_of_several_workers_are_one() -> None:
    rng = np.random.default_rng(4)
    seconds = np.sort(rng.uniform(1000, 1030, 300))
    values = rng.integers(0, 1000, 300)
    whole = Windowed(ONE, Window(seconds=5, panes=5))
    whole.add(stamp(seconds), values)
    parts = [Windowed(ONE, Window(seconds=5, panes=5)) for _ in range(3)]
    for k, part in enumerate(parts):
        part.add(stamp(seconds[k::3]), values[k::3])
    for other in parts[1:]:
        before = total(other)
        parts[0].merge(pickle.loads(pickle.dumps(other)))
        assert total(other) == before
    assert total(parts[0]) == total(whole)


def test_the_last_events_of_several_workers() -> None:
    parts = [Windowed(ONE, Window(events=10, panes=5)) for _ in range(2)]
    for k, part in enumerate(parts):
        times = np.arange(k, 100, 2, dtype=np.uint64)
        part.add(times, times.astype(np.int64))
    parts[0].merge(parts[1])
    value, count = total(parts[0])
    assert 7 <= count <= 10
    assert value / count > 89  # they are the newest


def test_nothing_changes_when_an_event_cannot_be_added() -> None:
    window = Windowed(ONE, Window(seconds=5, panes=5))
    window.add(stamp([100.0]), np.array([1]))
    with pytest.raises(ValueError, match="declared"):
        window.add(stamp([101.0, 103.0]), np.zeros((2, 2), np.int64))
    with pytest.raises(ValueError, match="declared"):
        window.add(stamp([900.0]), np.zeros((1, 2), np.int64))
    window.add(stamp([101.0]), np.array([2]))
    assert total(window) == (3, 2)


def test_before_the_first_event() -> None:
    window = Windowed(ONE, Window(events=5))
    assert total(window) == (0, 0)
    window.add(stamp([]), np.empty(0, np.int64))
    assert total(window) == (0, 0)


def test_windows_that_make_no_sense() -> None:
    for wrong in ({}, {"events": 5, "seconds": 1.0}, {"seconds": 0.0}, {"events": -1}):
        with pytest.raises(ValueError, match="window spans"):
            Window(**wrong)
    with pytest.raises(ValueError, match="two panes"):
        Window(events=5, panes=1)
    with pytest.raises(ValueError, match="no part of"):
        Windowed(ONE, Window(events=5)).merge(Windowed(ONE, Window(events=6)))


def test_full_panes_are_added_up_once_until_one_of_them_changes() -> None:
    merged: list[int] = []

    class Spied(ExactSum):
        __slots__ = ()

        def merge(self, other: Self) -> None:
            merged.append(other.count)
            super().merge(other)

    start = partial(Spied, "sum", (), np.dtype(np.int64))
    window = Windowed(start, Window(seconds=40, panes=4))
    for second in (5.0, 15.0, 25.0, 35.0):
        window.add(stamp([second]), np.array([int(second)]))
    assert total(window) == (80, 4)
    merged.clear()
    window.add(stamp([36.0]), np.array([36]))
    assert total(window) == (116, 5)
    assert merged == [3, 2]  # what was there already, and the newest pane
    window.add(stamp([16.0]), np.array([16]))
    assert total(window) == (132, 6)
    window.add(stamp([45.0]), np.array([45]))
    assert total(window) == (172, 6)
    other = Windowed(start, Window(seconds=40, panes=4))
    other.add(stamp([17.0, 44.0]), np.array([17, 44]))
    window.merge(other)
    assert total(window) == (233, 8)
