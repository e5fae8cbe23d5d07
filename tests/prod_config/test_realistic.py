"""Three configurations such as hutches have: what becomes of them builds and runs."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from smalldata_stream.cli import main
from smalldata_stream.constants import read_constants, write_constants
from smalldata_stream.simulate import DETECTORS, ON_REQUEST, Simulation, simulate
from tests.prod_config.configs import import_config

HERE = Path(__file__).parent
RUN = Simulation(events=10, steps=1, detectors=DETECTORS + ON_REQUEST)
CAMERA = (256, 256)


@pytest.fixture(scope="module")
def xtc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and constants that know where the pixels of the jungfrau are."""
    files = simulate(tmp_path_factory.mktemp("xtc"), RUN)
    have = read_constants(files.constants)
    x, y = (75.0 * i for i in np.indices((1, 512, 1024))[1:])
    places = {"image_row": x // 75, "image_column": y // 75}
    have["jungfrau"] = replace(
        have["jungfrau"], pixel_x=x, pixel_y=y, pixel_z=0 * x,
        **{name: place.astype("i4") for name, place in places.items()},
    )  # fmt: skip
    write_constants(files.directory / "constants.h5", have.values())
    return files.directory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the masks are that the old files read."""
    ring = np.zeros((1, 512, 1024))
    ring[:, 100:400, 100:900] = 1
    np.save(tmp_path / "ring.npy", ring)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imported(folder: Path, hutch: str) -> tuple[Path, str]:
    config = folder / f"prod_config_{hutch}.py"
    shutil.copy(HERE / f"prod_config_{hutch}.txt", config)
    code, graph = import_config(config)
    assert code == 0
    return graph, graph.read_text()


def where(xtc: Path) -> list[str]:
    run = ["--exp", RUN.exp, "--run", str(RUN.run), "--dir", str(xtc)]
    return [*run, "--constants", str(xtc / "constants.h5")]


def said(text: str) -> list[str]:
    return re.findall(r"(?m)^#   \d+: (.*)", text)


def test_xpp_scattering_and_droplets(folder: Path, xtc: Path) -> None:
    graph, text = imported(folder, "xpp")
    assert len(said(text)) == 3
    assert all(
        any(part in one for one in said(text))
        for part in ("Pplane was 0", "not in 2th_deg", "roi_mask=np.load('path_to_mask")
    )
    assert main(["check", str(graph), *where(xtc)]) == 0
    assert main(["run", str(graph), *where(xtc), "-o", "a.h5"]) == 0
    with h5py.File("a.h5") as f:
        jungfrau, config = f["jungfrau"], f["UserDataCfg/jungfrau"]
        assert jungfrau["ROI_0_area"].shape == (10, 200, 300)
        assert jungfrau["azav_azav"].shape[1] == 11
        assert jungfrau["pyfai_azav"].shape == (10, 13, 512)
        assert jungfrau["single_sparse_data"].shape == (10, 500)
        assert jungfrau["droplet_droplet2phot_sparse_row"].shape == (10, 30000)
        mask = config["azav__azav_mask"][:]
        assert mask[:, 100:400, 100:900].any()
        assert not mask[:, :100].any()


def test_rix_digitizers_and_slow_cameras(folder: Path, xtc: Path) -> None:
    graph, text = imported(folder, "rix")
    assert main(["check", str(graph), *where(xtc)]) == 0
    assert 'Hsd("hsd", rois={"hsd_1": [300, 800]}, full=True)' in text
    assert "wave_basis_fim0_ch1_r0146.h5" in text
    assert any("andor_slow: fast detectors are not summed" in one for one in said(text))
    assert main(["run", str(graph), *where(xtc), "-o", "a.h5"]) == 0
    with h5py.File("a.h5") as f:
        assert f["hsd/full_hsd_1__ROI_wf"].shape == (10, 500)
        assert f["hsd/var_full_hsd_0"].shape == (10 * 2000,)
        assert f["fim0/raw_all_wfintegrate"].shape == (10, 8)
        assert f["atmopal/ROI_area"].shape[0] == 10


def test_xcs_of_the_older_generation(folder: Path, xtc: Path) -> None:
    with_camera = imported(folder, "xcs")
    np.save(folder / "camera.npy", np.ones(CAMERA, int))
    graph, text = with_camera
    assert main(["check", str(graph), *where(xtc)]) == 0
    assert len(re.findall(r"jungfrau\.roi\(", text)) == 2
    assert "single_photon=True" in text
    assert "acq_0 is not in the list of detectors" in text
    assert any("chose events of the cube" in one for one in said(text))
