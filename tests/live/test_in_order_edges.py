"""Rows of several workers that come twice, one later than the other, and far timestamps."""

from __future__ import annotations

import numpy as np

from smalldata_stream.batch import Column
from tests.live.test_workers import order, put, taken


def test_the_second_of_two_is_twice_also_when_the_first_was_handed_on() -> None:
    rows = order()
    put(rows, "a", 10, 20)
    assert taken(rows) == [10, 20]
    put(rows, "b", 20, 30)
    assert taken(rows) == [30]
    assert (rows.twice, rows.late) == (1, 0)


def test_timestamps_use_all_their_bits() -> None:
    """The highest bit is that of 2^31 seconds."""
    rows = order()
    times = np.array([2**63 - 1, 2**63, 2**64 - 1], np.uint64)
    for some in (times[:2], times[2:]):
        rows.put("a", some, some * 0, some, {"x": Column(np.arange(len(some)))})
        ((handed_on, _),) = rows.ready(())
        assert handed_on.tolist() == some.tolist()
    assert (rows.twice, rows.late) == (0, 0)
