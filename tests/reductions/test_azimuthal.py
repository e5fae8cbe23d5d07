from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.azimuthal import Azimuthal
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import (
    TO_FLOATS,
    as_input,
    noisy,
    random_mask,
    unaligned,
    with_bad_values,
)
from tests.reductions.scattering import PLACE, SHAPE, integrated


def by_hand(frame: Array, mask: Mask, edges: Array, sectors: int) -> dict[str, Any]:
    """Mean, count and standard error, bin by bin, for `PLACE` and no tilt."""
    x, y = (75.0 * i - c for i, c in zip(np.indices(SHAPE), (1510, 1217), strict=True))
    r = np.sqrt(x**2 + y**2 + 4000.0**2)
    theta = np.arccos(4000 / r)
    phi = np.arctan2(x, y)
    q = 4 * np.pi / (12.398419843320026 / 9.5) * np.sin(theta / 2)
    horizontal = 1 - (np.cos(phi) * np.sin(theta)) ** 2
    vertical = 1 - (np.sin(phi) * np.sin(theta)) ** 2
    norm = (0.9 * horizontal + 0.1 * vertical) * (4000 / r) ** 3
    number = np.round(phi / (2 * np.pi / sectors)).astype(int) % sectors
    v = (frame.astype(float) - 3) / 1.5
    finite = np.isfinite(v)
    v = np.where(finite & ((v < -20) | (v > 60)), 0, v)
    good = mask & finite
    found = {name: np.full((sectors, len(edges) - 1), np.nan) for name in ("azav", "sem")}
    found["count"] = np.zeros((sectors, len(edges) - 1))
    for s, k in np.ndindex(found["azav"].shape):
        here = good & (number == s) & (q >= edges[k]) & (q < edges[k + 1])
        n, values = norm[here], v[here]
        found["count"][s, k] = n.size
        if n.size:
            found["azav"][s, k] = mean = values.sum() / n.sum()
        if n.size > 1:
            found["sem"][s, k] = math.sqrt(((values - n * mean) ** 2).sum()) / n.sum()
    return found


class TestAzimuthal(ReductionContract):
    rtol = 1e-9
    edges = np.linspace(0.4, 3.2, 15)

    def make(self) -> Azimuthal:
        return Azimuthal(
            **PLACE,
            q_bins=self.edges,
            phi_bins=5,
            polarization=0.9,
            threshold_adu=(-20, 60),
            dark=np.full(SHAPE, 3.0),
            gain=np.full(SHAPE, 1.5),
            counts=True,
            standard_error=True,
        )

    def inputs(self) -> Sequence[Input]:
        frames = noisy((3, *SHAPE), "f4")
        mask = random_mask(SHAPE)
        found = [as_input(noisy((3, *SHAPE), dtype)) for dtype in TO_FLOATS]
        found += [as_input(frames, mask=mask, frames=True)]
        found += [as_input(with_bad_values(frames), mask=mask), as_input(unaligned(frames))]
        return found

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        return by_hand(frame, mask, self.edges, 5)


class TestMeanAlone(TestAzimuthal):
    """Another kernel than with the standard error."""

    def make(self) -> Azimuthal:
        return Azimuthal(
            **PLACE,
            q_bins=self.edges,
            phi_bins=5,
            polarization=0.9,
            threshold_adu=(-20, 60),
            dark=np.full(SHAPE, 3.0),
            gain=np.full(SHAPE, 1.5),
        )

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        return {"azav": by_hand(frame, mask, self.edges, 5)["azav"]}


@pytest.mark.parametrize("n", [2, 5])
def test_split_pixels_are_small_pixels(n: int) -> None:
    frame = noisy(SHAPE, "f4")
    split = integrated(
        frame, **PLACE, q_bins=0.03, pixel_splitting=n, counts=True, solid_angle=False,
        polarization=None, standard_error=True,
    )  # fmt: skip
    fine = np.repeat(np.repeat(frame, n, axis=0), n, axis=1)
    at = (np.arange(max(SHAPE) * n) + 0.5) / n - 0.5
    x, y = np.meshgrid(75 * at[: SHAPE[0] * n], 75 * at[: SHAPE[1] * n], indexing="ij")
    where = PLACE | {"pixel_size_um": None, "x_um": x, "y_um": y}
    want = integrated(
        fine, **where, q_bins=split["config"]["qbins"], counts=True, solid_angle=False,
        polarization=None,
    )  # fmt: skip
    np.testing.assert_allclose(split["count"] * n**2, want["count"], rtol=1e-5)
    np.testing.assert_allclose(split["azav"], want["azav"], rtol=1e-5)
    again = integrated(
        frame, **PLACE, q_bins=0.03, pixel_splitting=n, solid_angle=False, polarization=None
    )
    np.testing.assert_allclose(again["azav"], want["azav"], rtol=1e-5)


