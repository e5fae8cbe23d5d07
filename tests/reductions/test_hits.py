from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.hits import Hits
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions import waves


def by_scipy(
    flat: Array, threshold: float, most: float = math.inf
) -> list[dict[str, float]]:
    """Hits of one channel, whose bad samples are NaN, with scipy's labels."""
    labels, n = ndimage.label((flat >= threshold) & (flat <= most))
    found = []
    for hit in range(1, n + 1):
        (part,) = ndimage.find_objects(labels)[hit - 1]
        a = part.start
        time: float = a
        if a and flat[a - 1] < threshold:
            time = np.interp(threshold, flat[a - 1 : a + 1], [a - 1, a])
        inside = flat[part]
        found.append(
            {
                "time": time,
                "height": inside.max(),
                "width": inside.size,
                "area": inside.sum(),
            }
        )
    return found


class TestHits(ReductionContract):
    rtol = 1e-9

    def make(self) -> Hits:
        return Hits(threshold=5, in_sigma=True, background=[0, 20], most=250)

    def inputs(self) -> Sequence[Input]:
        return waves.inputs()

    def flat(self, w: Array, good: Mask) -> tuple[Array, float, float]:
        background = w[:20][good[:20]]
        return w - background.mean(), 5 * background.std(), 250

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        counts, hits = [], []
        for c, (w, good) in enumerate(zip(*waves.rows(frame, mask), strict=True)):
            flat, threshold, most = self.flat(w, good)
            found = by_scipy(np.where(good, flat, np.nan), threshold, most)
            counts.append(len(found))
            hits += [{"channel": c, **hit} for hit in found]
        names = ("channel", "time", "height", "width", "area")
        return {
            "nHits": waves.like(frame, counts),
            **{name: np.array([hit[name] for hit in hits]) for name in names},
        }

    def test_the_marked_samples(self) -> None:
        for spec, values in self.inputs():
            prepared = self.prepared(spec)
            assert isinstance(prepared.chained, tuple)
            for got, frame in zip(prepared.chained[1](values), values, strict=True):
                mask = np.ones(frame.shape, bool) if spec.mask is None else spec.mask
                for row, w, good in zip(
                    np.atleast_2d(got), *waves.rows(frame, mask), strict=True
                ):
                    flat, threshold, most = self.flat(w, good)
                    want = good & (flat >= threshold) & (flat <= most)
                    assert np.array_equal(row, want)


class TestHitsThatGoDown(TestHits):
    def make(self) -> Hits:
        return Hits(threshold=-97, negative=True)

    def flat(self, w: Array, good: Mask) -> tuple[Array, float, float]:
        return -w, -97, math.inf


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"threshold": "5"}, "threshold='5'"),
        ({"threshold": math.nan}, "threshold=nan"),
        ({"threshold": 5, "most": 4}, "from the threshold on"),
        ({"threshold": 5, "most": "4"}, "from the threshold on"),
        ({"threshold": 5, "in_sigma": True}, "needs background"),
        ({"threshold": 5, "background": [1]}, "background="),
        ({"threshold": 5, "name": "a/b"}, "name="),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Hits(**kwargs)


def test_a_threshold_in_sigma_is_no_bound_of_most_which_is_in_samples() -> None:
    wave = np.array([[-0.01, 0.01, -0.01, 0.01, 0.3, 0.0, 0.7]])
    hits = Hits(threshold=5, in_sigma=True, background=[0, 4], most=0.5)
    found = hits.prepare(Spec(dtype=wave.dtype, shape=(7,))).compute(wave)
    assert found["height"][0].tolist() == [0.3]  # type: ignore[index]


def test_one_hit_from_end_to_end() -> None:
    wave = np.full((1, 5), 9, "u2")
    found = Hits(threshold=9).prepare(Spec(dtype=wave.dtype, shape=(5,))).compute(wave)
    assert found["time"][0].tolist() == [0.0]  # type: ignore[index]
    assert found["width"][0].tolist() == [5]  # type: ignore[index]
