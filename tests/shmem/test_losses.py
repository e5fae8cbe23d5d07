"""Losses are estimated rightly where they can be known."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smalldata_stream.sources.shmem_losses import DROPPED, NOT_SENT, TWICE, Gaps, Losses


@given(
    st.lists(st.booleans(), min_size=3, max_size=200),
    st.integers(2, 10**9),
    st.integers(1, 20),
)
def test_missing_between_the_first_and_the_last(
    came: list[bool], period: int, pieces: int
) -> None:
    came = [True, True, *came, True]
    times = np.flatnonzero(came) * period
    gaps = Gaps()
    for part in np.array_split(np.diff(times), pieces):
        gaps.add(part)
    assert gaps.missing == came.count(False)
    assert gaps.period == period


@given(st.lists(st.booleans(), min_size=3, max_size=100), st.randoms())
def test_jitter_does_not_matter(came: list[bool], random: object) -> None:
    came = [True, True, *came, True]
    noise = np.random.default_rng(len(came)).integers(-50_000, 50_000, len(came))
    times = (np.arange(len(came)) * 8_333_333 + noise)[came]
    gaps = Gaps()
    gaps.add(np.diff(times))
    assert gaps.missing == came.count(False)


def test_what_was_dropped_here_is_not_counted_twice() -> None:
    losses = Losses("here")
    losses.gaps.add(np.array([10, 10, 50]))
    losses.counts[DROPPED] = 3
    losses.counts[TWICE] = 1
    found = {fault.what: fault.events for fault in losses.faults()}
    assert found == {NOT_SENT: 1, DROPPED: 3, TWICE: 0}
