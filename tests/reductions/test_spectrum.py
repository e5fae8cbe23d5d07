from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalldata_stream.batch import Array, Mask, Ragged
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.spectrum import Spectrum, edges_of
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import (
    TO_FLOATS,
    as_input,
    noisy,
    random_mask,
    unaligned,
    with_bad_values,
)


class TestSpectrum(ReductionContract):
    edges: Array = np.linspace(-20, 120, 33)

    def make(self) -> Spectrum:
        return Spectrum(bins=(-20, 120, 32))

    def inputs(self) -> Sequence[Input]:
        shape = (3, 9, 37)
        mask = random_mask(shape[1:])
        found = [as_input(noisy(shape, dtype)) for dtype in TO_FLOATS]
        found += [as_input(with_bad_values(noisy(shape, "f4")), mask=mask, frames=True)]
        found += [as_input(unaligned(noisy(shape, "u2")), frames=True, mask=mask)]
        found += [as_input(noisy((2, 70), "f8"))]
        found += [as_input(noisy(shape, "f4"), mask=np.zeros(shape[1:], bool))]
        return found

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        good = frame[mask & np.isfinite(frame)]
        return {"histogram": np.histogram(good.astype(float), self.edges)[0]}


class TestUnequalBins(TestSpectrum):
    edges = np.array([-30, 0, 1, 2, 50, 60.5, 61])

    def make(self) -> Spectrum:
        return Spectrum(bins=self.edges, name="unequal")


def test_lists_of_variable_length() -> None:
    lists = [np.array([1.0, 2, 2]), np.array([]), np.array([np.nan, 9.5, 10, -1, 11])]
    spec = Spec(dtype=np.dtype(float), kind="ragged")
    got = Spectrum(bins=[0, 10, 1.0]).prepare(spec).compute(Ragged.of(lists))["histogram"]
    want = [np.histogram(one[np.isfinite(one)], np.arange(11.0))[0] for one in lists]
    np.testing.assert_array_equal(np.asarray(got), want)
    none = Spectrum(bins=[0, 10, 1.0]).prepare(spec).compute(Ragged.of([], np.dtype(float)))
    assert np.asarray(none["histogram"]).shape == (0, 10)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(width=32), min_size=1, max_size=30),
    edges=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9, unique=True),
)
def test_counts_are_those_of_numpy(values: list[float], edges: list[float]) -> None:
    bins = np.array(sorted(edges))
    frame = np.array([[*values, *bins.astype("f4")]], "f4")
    spec = Spec(dtype=frame.dtype, shape=frame.shape[1:])
    got = Spectrum(bins=bins).prepare(spec).compute(frame)["histogram"]
    finite = frame[np.isfinite(frame)].astype(float)
    np.testing.assert_array_equal(np.asarray(got)[0], np.histogram(finite, bins)[0])


@pytest.mark.parametrize(
    "edges",
    [
        np.geomspace(1e-9, 1e6, 150),
        np.concatenate([[-1e5], 3 + np.geomspace(1e-15, 1e-3, 50), [200.0]]),
        1 + np.spacing(1.0) * np.arange(9)[[0, 1, 2, 5, 8]],
        np.array([-1.5e308, -1.0, 0.0, 1e-300, 1.5e308]),
    ],
)
def test_bins_of_very_different_widths(edges: Array) -> None:
    rng = np.random.default_rng(4)
    beside = [np.nextafter(edges, to) for to in (-np.inf, np.inf)]
    drawn = [rng.normal(0, 50, 700), 10 ** rng.uniform(-12, 7, 700)]
    values = rng.permutation(np.concatenate([edges, *beside, *drawn]))[None]
    spec = Spec(dtype=values.dtype, shape=values.shape[1:])
    found = Spectrum(bins=edges).prepare(spec).compute(values)["histogram"]
    # `numpy.histogram` by the definition of its bins.
    number = np.searchsorted(edges, values[0], side="right")
    number[values[0] == edges[-1]] = len(edges) - 1
    want = np.bincount(number, minlength=len(edges) + 1)[1 : len(edges)]
    np.testing.assert_array_equal(np.asarray(found)[0], want)


def test_the_edges_are_in_the_configuration() -> None:
    prepared = Spectrum(bins=(0, 3, 3)).prepare(Spec(dtype=np.dtype("u2"), shape=(5,)))
    np.testing.assert_array_equal(prepared.config["edges"], [0, 1, 2, 3])
    np.testing.assert_array_equal(edges_of([0, 30, 1.0]), np.arange(31))
    np.testing.assert_array_equal(edges_of(np.array([0, 3, 5])), [0, 3, 5])


@pytest.mark.parametrize(
    "bins", [(), 3, (1,), (0, 10, 0), (0, 10, -1.0), (5, 5, 3), [0, 2, 1, 3], [0, np.inf]]
)
def test_wrong_bins_say_what_to_write(bins: Any) -> None:
    with pytest.raises(ValueError, match=r"bins=.*: write \(low, high"):
        Spectrum(bins=bins)


def test_what_has_no_spectrum() -> None:
    with pytest.raises(ValueError, match="list of numbers"):
        Spectrum(bins=(0, 1, 2)).prepare(Spec(dtype=np.dtype("T"), kind="ragged"))
