"""The constants in every output, and positions from the geometry text of a file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  reads bitshuffle
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.constants import Constants, read_constants, write_constants
from smalldata_stream.loading import graph_of
from smalldata_stream.modes.batch import Options, reduce_run
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate
from smalldata_stream.sources.files import FilesSource
from tests.sources.psana_runs import needs_psana

RUN = Simulation(events=3, steps=1, detectors=("jungfrau",))
PIXEL_UM = 75


GRAPH = """
def graph(g, run):
    jungfrau = g.detector("jungfrau", common_mode="rows")
    jungfrau.full()
    jungfrau.image(write=True)
    jungfrau.azimuthal(
        center_um=(0, 0), distance_mm=100, photon_energy_kev=9.5, q_bins=[0, 1, 2, 3]
    )
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    return simulate(tmp_path_factory.mktemp("run"), RUN)


@pytest.fixture(scope="module")
def given(run: SimulatedFiles) -> Constants:
    return read_constants(run.constants)["jungfrau"]


@pytest.fixture(scope="module")
def f(run: SimulatedFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[h5py.File]:
    path = tmp_path_factory.mktemp("out") / "run.h5"
    (a_run,) = FilesSource.from_run(RUN.exp, RUN.run, run.directory).runs()
    constants = find_constants(None, a_run.info, run.directory)
    written = graph_of(Path("rings.py"), GRAPH)
    assert reduce_run(a_run, written, Hdf5Sink(path), constants, Options()).ledger.closes
    with h5py.File(path) as file:
        yield file


@needs_psana
def test_the_output_has_every_constant_that_was_used(
    f: h5py.File, given: Constants
) -> None:
    written = f["UserDataCfg/jungfrau"]
    of_the_file = {
        "ped": given.pedestals,
        "gain": given.pixel_gain,
        "offset": given.pixel_offset,
        "rms": given.pixel_rms,
        "pixel_status": given.pixel_status,
    }
    for name, array in of_the_file.items():
        assert array is not None
        np.testing.assert_array_equal(written[name], array, err_msg=name)
        assert written[name].dtype == array.dtype
    assert given.pixel_status is not None
    assert (written["mask"][:] == (given.pixel_status == 0).all(axis=0)).all()
    assert np.count_nonzero(~written["mask"][:]) > 0
    for name in ("x", "y", "z", "ix", "iy"):
        assert written[name].shape == RUN.jungfrau_shape, name
    assert written["calibration"][()] == b"gain"
    assert written["common_mode"][()] == b"rows"
    assert written["common_mode_pars"][:].tolist() == [100.0, 10.0]


@needs_psana
def test_the_hash_is_over_all_that_was_written(f: h5py.File, given: Constants) -> None:
    written = f["UserDataCfg/jungfrau"]
    names = {
        "image_column": "iy",
        "image_row": "ix",
        "pedestals": "ped",
        "pixel_gain": "gain",
        "pixel_offset": "offset",
        "pixel_rms": "rms",
        "pixel_status": "pixel_status",
        "pixel_x": "x",
        "pixel_y": "y",
        "pixel_z": "z",
    }
    seen = hashlib.sha256(f"'jungfrau' {given.geometry!r}\n".encode())
    for name, theirs in names.items():
        array = written[theirs][()]
        seen.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    assert written["constants_sha256"][()].decode() == seen.hexdigest()


@needs_psana
def test_a_geometry_text_is_enough_for_positions_and_images(
    f: h5py.File, given: Constants, run: SimulatedFiles
) -> None:
    assert given.geometry is not None
    assert given.positions is None
    written = f["UserDataCfg/jungfrau"]
    with h5py.File(run.truth) as truth:
        centre = truth["jungfrau/centre"][:]
    row, column = np.mgrid[0:512, 0:1024] + 0.5
    away = np.hypot(
        row + 2 * (row > 256) - centre[0], column + 2 * (column // 256) - centre[1]
    )
    radius = np.hypot(written["x"][0], written["y"][0])
    # Pixels where chips meet are larger: their centres lie half a pixel aside.
    np.testing.assert_allclose(radius, PIXEL_UM * away, rtol=0, atol=0.75 * PIXEL_UM)
    assert np.ptp(written["z"][:]) == 0
    image, full = f["jungfrau/image"], f["jungfrau/full_area"]
    places = written["ix"][0], written["iy"][0]
    for event in range(RUN.events):
        np.testing.assert_array_equal(image[event][places], full[event])
    assert f["jungfrau/azav_azav"].shape == (RUN.events, 1, 3)


def test_a_geometry_that_cannot_be_read_is_said_and_the_rest_is_there(
    run: SimulatedFiles,
    given: Constants,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_constants(tmp_path / "bad.h5", [replace(given, geometry="nothing of the kind\n")])
    (a_run,) = FilesSource.from_run(RUN.exp, RUN.run, run.directory).runs()
    find = find_constants(str(tmp_path / "bad.h5"), a_run.info, None)
    with caplog.at_level(logging.WARNING):
        found = find("jungfrau")
        assert find("jungfrau") is found
    assert found is not None
    assert found.positions is None
    assert found.pedestals is not None
    assert caplog.text.count("no positions of the pixels of jungfrau") == 1
    assert find("epix") is None