def test_an_even_frame_of_split_pixels_is_even() -> None:
    # Parts are ninths, which float32 has to round: sums and what divides them alike.
    found = Azimuthal(
        center_um=(750, 750), distance_mm=5, photon_energy_kev=9.5, pixel_size_um=75,
        pixel_splitting=3, polarization=None, solid_angle=False,
    ).prepare(Spec(dtype=np.dtype("f4"), shape=(20, 20)))  # fmt: skip
    got = np.asarray(found.compute(np.ones((1, 20, 20), "f4"))["azav"])
    np.testing.assert_allclose(got[~np.isnan(got)], 1, rtol=1e-14)


def test_thresholds_in_units_of_the_noise() -> None:
    frame, noise = noisy(SHAPE, "f4"), np.random.default_rng(5).random(SHAPE) * 40
    spec = Spec(dtype=frame.dtype, shape=SHAPE, noise=noise.astype("f4"))
    place = PLACE | {"q_bins": 0.05}
    found = Azimuthal(**place, threshold_sigma=2.5).prepare(spec).compute(frame[None])
    above = np.where(frame < np.float32(2.5) * noise.astype("f4"), np.float32(0), frame)
    assert 0.1 < (above == 0).mean() < 0.9
    want = integrated(above, **place)["azav"]
    np.testing.assert_array_equal(np.asarray(found["azav"])[0], want)
    with pytest.raises(ValueError, match="threshold_sigma needs the noise"):
        integrated(frame, **place, threshold_sigma=2.5)


pixel = st.one_of(
    st.floats(-1e6, 1e6, width=32), st.sampled_from([np.nan, np.inf, -np.inf])
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_bad_is_in_no_bin(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 6), st.integers(2, 7)))
    frame = data.draw(hnp.arrays(np.float32, shape, elements=pixel))
    mask = data.draw(hnp.arrays(bool, shape))
    mask[0, 0] = True
    x, y = (75.0 * i for i in np.indices(shape))
    where = PLACE | {"pixel_size_um": None, "x_um": x, "y_um": y, "q_bins": 0.7}
    where |= {"phi_bins": data.draw(st.integers(1, 3)), "counts": True}
    got = integrated(frame, mask, **where)
    other = data.draw(hnp.arrays(np.float32, shape, elements=pixel))
    again = integrated(np.where(mask, frame, other), mask, **where)
    assert np.array_equal(got["azav"], again["azav"], equal_nan=True)
    assert got["count"].sum() == np.count_nonzero(mask & np.isfinite(frame))
    assert np.array_equal(np.isnan(got["azav"]), got["count"] == 0)


def test_many_bins_and_a_large_frame() -> None:
    frame = noisy((120, 150), "f4")
    got = integrated(frame, **PLACE, q_bins=1e-4, phi_bins=3, polarization=None,
                     solid_angle=False, counts=True)  # fmt: skip
    assert got["azav"].size > 2**16
    filled = got["count"] > 0
    total = (got["azav"][filled] * got["count"][filled]).sum()
    assert total == pytest.approx(frame.sum(dtype=float), rel=1e-9)


