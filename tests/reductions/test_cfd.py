from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import ndimage, optimize

from smalldata_stream.batch import Array, Mask, Ragged
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.cfd import Cfd
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions import waves


def times_by_hand(
    flat: Array, threshold: float, delay: int, fraction: float
) -> list[tuple[float, float]]:
    """Time and height of the pulses of one channel; the whole discriminator at once."""
    d = np.full(flat.size, np.nan)
    d[delay:] = flat[: flat.size - delay] - fraction * flat[delay:]
    rising = np.flatnonzero((d[:-1] < 0) & (d[1:] >= 0)) + 1
    labels, n = ndimage.label(flat >= threshold)
    found = []
    for hit in range(1, n + 1):
        (part,) = ndimage.find_objects(labels)[hit - 1]
        mine = rising[(rising >= part.start) & (rising < part.stop + delay)]
        if mine.size:
            t = mine[0]
            zero = np.interp(0.0, d[t - 1 : t + 1], [t - 1, t])
            found.append((float(zero) - delay, flat[part].max()))
    return found


class TestCfd(ReductionContract):
    rtol = 1e-9

    def make(self) -> Cfd:
        return Cfd(threshold=15, delay=4, fraction=0.4, background=[0, 20])

    def inputs(self) -> Sequence[Input]:
        return waves.inputs()

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        counts, hits = [], []
        for c, (w, good) in enumerate(zip(*waves.rows(frame, mask), strict=True)):
            flat = np.where(good, w - w[:20][good[:20]].mean(), np.nan)
            found = times_by_hand(flat, 15, 4, 0.4)
            counts.append(len(found))
            hits += [(c, *hit) for hit in found]
        columns = np.array(hits).reshape(-1, 3).T
        names = ("channel", "time", "height")
        return {
            "nHits": waves.like(frame, counts),
            **dict(zip(names, columns, strict=True)),
        }


def times(wave: Array, **kwargs: Any) -> list[list[float]]:
    ready = Cfd(**kwargs).prepare(Spec(dtype=wave.dtype, shape=wave.shape[1:]))
    found = ready.compute(wave)["time"]
    assert isinstance(found, Ragged)
    return [part.tolist() for part in found]


def test_the_time_of_a_known_pulse_whatever_its_height() -> None:
    t, delay, fraction = np.arange(80.0), 6, 0.5
    truth, heights = np.linspace(30, 31, 11), np.geomspace(20, 2000, 11)

    def pulse(time: Any, center: float) -> Any:
        return np.exp(-0.5 * ((time - center) / 3.0) ** 2)

    wave = np.stack([h * pulse(t, c) for h, c in zip(heights, truth, strict=True)])
    found = np.array(times(wave, threshold=10, delay=delay, fraction=fraction))
    # The crossing of the continuous pulse, by a root finder.
    zero = optimize.brentq(
        lambda x: pulse(x - delay, 0.0) - fraction * pulse(x, 0.0), -5, 8
    )
    np.testing.assert_allclose(found[:, 0], truth + zero - delay, atol=0.03)
    assert times(8 * wave, threshold=10, delay=delay) == found.tolist()


def test_two_pulses_and_one_that_has_begun_before() -> None:
    wave = np.zeros((1, 60))
    wave[0, :3] = 50
    for start in (20, 40):
        wave[0, start : start + 6] = [25, 50, 50, 50, 50, 25]
    found = times(wave, threshold=10, delay=2, fraction=0.5)
    assert found == [[20.0, 40.0]]


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"delay": 0}, "delay=0"),
        ({"delay": 2.5}, "whole number"),
        ({"fraction": 1.0}, "above 0 and below 1"),
        ({"fraction": 0}, "fraction=0"),
        ({"threshold": None}, "threshold=None"),
        ({"in_sigma": True}, "needs background"),
        ({"background": 3}, "background=3"),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Cfd(**{"threshold": 5, "delay": 2, **kwargs})


def test_a_delay_beyond_the_waveform() -> None:
    with pytest.raises(ValueError, match="the waveform has 9 samples"):
        Cfd(threshold=1, delay=9).prepare(Spec(dtype=np.dtype("u2"), shape=(9,)))
