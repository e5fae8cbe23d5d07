"""Every type and common mode that psana offers, beside psana, with the same constants."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Frames, Mask
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.detectors.common_mode import CommonMode
from smalldata_stream.detectors.families import FAMILIES
from smalldata_stream.detectors.masks import Masking
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions.assembled import Assembled
from smalldata_stream.sources.psana_geometry import psana_positions
from tests.reductions.frames import unaligned

Given = dict[str, Array]

GEOMETRY = """\
# two segments of an epix10ka, the second turned and tilted; as in psana's files
QUAD:V1 0 EPIX10KA:V1 0 100 38000 90 90 0 0 0.00 0.00 0.00
QUAD:V1 0 EPIX10KA:V1 1 40 -200 80 180 0 0 1.30 0.20 0.00
RAIL 0 QUAD:V1 0 0 0 0 0 0 0 0.00 0.00 0.00
IP 0 RAIL 0 0 0 1000000 0 0 0 0.00 0.00 0.00
"""

STEP = 2.0**-24
COMMON_MODES = ("rows", "columns", "banks", "banks+rows+columns", "rows+columns")


def of_type(
    rng: np.random.Generator, shape: tuple[int, ...], modes: int, bits: list[int]
) -> Given:
    """Constants like real ones, and a frame with a common mode of its own per bank."""
    full = (modes, *shape) if modes else shape
    pedestals = rng.normal(3000, 40, full).astype("f4")
    first = pedestals[0] if modes else pedestals
    rows = rng.normal(0, 8, (*shape[:-1], 1))
    columns = rng.normal(0, 5, (*shape[:-2], 1, shape[-1]))
    values = first + rows + columns + rng.normal(0, 3, shape)
    raw = np.clip(values + 800 * (rng.random(shape) < 0.02), 0, 16383).astype("u2")
    gain_bits = rng.choice(np.array(bits, "u2"), shape)
    gain_bits[..., : shape[-1] // 3] = 0
    return {
        "pedestals": pedestals,
        "gain": rng.normal(16, 1, full).astype("f4"),
        "mask": rng.random(shape) > 0.01,
        "raw": raw | gain_bits,
    }


def make() -> Given:
    rng = np.random.default_rng(11)
    given: dict[str, Given] = {
        "jungfrau": of_type(rng, (1, 512, 1024), 3, [0, 0, 0x4000, 0xC000]),
        "epix10ka": of_type(rng, (2, 352, 384), 7, [0, 0, 0x4000]),
        "epix10ka_3": of_type(rng, (2, 352, 384), 7, [0, 0, 0x4000]),
        "epixhr2x2": of_type(rng, (1, 288, 384), 7, [0, 0, 0x8000]),
        "epix100": of_type(rng, (1, 704, 768), 0, [0]),
        "epixm320": of_type(rng, (4, 192, 384), 3, [0, 0x8000]),
        "epixuhr3x2": of_type(rng, (2, 336, 576), 8, [0]),
        "archon": of_type(rng, (40, 600), 0, [0]),
    }
    for case in ("epix10ka", "epixhr2x2"):
        segments = len(given[case]["raw"])
        asics = (segments, 4, 176, 192) if case == "epix10ka" else (segments, 288 * 384)
        given[case]["pixels"] = rng.choice(np.array([12, 8, 0], "u1"), asics)
        given[case]["trbits"] = np.array([[1, 0, 1, 0], [0, 1, 1, 1]][:segments])
    codes = np.array([28, 12, 8, 16, 0], "u1")
    given["epix10ka_3"]["cbits"] = rng.choice(codes, (2, 352, 384))
    uhr = given["epixuhr3x2"]
    # Not 40, medium gain, nor bit 0, low gain: docs/calibration.md says why.
    uhr["asics"] = np.array([[32, 0, 33, 16, 48, 0], [0, 0, 1, 24, 56, 32]], "u1")
    uhr["pixels"] = rng.choice(np.array([32, 1, 33, 16], "u1"), (2, 6, 32256))
    uhr["asic_raw"] = rng.integers(0, 4096, (2, 6, 32256), dtype="u2") & 0x0FFE
    given["epixuhr"] = {"raw": rng.integers(0, 256, (4, 48384), dtype="u1")}
    given["image"] = {
        "text": np.array(GEOMETRY),
        "frame": rng.normal(5, 1, (2, 352, 384)).astype("f4"),
    }
    given["masks"] = {"good": rng.random((2, 50, 60)) > 0.01}
    return {f"{case}/{k}": v for case, one in given.items() for k, v in one.items()}


@pytest.fixture(scope="module")
def given() -> Given:
    return make()


@pytest.fixture(scope="module")
def psana(given: Given, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """What psana makes of it, in a process of its own."""
    if importlib.util.find_spec("psana") is None:
        pytest.skip("psana is not installed")
    folder = tmp_path_factory.mktemp("psana_area")
    np.savez(folder / "given.npz", **given)  # type: ignore[arg-type]
    script = Path(__file__).with_name("psana_area.py")
    command = [sys.executable, str(script), "given.npz", "found.npz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(folder / "found.npz") as archive:
        return dict(archive)


def constants(given: Given, case: str) -> Constants:
    status = (~given[f"{case}/mask"]).astype("u8")
    pedestals = given[f"{case}/pedestals"]
    if pedestals.ndim == status.ndim + 1:
        status = np.stack([status] + [0 * status] * (len(pedestals) - 1))
    return Constants(
        detector=case,
        pedestals=pedestals,
        pixel_gain=given[f"{case}/gain"],
        pixel_status=status,
    )


def config(given: Given, case: str) -> dict[tuple[str, str], Any]:
    """As Configure tells it: one value, or a tuple with one per segment."""
    names = {
        "pixels": "gainCSVAsic" if case == "epixuhr3x2" else "asicPixelConfig",
        "trbits": "trbit",
        "cbits": "cbitsConfig",
        "asics": "gainAsic",
    }
    found: dict[tuple[str, str], Any] = {}
    for ours, name in names.items():
        if (values := given.get(f"{case}/{ours}")) is not None:
            each = tuple(values)
            found["config", name] = each[0] if len(each) == 1 else each
    return found


def prepare(given: Given, case: str, raw: Array, **parameters: Any) -> PerEvent:
    spec = Spec(dtype=raw.dtype, shape=raw.shape, kind="frames")
    made = Calibration(**parameters)
    kind = case.removesuffix("_3")
    return made.prepare(kind, spec, constants(given, case), config(given, case))


def calibrated(ready: PerEvent, raw: Array) -> Array:
    frame = raw if raw.itemsize == 1 else unaligned(raw)
    made = ready.compute(Frames([frame]))[""]
    assert isinstance(made, (Frames, np.ndarray))
    return np.asarray(next(iter(made)))


def assert_as_psana(got: Array, want: Array, good: Mask, scale: float) -> None:
    """Equal but for the rounding of some operations in float32 on numbers of this scale."""
    want = want.reshape(got.shape)
    assert np.count_nonzero(want) > got.size / 3
    assert np.abs(got.astype(float) - want)[good].max() <= 4 * STEP * scale
    assert not got[~good].any()


@pytest.mark.parametrize("common_mode", [None, *COMMON_MODES])
@pytest.mark.parametrize("case", ["jungfrau", "epix10ka", "epixhr2x2", "epix100"])
def test_with_each_common_mode(
    given: Given, psana: Given, case: str, common_mode: Any
) -> None:
    if case == "jungfrau" and common_mode is None:
        pytest.skip("beside the real file in test_psana.py")
    raw = given[f"{case}/raw"]
    ready = prepare(given, case, raw, calibration="gain", common_mode=common_mode)
    got = calibrated(ready, raw)
    good = given[f"{case}/mask"]
    assert_as_psana(got, psana[f"{case}/{common_mode or 'none'}"], good, 3000)
    mask = ready.outputs[""].mask
    assert mask is not None
    assert np.array_equal(mask, good)
    if common_mode is not None:
        assert not np.allclose(got, psana.get(f"{case}/none", 0), atol=0.1)


def test_epix10ka_with_the_bits_of_the_panel(given: Given, psana: Given) -> None:
    raw = given["epix10ka_3/raw"]
    got = calibrated(prepare(given, "epix10ka_3", raw), raw)
    good = given["epix10ka_3/mask"]
    assert_as_psana(got, psana["epix10ka_3/none"], good, 3000)


def test_epixm320_as_far_as_psana_goes(given: Given, psana: Given) -> None:
    raw = given["epixm320/raw"]
    got = calibrated(prepare(given, "epixm320", raw, calibration="pedestal"), raw)
    assert_as_psana(got, psana["epixm320/none"], given["epixm320/mask"], 32768)


def test_archon_with_its_overscan(given: Given, psana: Given) -> None:
    raw = given["archon/raw"]
    plan: dict[str, Any] = {"calibration": "pedestal", "common_mode": 30}
    got = calibrated(prepare(given, "archon", raw, **plan), raw)
    assert_as_psana(got, psana["archon/overscan"], given["archon/mask"], 3000)


def test_epixuhr_is_unpacked(given: Given, psana: Given) -> None:
    raw = given["epixuhr/raw"]
    spec = Spec(dtype=raw.dtype, shape=raw.shape, kind="frames")
    ready = Calibration(calibration="raw").prepare("epixuhr", spec)
    assert ready.outputs[""].shape == (4, 168, 192)
    assert np.array_equal(calibrated(ready, raw), psana["epixuhr/raw"])


def test_epixuhr3x2(given: Given, psana: Given) -> None:
    raw = given["epixuhr3x2/asic_raw"]
    unchanged = prepare(given, "epixuhr3x2", raw, calibration="raw")
    assert np.array_equal(calibrated(unchanged, raw), psana["epixuhr3x2/raw"])
    got = calibrated(prepare(given, "epixuhr3x2", raw), raw)
    assert_as_psana(got, psana["epixuhr3x2/none"], given["epixuhr3x2/mask"], 3000)


@pytest.mark.parametrize("pattern", ["diamond", "circle", "square"])
def test_neighbours(given: Given, psana: Given, pattern: Any) -> None:
    good = given["masks/good"]
    masking = Masking(neighbours=3, pattern=pattern)
    got = masking.applied(good, FAMILIES["opal"])
    assert np.array_equal(got, psana[f"masks/{pattern}"] == 1)
    assert 0.3 < got.mean() < 0.95


def test_edges(psana: Given) -> None:
    got = Masking(edges=2).applied(np.ones((2, 20, 30), bool), FAMILIES["opal"])
    assert np.array_equal(got, psana["masks/edges"] == 1)


@pytest.mark.parametrize(
    ("kind", "segment"),
    [
        ("epix10ka", "EPIX10KA:V1"),
        ("epix100", "EPIX100:V1"),
    ],
)
def test_where_asics_meet(psana: Given, kind: str, segment: str) -> None:
    want = psana[f"masks/{segment}"] == 1
    got = Masking(centre=2).applied(np.ones(want.shape, bool), FAMILIES[kind])
    assert np.array_equal(got, want)


def test_unbonded_pixels(psana: Given) -> None:
    whole = np.ones((185, 388), bool)
    got = Masking(unbonded=True).applied(whole, FAMILIES["cspad"])
    assert np.array_equal(got, psana["masks/unbonded"] == 1)
    assert np.count_nonzero(~got) == 2 * 19
    # psana leaves the unbonded pixel at the corner itself good, and masks beyond the ASIC.
    got = Masking(unbonded_neighbours=True).applied(whole, FAMILIES["cspad"])
    different = np.argwhere(got != (psana["masks/unbonded_neighbours"] == 1))
    assert len(different) <= 2 * 19 + 2


def test_positions_and_the_assembled_image(given: Given, psana: Given) -> None:
    where = psana_positions(GEOMETRY, "a test")
    for name in ("x", "y", "z", "row", "column"):
        assert np.array_equal(
            getattr(where, name), psana[f"image/{name}"].reshape(where.shape)
        )
    frame = given["image/frame"]
    spec = Spec(dtype=frame.dtype, shape=frame.shape, kind="frames", positions=where)
    made = Assembled(write=True).prepare(spec)
    got = calibrated(made, frame)
    want = psana["image/image"]
    assert got.shape == want.shape == where.image_shape
    place = where.row.reshape(-1) * want.shape[1] + where.column.reshape(-1)
    number = np.bincount(place, minlength=want.size).reshape(want.shape)
    assert np.array_equal(got[number < 2], want[number < 2])
    # psana's means of several pixels at one place are those of the last one.
    mean = np.bincount(place, frame.reshape(-1), want.size).reshape(want.shape)
    several = number > 1
    assert np.count_nonzero(several) > 10
    np.testing.assert_allclose(got[several], (mean / number.clip(1))[several], rtol=1e-6)
    mask = made.outputs[""].mask
    assert mask is not None
    assert np.array_equal(mask, want != 0)


def test_old_numbers_are_the_same_as_words(given: Given) -> None:
    raw = given["jungfrau/raw"]
    for number, method in ((7, "rows+columns"), (71, "rows"), (72, "columns")):
        words = CommonMode(method=method, most_adu=10.0)  # type: ignore[arg-type]
        by_word = calibrated(prepare(given, "jungfrau", raw, common_mode=words), raw)
        by_number = calibrated(prepare(given, "jungfrau", raw, common_mode=number), raw)
        assert np.array_equal(by_word, by_number)
