"""Common modes that psana does not offer, beside numpy and beside what was put in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Frames
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.detectors.common_mode import CommonMode
from smalldata_stream.detectors.cspad import unbonded
from smalldata_stream.detectors.families import FAMILIES
from smalldata_stream.errors import ConstantsError
from smalldata_stream.kernels.common_mode_banks import zero_peak
from smalldata_stream.kernels.lanes import LANES
from smalldata_stream.kernels.median import buffer_rows, medians, merges
from smalldata_stream.kernels.selection import median_of_many
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.testing.reductions import same_bits

CSPAD = (2, 185, 388)
EPIX100 = (704, 768)


def prepare(kind: str, raw: Array, given: Constants, **parameters: Any) -> PerEvent:
    spec = Spec(dtype=raw.dtype, shape=raw.shape, kind="frames")
    return Calibration(**parameters).prepare(kind, spec, given)


def one(ready: PerEvent, raw: Array) -> Array:
    made = ready.compute(Frames([raw]))[""]
    assert isinstance(made, (Frames, np.ndarray))
    return np.asarray(next(iter(made)))


def blocks(frame: Array, height: int, width: int) -> Array:
    """``(banks, height, width)``, a view."""
    *_, rows, columns = (1, *frame.shape)
    tiled = frame.reshape(-1, rows // height, height, columns // width, width)
    return tiled.swapaxes(2, 3)


def cspad(rng: np.random.Generator) -> tuple[Array, Constants, Array, Array]:
    """A raw frame, constants, its common mode per segment, and its photons in ADU."""
    common = rng.normal(0, 6, (2, 1, 1))
    photons = 35.0 * rng.poisson(0.08, CSPAD)
    photons[unbonded(CSPAD)] = 0
    pedestals = rng.normal(1200, 30, CSPAD).astype("f4")
    raw = np.rint(pedestals + common + photons + rng.normal(0, 2.5, CSPAD)).astype("u2")
    status = (rng.random(CSPAD) < 0.01).astype("u8")
    status[unbonded(CSPAD)] = 2
    given = Constants(detector="cspad", pedestals=pedestals, pixel_status=status)
    return raw, given, common, photons


@pytest.mark.parametrize(("number", "error"), [(1, 0.4), (5, 1.5), (55, 1.5)])
def test_cspad_finds_the_common_mode_that_was_put_in(number: int, error: float) -> None:
    raw, given, common, photons = cspad(np.random.default_rng(3))
    without = one(prepare("cspad", raw, given, calibration="pedestal"), raw)
    with_it = one(
        prepare("cspad", raw, given, calibration="pedestal", common_mode=number), raw
    )
    assert given.pixel_status is not None
    good = given.pixel_status == 0
    found = np.where(good, without - with_it, np.nan)
    assert np.nanmax(np.nanstd(found, axis=(1, 2))) < 1e-3
    assert np.abs(np.nanmean(found, axis=(1, 2)) - common[:, 0, 0]).max() < error
    assert np.abs(common).max() > 5
    empty = good & (photons == 0)
    assert with_it[empty].std() < 3 < 4 < without[empty].std()


def test_unbonded_pixels_count_though_they_are_bad() -> None:
    raw, given, *_ = cspad(np.random.default_rng(4))
    assert given.pedestals is not None
    got = one(prepare("cspad", raw, given, calibration="pedestal", common_mode=5), raw)
    flat = raw.astype("f4") - given.pedestals
    mean = np.array(
        [
            [flat[s, i, i + 194 * a] for i in range(10, 185, 10) for a in range(2)]
            for s in range(2)
        ]
    ).mean(axis=1)
    want = flat - mean.reshape(2, 1, 1)
    good = given.pixel_status == 0
    np.testing.assert_allclose(got[good], want[good], atol=2e-3)


def test_the_zero_peak_is_that_of_psana_of_lcls1() -> None:
    rng = np.random.default_rng(9)
    empty = rng.normal(-7.3, 2.5, 50_000)
    values = np.concatenate([empty, empty[:20_000] + 35]).astype("f4")
    away = np.sign(values) * np.floor(np.abs(values) + 0.5)  # halves away from 0
    bins, counts = np.unique(away, return_counts=True)
    peak = bins[counts.argmax()]
    half = bins[(counts > counts.max() // 2) & (np.abs(bins - peak) < 20)]
    sigma = (half.max() + 1 - (half.min() - 1)) / 2.36
    for _ in range(2):
        near = away[np.abs(away - peak) <= int(2 * sigma + 0.5)]
        mean, sigma = near.mean(), near.std()
    assert abs(zero_peak(values, 25.0) - mean) < 1e-9
    assert abs(mean + 7.3) < 0.1
    assert np.isnan(zero_peak(values, 7.0))
    assert np.isnan(zero_peak(np.full(100, 3, "f4"), 25.0))
    assert zero_peak(np.full(101, -3, "f4"), 25.0) == -3
    wide = np.repeat(np.arange(-200, 200), 150).astype("f4")
    assert np.isnan(zero_peak(wide, 250.0))


def test_segments_of_any_camera() -> None:
    rng = np.random.default_rng(5)
    raw = rng.integers(90, 130, (2, 40, 50), dtype="u2")
    bad = rng.random(raw.shape) < 0.2
    pedestals = rng.normal(100, 3, raw.shape).astype("f4")
    given = Constants(detector="opal", pedestals=pedestals)
    plan: dict[str, Any] = {"common_mode": "segments", "mask": ~bad}
    got = one(prepare("opal", raw, given, **plan), raw)
    flat = np.where(bad, np.nan, raw - pedestals)
    want = np.nan_to_num(flat - np.nanmedian(flat, axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_a_common_mode_beyond_the_limit_is_left() -> None:
    raw = np.full((2, 20, 30), 200, "u2")
    raw[1] = 130
    given = Constants(detector="opal", pedestals=np.full(raw.shape, 100, "f4"))
    limited = CommonMode(method="rows", most_adu=50.0)
    got = one(prepare("opal", raw, given, common_mode=limited), raw)
    assert (got[0] == 100).all()
    assert (got[1] == 0).all()
    few = CommonMode(method="rows", least_pixels=30)
    assert (one(prepare("opal", raw, given, common_mode=few), raw)[1] == 30).all()


@pytest.mark.parametrize("method", ["quiet", "quiet_zeroed", "banks+quiet"])
def test_quiet_pixels_of_an_epix100(method: Any) -> None:
    rng = np.random.default_rng(6)
    pedestals = rng.normal(3000, 20, EPIX100).astype("f4")
    rms = rng.uniform(2, 4, EPIX100).astype("f4")
    true = rng.normal(0, 4, (704, 1)) + rng.normal(0, 4, (1, 768)) + 1.5
    signal = 160.0 * (rng.random(EPIX100) < 0.01)
    raw = np.rint(pedestals + true + signal + rng.normal(0, 2, EPIX100)).astype("u2")
    given = Constants(detector="epix", pedestals=pedestals, pixel_rms=rms)
    plan = CommonMode(method=method, most_adu=30.0)
    got = one(prepare("epix100", raw, given, calibration="pedestal", common_mode=plan), raw)

    flat = raw - pedestals
    if method == "banks+quiet":
        by = np.median(blocks(flat, 352, 96), axis=(3, 4)).reshape(2, 8)
        flat -= np.repeat(np.repeat(by, 352, axis=0), 96, axis=1)
    bright = flat >= 10 * rms
    near = bright.copy()
    near[1:] |= bright[:-1]
    near[:-1] |= bright[1:]
    near[:, 1:] |= bright[:, :-1]
    near[:, :-1] |= bright[:, 1:]
    quiet = ~near & (np.abs(flat) <= 30)
    if method == "quiet_zeroed":
        flat = flat - flat[quiet].mean()
    columns, allowed = blocks(flat, 352, 1).copy(), blocks(quiet, 352, 1)
    by = np.nanmedian(np.where(allowed, columns, np.nan), axis=(3, 4), keepdims=True)
    flat -= np.repeat(by.reshape(2, 768), 352, axis=0)
    rows, allowed = blocks(flat, 1, 96), blocks(quiet, 1, 96)
    by = np.nanmedian(np.where(allowed, rows, np.nan), axis=(3, 4))
    want = flat - np.repeat(by.reshape(704, 8), 96, axis=1)
    np.testing.assert_allclose(got[quiet], want[quiet], atol=2e-3)
    assert got[quiet].std() < 2.3 < (raw - pedestals)[quiet].std()


def test_batches_do_not_matter() -> None:
    rng = np.random.default_rng(7)
    frames = [rng.integers(3000, 3100, EPIX100, dtype="u2") for _ in range(3)]
    given = Constants(
        detector="epix",
        pedestals=np.full(EPIX100, 3050, "f4"),
        pixel_rms=np.ones(EPIX100, "f4"),
    )
    for method in ("banks+rows+columns", "quiet"):
        ready = prepare("epix100", frames[0], given, common_mode=method)
        whole = ready.compute(Frames(frames))[""]
        for i, frame in enumerate(frames):
            alone = ready.compute(Frames([frame]))[""]
            assert isinstance(whole, Frames)
            assert isinstance(alone, Frames)
            assert same_bits(alone, whole[i : i + 1])


def test_adu_are_the_data_without_the_gain_bits() -> None:
    raw = np.array([[[7, 0x4007, 0xC008]]], "u2")
    given = Constants(detector="jf")
    assert one(prepare("jungfrau", raw, given, calibration="adu"), raw).tolist() == [
        [[7.0, 7.0, 8.0]]
    ]


def test_local_gain_is_a_factor_of_each_pixel() -> None:
    raw = np.array([[110, 120]], "u2")
    given = Constants(
        detector="cam",
        pedestals=np.full((1, 2), 100, "f4"),
        pixel_gain=np.full((1, 2), 2, "f4"),
    )
    by_pixel = prepare("opal", raw, given, local_gain=np.array([[1.0, 3.0]]))
    assert one(by_pixel, raw).tolist() == [[5.0, 30.0]]
    assert one(prepare("opal", raw, given, local_gain=0.5), raw).tolist() == [[2.5, 5.0]]
    with pytest.raises(ValueError, match=r"local_gain is \(2,\), the frame \(1, 2\)"):
        prepare("opal", raw, given, local_gain=np.ones(2))


@pytest.mark.parametrize("part", [0.0, 0.002, 0.3])
@pytest.mark.parametrize("common_mode", [None, "rows", "columns", "banks"])
def test_few_and_many_switched_pixels_of_a_jungfrau(common_mode: Any, part: float) -> None:
    rng = np.random.default_rng(8)
    shape = (1, 512, 1024)
    pedestals = rng.normal(3000, 30, (3, *shape)).astype("f4")
    gains = rng.normal(40, 1, (3, *shape)).astype("f4")
    good = rng.random(shape) > 0.05
    given = Constants(detector="jf", pedestals=pedestals, pixel_gain=gains, pixel_mask=good)
    adu = (pedestals[0] + rng.normal(3, 4, shape)).astype("u2")
    bits = np.where(rng.random(shape) < part, rng.integers(1, 4, shape), 0)
    raw = adu | (bits << 14).astype("u2")
    mode = np.array([0, 1, 0, 2])[bits]
    flat = adu - np.take_along_axis(pedestals, mode[None], 0)[0]
    tiles = (1, 2, 256, 16, 64)
    counts = (good & (bits == 0)).reshape(tiles)
    axes: Any = {None: (), "rows": 4, "columns": 2, "banks": (2, 4)}[common_mode]
    allowed = np.where(counts, flat.reshape(tiles), np.nan)
    by = 0 if common_mode is None else np.nanmedian(allowed, axis=axes, keepdims=True)
    corrected = (flat.reshape(tiles) - np.where(counts, by, 0).astype("f4")).reshape(shape)
    want = corrected * (1 / np.take_along_axis(gains, mode[None], 0)[0])
    want[~good | (bits == 2)] = 0
    ready = prepare("jungfrau", raw, given, common_mode=common_mode)
    np.testing.assert_array_equal(one(ready, raw), want)


@pytest.mark.parametrize("n", [1, 2, 35, 48, 63, 64, 96, 186, 256])
def test_medians_of_lanes(n: int) -> None:
    rng = np.random.default_rng(n)
    there = rng.random((LANES, n)) < rng.random((LANES, 1))
    there[:, 0] = True
    values = np.where(there, np.round(rng.normal(0, 5, (LANES, n)), 1), np.inf)
    groups = np.full((LANES, buffer_rows(n)), np.inf, "f4")
    groups[:, :n] = values
    found = np.empty(LANES, "f4")
    medians(groups, there.sum(axis=1), merges(n), np.empty(groups.size, "f4"), found)
    want = [np.median(values.astype("f4")[k, there[k]]) for k in range(LANES)]
    assert found.tolist() == want


@pytest.mark.parametrize("n", [1, 2, 3, 31, 32, 33, 64, 1000, 1001])
def test_median_of_many(n: int) -> None:
    rng = np.random.default_rng(n)
    for decimals in (-1, 0, 3):
        values = np.round(rng.normal(0, 9, n), decimals).astype("f4")
        assert median_of_many(values) == np.median(values)


@pytest.mark.parametrize(
    ("kind", "parameters", "match"),
    [
        ("cspad", {"common_mode": 10}, "mixture of 1 and 5; write 1"),
        ("jungfrau", {"common_mode": 46}, "46 means nothing.*'jungfrau'.*71, 72"),
        ("jungfrau", {"common_mode": "row"}, "write one of 'rows'"),
        ("jungfrau", {"common_mode": True}, "not True"),
        ("jungfrau", {"common_mode": 71, "calibration": "pedestal"}, "means calibration"),
        ("jungfrau", {"common_mode": "rows", "calibration": "raw"}, "needs calibration"),
        ("jungfrau", {"common_mode": "unbonded"}, "jf has none"),
        ("jungfrau", {"common_mode": "rows"}, "do not hold banks of 256 x 64"),
    ],
)
def test_what_cannot_be_is_said(kind: str, parameters: Any, match: str) -> None:
    raw = np.zeros((1, 4, 6), "u2")
    ones = np.ones((3, 1, 4, 6), "f4")
    given = Constants(detector="jf", pedestals=ones, pixel_gain=ones)
    with pytest.raises(ValueError, match=match):
        prepare(kind, raw, given, **parameters)


def test_quiet_needs_the_noise() -> None:
    raw = np.zeros(EPIX100, "u2")
    given = Constants(detector="epix", pedestals=np.ones(EPIX100, "f4"))
    with pytest.raises(ConstantsError, match="needs pixel_rms"):
        prepare("epix100", raw, given, common_mode=36)


def test_every_number_of_every_type_can_be_prepared() -> None:
    for family in FAMILIES.values():
        assert -1 in family.old
        for old in family.old.values():
            if old.common_mode is not None:
                assert family.bank is not None
