from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Frames, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.baseline import Baseline
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions import waves


def levels(frame: Array, mask: Mask, period: int, how: Any) -> Array:
    found = []
    for w, good in zip(*waves.rows(frame, mask), strict=True):
        t = np.arange(w.size)
        chosen = [good & (t >= 2) & (t < 21) & (t % period == p) for p in range(period)]
        found.append([how(w[c]) if c.any() else np.nan for c in chosen])
    return np.array(found)


class TestBaseline(ReductionContract):
    def make(self) -> Baseline:
        return Baseline(window=[2, 21])

    def inputs(self) -> Sequence[Input]:
        return waves.inputs()

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        return {"level": waves.like(frame, levels(frame, mask, 1, np.median)[:, 0])}

    def test_the_corrected_waveform(self) -> None:
        for spec, values in self.inputs():
            prepared = self.prepared(spec)
            assert isinstance(prepared.chained, tuple)
            assert isinstance(prepared.chained[0].mask, type(spec.mask))
            made = prepared.chained[1](values)
            for got, frame in zip(made, values, strict=True):
                mask = np.ones(frame.shape, bool) if spec.mask is None else spec.mask
                w, _ = waves.rows(frame, mask)
                base = self.phases(frame, mask)
                tiled = base[:, np.arange(w.shape[1]) % base.shape[1]]
                with np.errstate(invalid="ignore"):
                    want = np.where(mask.reshape(w.shape), w - tiled, 0.0)
                    want = want.reshape(frame.shape)
                np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-4)

    def phases(self, frame: Array, mask: Mask) -> Array:
        return levels(frame, mask, 1, np.median)


class TestPhases(TestBaseline):
    def make(self) -> Baseline:
        return Baseline(window=[2, 21], period=4, level="mean")

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        return {"level": waves.like(frame, self.phases(frame, mask).tolist())}

    def phases(self, frame: Array, mask: Mask) -> Array:
        return levels(frame, mask, 4, np.mean)


def test_a_pattern_of_the_digitizer_goes_away() -> None:
    pattern = np.tile([3, 9, 5, 11], 25000)
    wave = (pattern + 100 * (np.arange(100_000) == 70_000)).astype("u2")[None]
    spec = Spec(dtype=wave.dtype, shape=wave.shape[1:], kind="frames")
    ready = Baseline(window=[0, 1000], period=4).prepare(spec)
    assert isinstance(ready.chained, tuple)
    (clean,) = ready.chained[1](Frames(list(wave)))
    assert np.flatnonzero(clean).tolist() == [70_000]


@pytest.mark.parametrize(
    ("given", "made"),
    [("u2", "f4"), ("f4", "f4"), ("i4", "f4"), ("f8", "f8"), ("i8", "f8")],
)
def test_the_corrected_waveform_is_as_exact_as_the_data(given: str, made: str) -> None:
    ready = Baseline(window=[0, 5]).prepare(Spec(dtype=np.dtype(given), shape=(9,)))
    assert isinstance(ready.chained, tuple)
    assert ready.chained[0].dtype == np.dtype(made)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"window": [3, 1]}, "window="),
        ({"period": 0}, "period=0: write a number above 0"),
        ({"period": 1.5}, "whole number"),
        ({"level": "max"}, "level='max'"),
        ({"name": ""}, "name=''"),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Baseline(**kwargs)


def test_a_whole_number_of_phases_may_be_a_float() -> None:
    wave = np.array([[4.0, 9.0, 4.0, 9.0]])
    ready = Baseline(period=2.0).prepare(  # type: ignore[arg-type]
        Spec(dtype=wave.dtype, shape=(4,))
    )
    assert np.asarray(ready.compute(wave)["level"]).tolist() == [[4, 9]]


def test_fewer_samples_than_phases() -> None:
    with pytest.raises(ValueError, match="fewer samples than period=4"):
        Baseline(window=[0, 3], period=4).prepare(Spec(dtype=np.dtype("u2"), shape=(9,)))
