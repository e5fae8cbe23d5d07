from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.sum import XRAY, Sum
from tests.reductions.frames import noisy

SPEC = Spec(dtype=np.dtype("f4"), shape=(4, 5), unit="keV")


@pytest.mark.parametrize(
    ("algorithm", "transformed"),
    [
        ("calib", lambda x: x.sum(axis=0)),
        ("calib_square", lambda x: (x**2).sum(axis=0)),
        ("calib_thresADU5", lambda x: np.where(x < 5, 0, x).sum(axis=0)),
        ("calib_thresADU10.5_square", lambda x: np.where(x < 10.5, 0, x**2).sum(axis=0)),
        ("calib_nhits", lambda x: (x > 0).sum(axis=0)),
        ("calib_max", lambda x: x.max(axis=0)),
        ("calib_thresADU70_max", lambda x: np.where(x < 70, 0, x).max(axis=0)),
        ("calib_dropped", lambda x: x.sum(axis=0)),
    ],
)
def test_each_algorithm_alone_and_none_alters_the_frames(
    algorithm: str, transformed: Any
) -> None:
    frames = noisy((30, 4, 5), "f4")
    before = frames.copy()
    prepared = Sum(algorithm).prepare(SPEC)
    state = prepared.start()
    state.add(frames)
    result = state.value()[algorithm]
    np.testing.assert_allclose(
        result.value, transformed(before.astype("f8")), rtol=1e-6, atol=1e-8
    )
    assert result.count == 30
    assert np.array_equal(frames, before)
    declared = prepared.outputs[algorithm]
    assert (declared.dtype, declared.shape) == (result.value.dtype, result.value.shape)
    assert prepared.plot is None


def test_dropped_takes_events_without_xrays() -> None:
    assert Sum("calib_dropped").prepare(SPEC).where == (XRAY, False)
    assert Sum("calib_dropped_square").prepare(SPEC).where == (XRAY, False)
    assert Sum("calib").prepare(SPEC).where is None
    where = Sum("calib", where="lightStatus/laser").prepare(SPEC).where
    assert where == ("lightStatus/laser", True)


def test_two_prepared_sums_share_nothing() -> None:
    prepared = Sum("calib").prepare(SPEC)
    one, other = prepared.start(), prepared.start()
    one.add(noisy((2, 4, 5), "f4"))
    assert other.value()["calib"].count == 0
    assert not other.value()["calib"].value.any()


def test_units() -> None:
    units = {
        word: Sum(word).prepare(SPEC).outputs[word].unit
        for word in ("calib", "calib_square", "calib_nhits", "calib_max")
    }
    assert list(units.values()) == ["keV", "keV^2", "", "keV"]


@pytest.mark.parametrize(
    "algorithm",
    [
        "clib",
        "",
        "calib_",
        "calib_squared",
        "calib_thresADU",
        "calib_img",
        "calib_max_square",
        "calib_square_square",
        "calib_thresADU1_thresADU2",
        "raw",
        3,
    ],
)
def test_a_misspelled_algorithm_lists_what_there_is(algorithm: Any) -> None:
    with pytest.raises(ValueError, match=r"write 'calib'.*calib_thresADU5") as error:
        Sum(algorithm)
    assert repr(algorithm) in str(error.value)


def test_wrong_parameters() -> None:
    with pytest.raises(ValueError, match="leave one of them out"):
        Sum("calib_dropped", where="lightStatus/laser")
    with pytest.raises(ValueError, match="path of a column"):
        Sum("calib", where="")
    with pytest.raises(TypeError):
        Sum("calib", were="lightStatus/laser")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="known before"):
        Sum("calib").prepare(Spec(dtype=np.dtype("f4"), shape=None))
