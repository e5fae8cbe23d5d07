"""The calibration beside psana's own, with the same constants."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from smalldata_stream.batch import Array, Frames
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.protocols import PerEvent, Spec
from tests.detectors.psana_calib import LINE
from tests.reductions.frames import unaligned

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SMALLDATA_STREAM_DATA", ROOT.parent / "shared" / "data"))
FILE = DATA / "xtc2" / "test_jungfrau05M_calib.xtc2"
SHAPE = (1, 512, 1024)
CAMERA = (64, 96)
STEP = 2.0**-24
"""Relative error of one operation in float32."""

Given = dict[str, Array]


def constants() -> Given:
    """Constants of the sizes of real ones, with bad pixels."""
    rng = np.random.default_rng(5)

    def around(centre: float, width: float, shape: tuple[int, ...]) -> Array:
        return rng.normal(centre, width, shape).astype("f4")

    modes = [(3000, 41.5), (14500, -1.6), (14300, -0.11)]
    switched = rng.integers(0, 0x4000, SHAPE, dtype=np.uint16)
    switched |= rng.choice(np.array([0, 0x4000, 0xC000, 0x8000], "u2"), SHAPE)
    switched[:, :100] &= 0x3FFF
    return {
        "jungfrau_pedestals": np.stack([around(p, 60, SHAPE) for p, _ in modes]),
        "jungfrau_pixel_gain": np.stack([around(g, abs(g) / 50, SHAPE) for _, g in modes]),
        "jungfrau_pixel_offset": around(0, 5, (3, *SHAPE)),
        "jungfrau_pixel_status": (rng.random((3, *SHAPE)) < 0.001).astype("u8") * 4,
        "switched": switched,
        "camera_raw": rng.integers(0, 4096, CAMERA, dtype=np.uint16),
        "camera_pedestals": around(120, 10, CAMERA),
        "camera_pixel_gain": around(16.4, 0.5, CAMERA),
        "camera_pixel_status": (rng.random(CAMERA) < 0.01).astype("u8"),
    }


@pytest.fixture(scope="module")
def given() -> Given:
    return constants()


@pytest.fixture(scope="module")
def psana(given: Given, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """What psana makes of the constants, in a process of its own."""
    if importlib.util.find_spec("psana") is None:
        pytest.skip("psana is not installed")
    if not FILE.exists():
        pytest.skip(f"no real data: {FILE} is absent (SMALLDATA_STREAM_DATA)")
    folder = tmp_path_factory.mktemp("psana")
    np.savez(folder / "given.npz", **given)  # type: ignore[arg-type]
    script = Path(__file__).with_name("psana_calib.py")
    files = [str(FILE), str(folder / "given.npz"), str(folder / "found.npz")]
    command = [sys.executable, str(script), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(folder / "found.npz") as archive:
        return dict(archive)


def prepared(
    detector: str,
    raw: Array,
    given: Given,
    calibration: Literal["gain", "pedestal"] = "gain",
) -> PerEvent:
    group = "jungfrau" if detector == "jungfrau" else "camera"
    arrays: dict[str, Any] = {
        name.removeprefix(f"{group}_"): array
        for name, array in given.items()
        if name.startswith(f"{group}_p")
    }
    spec = Spec(dtype=raw.dtype, shape=raw.shape[1:], kind="frames")
    of_detector = Constants(detector=detector, **arrays)
    return Calibration(calibration=calibration).prepare(detector, spec, of_detector)


def calibrated(ready: PerEvent, frames: list[Array]) -> list[Array]:
    made = ready.compute(Frames(frames))[""]
    assert isinstance(made, (Frames, np.ndarray))
    return list(made)


def close(got: Array, want: Array, scale: Array) -> None:
    """Equal but for the rounding of some float32 operations on numbers of this scale."""
    assert got.dtype == np.float32
    assert (np.abs(got.astype(float) - want) <= 4 * STEP * scale).all()


def test_jungfrau_has_the_numbers_of_psana(psana: Given, given: Given) -> None:
    ready = prepared("jungfrau", psana["raw"], given)
    got = np.stack(calibrated(ready, [unaligned(frame) for frame in psana["raw"]]))
    assert len(got) > 0
    assert np.array_equal(got, psana["calib"])
    mask = ready.outputs[""].mask
    assert mask is not None
    assert np.array_equal(mask, psana["mask"].astype(bool).reshape(SHAPE))
    assert 0 < np.count_nonzero(~mask) < mask.size / 10


def test_jungfrau_in_every_gain_has_the_numbers_of_psana(
    psana: Given, given: Given
) -> None:
    raw = given["switched"][None]
    (got,) = calibrated(prepared("jungfrau", raw, given), list(raw))
    assert np.array_equal(got, psana["switched_calib"])
    assert not got[given["switched"] >> 14 == 2].any()


@pytest.mark.parametrize("detector", ["opal", "epix100", "epix100hw", "axis"])
def test_cameras_have_the_numbers_of_psana(
    psana: Given, given: Given, detector: str
) -> None:
    raw = given["camera_raw"][None]
    calibration: Literal["gain", "pedestal"] = (
        "pedestal" if detector in ("axis", "epix100hw") else "gain"
    )
    ready = prepared(detector, raw, given, calibration)
    good = given["camera_pixel_status"] == 0
    (got,) = calibrated(ready, list(raw))
    want = psana[detector].reshape(CAMERA)
    # psana takes the mask of an opal into account only where one asks for it.
    close(got[good], want[good], np.abs(want[good]))
    assert not got[~good].any()
    mask = ready.outputs[""].mask
    assert mask is not None
    assert np.array_equal(mask, good)


@pytest.mark.parametrize("shape", [CAMERA[1:], (CAMERA[1], 1)])
def test_a_line_camera_has_the_numbers_of_psana(
    psana: Given, given: Given, shape: tuple[int, ...]
) -> None:
    """A line, and the image of one column that data of version 2.0.0 have."""
    line = {
        name: array[LINE : LINE + 1]
        for name, array in given.items()
        if name.startswith("camera_")
    }
    raw = line["camera_raw"].reshape(1, *shape)
    (got,) = calibrated(prepared("piranha4", raw, line, "pedestal"), list(raw))
    assert got.shape == shape
    good = line["camera_pixel_status"][0] == 0
    assert 0 < np.count_nonzero(~good) < good.size / 2
    want = psana["piranha4"].reshape(-1)
    close(got.reshape(-1)[good], want[good], np.abs(want[good]))
    assert not got.reshape(-1)[~good].any()
