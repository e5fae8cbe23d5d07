"""Constants: what is written is read, what does not fit is refused."""

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalldata_stream.constants import Constants, read_constants, write_constants
from smalldata_stream.errors import ConstantsError

RNG = np.random.default_rng(1)


def full() -> Constants:
    shape = (3, 1, 8, 16)
    return Constants(
        detector="jungfrau",
        pedestals=RNG.normal(2800, 100, shape).astype(np.float32),
        pixel_gain=RNG.normal(41, 1, shape).astype(np.float32),
        pixel_offset=RNG.normal(0, 1, shape).astype(np.float32),
        pixel_rms=RNG.normal(2.5, 0.1, shape).astype(np.float32),
        pixel_status=RNG.integers(0, 2, shape).astype(np.uint64),
        pixel_mask=RNG.random(shape[1:]) > 0.5,
        geometry="IP 0 CAM 0 1 2 3\n",
        source="dark run 7 ",
    )


def test_everything_comes_back(tmp_path: Path) -> None:
    one, two = full(), Constants(detector="andor", pedestals=np.ones((4, 4)))
    path = tmp_path / "constants.h5"
    write_constants(path, [one, two])
    back = read_constants(path)
    assert list(back) == ["andor", "jungfrau"]
    for name, array in one.arrays().items():
        read = getattr(back["jungfrau"], name)
        np.testing.assert_array_equal(read, array, strict=True)
        assert not read.flags.writeable
    assert back["jungfrau"].geometry == one.geometry
    assert back["jungfrau"].source == one.source
    assert back["andor"].pixel_gain is None
    assert back["andor"].geometry is None
    assert back["jungfrau"].digest == one.digest
    assert list(read_constants(path, ["andor"])) == ["andor"]


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    path = tmp_path / "constants.h5"
    write_constants(path, [full()])
    with h5py.File(path) as file:
        assert file["jungfrau"].attrs["source"] == "dark run 7 "
        assert file["jungfrau/pixel_gain"].attrs["unit"] == "ADU/keV"
        assert file["jungfrau/pixel_mask"].dtype == bool
        assert file["jungfrau/geometry"].asstr()[()].startswith("IP")


def test_digest_is_sha256_of_the_contents() -> None:
    pedestals = np.arange(6.0).reshape(2, 3)
    text = b"'cam' None\npedestals <f8 (2, 3)\n" + pedestals.tobytes()
    constants = Constants(detector="cam", pedestals=pedestals, source="anywhere")
    assert constants.digest == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        {"detector": "cam2"},
        {"pedestals": np.zeros((3, 2))},
        {"pedestals": np.zeros((2, 3), np.float32)},
        {"pedestals": np.full((2, 3), 1e-30)},
        {"geometry": "None"},
        {"pixel_rms": np.zeros((2, 3))},
    ],
)
def test_digest_sees_every_change(changed: dict[str, Any]) -> None:
    same: dict[str, Any] = {"detector": "cam", "pedestals": np.zeros((2, 3))}
    digest = Constants(**same).digest
    assert Constants(**same, source="elsewhere").digest == digest
    assert Constants(**(same | changed)).digest != digest


def test_shapes_are_checked_against_each_other() -> None:
    with pytest.raises(ConstantsError, match=r"jungfrau: .*\(2, 3\).*\(3, 2\)"):
        Constants(detector="jungfrau", pedestals=np.ones((2, 3)), pixel_rms=np.ones((3, 2)))
    with pytest.raises(ConstantsError, match="do not fit"):
        Constants(detector="cam", pedestals=np.ones((2, 3)), pixel_mask=np.ones(2, bool))
    with pytest.raises(ConstantsError, match="True = good"):
        Constants(detector="cam", pixel_mask=np.ones((2, 3), np.uint8))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.h5"
    with pytest.raises(ConstantsError, match=r"missing\.h5"):
        read_constants(missing)
    path = tmp_path / "constants.h5"
    write_constants(path, [full()])
    with pytest.raises(ConstantsError, match=r"constants\.h5.*did you mean 'jungfrau'"):
        read_constants(path, ["jungfrua"])
    path.write_bytes(b"not HDF5")
    with pytest.raises(ConstantsError, match=r"constants\.h5"):
        read_constants(path)


def test_a_stranger_in_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "constants.h5"
    with h5py.File(path, "w") as file:
        file["cam/pedestal"] = np.ones(3)
    with pytest.raises(ConstantsError, match="did you mean 'pedestals'"):
        read_constants(path)
