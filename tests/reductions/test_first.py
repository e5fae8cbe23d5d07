"""The first value of a run, whatever the order of its events and of its parts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_stream.batch import STRING, Ragged
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.first import First, FirstValue

TIMES = np.arange(100, 106, dtype=np.uint64)
WORDS = np.array(["a", "b µ", "", "c", "d", "e"], STRING)


def state() -> FirstValue:
    return FirstValue("first", (), np.dtype(STRING))


@given(order=st.permutations(range(6)), cut=st.integers(0, 6), turned=st.booleans())
def test_any_split_order_and_merge(order: list[int], cut: int, turned: bool) -> None:
    parts = []
    for events in (order[:cut], order[cut:]):
        one = state()
        one.add(WORDS[events], TIMES[events])
        parts.append(pickle.loads(pickle.dumps(one)))
    first, other = parts[::-1] if turned else parts
    first.merge(other)
    result = first.value()["first"]
    assert (str(result.value), result.count) == ("a", 6)


def test_without_an_event() -> None:
    result = state().value()["first"]
    assert (str(result.value), result.count) == ("", 0)
    texts = FirstValue("first", (2,), np.dtype(STRING)).value()["first"]
    assert texts.value.tolist() == ["", ""]
    number = FirstValue("first", (2,), np.dtype(float)).value()["first"]
    assert np.isnan(number.value).all()
    assert number.value.shape == (2,)


def test_what_varies_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        First().prepare(Spec(dtype=np.dtype(float), kind="ragged"))
    with pytest.raises(ValueError, match="declared"):
        state().add(Ragged.of([np.zeros(1)], np.dtype(float)), TIMES[:1])