@pytest.mark.parametrize("shape", [(70, 111), (1, 5001), (3, 30, 101)])
@pytest.mark.parametrize("standard_error", [False, True])
def test_pixels_far_from_all_bins(shape: tuple[int, ...], standard_error: bool) -> None:
    x, y = np.random.default_rng(3).uniform(0, 100, (2, *shape))
    frame = noisy(shape, "f4")
    # Long stretches are in no bin, and what is in them is not finite.
    inside = (np.arange(frame.size).reshape(shape) // 1500) % 2 == 1
    x[~inside] += 1e6
    frame[~inside] = np.nan
    where = PLACE | {"x_um": x, "y_um": y, "pixel_size_um": None}
    got = integrated(frame, **where, q_bins=[0, 2.0, 2.5, 3.5], polarization=None,
                     solid_angle=False, counts=True,
                     standard_error=standard_error)  # fmt: skip
    q = got["config"]["matrix_q"]
    assert np.isfinite(got["azav"]).any()
    for k, (low, high) in enumerate([(0, 2.0), (2.0, 2.5), (2.5, 3.5)]):
        some = frame[inside & (q >= low) & (q < high)].astype(float)
        assert got["count"][0, k] == len(some)
        mean = some.mean() if len(some) else np.nan
        assert got["azav"][0, k] == pytest.approx(mean, rel=1e-12, nan_ok=True)
        if standard_error:
            spread = some.std() / np.sqrt(len(some)) if len(some) > 1 else np.nan
            assert got["sem"][0, k] == pytest.approx(spread, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("phi_bins", [1, 5])
def test_a_pixel_that_is_not_finite_changes_its_own_bins_only(
    n: int, phi_bins: int
) -> None:
    clean, mask = noisy((90, 140), "f4"), random_mask((90, 140))
    frame = clean.copy()
    frame[7, 100:102], frame[60, 3] = np.nan, np.inf
    where = PLACE | {"q_bins": 0.05, "phi_bins": phi_bins, "pixel_splitting": n}
    where |= {"counts": True, "polarization": None, "solid_angle": False}
    got, before = (integrated(one, mask, **where) for one in (frame, clean))
    without = integrated(clean, mask & np.isfinite(frame), **where)
    changed = before["count"] != without["count"]
    assert 0 < np.count_nonzero(changed) < changed.size
    for field in ("azav", "count"):
        want = np.where(changed, without[field], before[field])
        np.testing.assert_allclose(got[field], want, rtol=1e-12 if n == 1 else 1e-6)
        np.testing.assert_array_equal(got[field][~changed], before[field][~changed])


def test_a_number_of_bins_goes_from_the_least_to_the_largest_q() -> None:
    frame, mask = noisy(SHAPE, "f4"), random_mask(SHAPE)
    mask[:20] = False
    found = integrated(frame, **PLACE, mask=mask, q_count=12)
    q = found["config"]["matrix_q"][mask]
    edges = np.linspace(q.min(), q.max(), 13)
    want = integrated(frame, **PLACE, mask=mask, q_bins=edges)
    np.testing.assert_array_equal(found["config"]["qbins"], edges)
    np.testing.assert_array_equal(found["azav"], want["azav"])
    with pytest.raises(ValueError, match="q_count=0: write a number of bins"):
        Azimuthal(**PLACE, q_count=0)


def test_an_edge_is_in_the_bin_above_it_and_the_last_in_both() -> None:
    config = integrated(np.ones(SHAPE, np.float32), **PLACE)["config"]
    q = np.unique(config["matrix_q"])
    edges = q[[3, 10, -1]]
    got = integrated(np.ones(SHAPE, np.float32), **PLACE, q_bins=edges, counts=True)
    want = np.histogram(config["matrix_q"], edges)[0]
    assert got["count"][0].tolist() == want.tolist()


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({}, "center_um, distance_mm, photon_energy_kev, or poni"),
        ({"center_um": (1, 2), "distance_mm": 3}, "needs photon_energy_kev"),
        (PLACE | {"distance_mm": -1}, "distance_mm=-1"),
        (PLACE | {"center_um": 5}, "center_um=5"),
        (PLACE | {"tilt_deg": (95, 0)}, "below 90"),
        (PLACE | {"polarization": 2}, "polarization=2"),
        (PLACE | {"pixel_splitting": 0}, "pixel_splitting=0"),
        (PLACE | {"poni": "x.poni"}, "leave out center_um"),
        (PLACE | {"threshold_adu": "x"}, "threshold_adu='x'"),
        (PLACE | {"name": ""}, "name=''"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Azimuthal(**parameters)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"q_bins": -1}, "q_bins=-1"),
        ({"q_bins": [1, 1]}, "increasing"),
        ({"q_bins": 1e-9}, "makes .* bins"),
        ({"phi_bins": 0}, "phi_bins=0"),
        ({"phi_bins": [0, 7]}, "2 pi at most"),
        ({"dark": np.ones((2, 2))}, r"dark is \(2, 2\), the frame"),
        ({"mask": np.zeros(SHAPE, bool)}, "no pixel"),
        ({"gain": np.zeros(SHAPE)}, "no pixel"),
        ({"pixel_size_um": None}, "give x_um and y_um"),
        ({"x_um": np.ones(SHAPE)}, "one is missing"),
        ({"x_um": np.ones((2, 2)), "y_um": np.ones((2, 2))}, r"x_um is \(2, 2\)"),
    ],
)
def test_what_does_not_fit_the_frame(parameters: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Azimuthal(**(PLACE | parameters)).prepare(Spec(dtype=np.dtype("u2"), shape=SHAPE))
