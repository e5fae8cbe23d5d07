"""Configurations such as hutches have: what becomes of them builds and runs."""

from __future__ import annotations

import re
import runpy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalldata_stream.cli import main
from smalldata_stream.constants import read_constants, write_constants
from smalldata_stream.h5 import read_tree
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
    assert any("andor_slow: what is made of it stands in the" in one for one in said(text))
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


def test_mfx_a_mask_that_was_not_used(folder: Path, xtc: Path) -> None:
    graph, text = imported(folder, "mfx")
    assert "roi_mask=np.load('ring.npy') was not used" in text
    assert "integrating_detectors was read and not used" in text
    assert main(["run", str(graph), *where(xtc), "-o", "a.h5"]) == 0
    with h5py.File("a.h5") as f:
        assert f["jungfrau/droplet_droplet2phot_nPhotons"][:].any()
        assert "qadc1" not in f


PONI = """\
poni_version: 2
Detector: Detector
Detector_config: {"pixel1": 7.5e-05, "pixel2": 7.5e-05, "max_shape": [512, 1024]}
Distance: 0.1
Poni1: 0.0174
Poni2: 0.031
Rot1: 0.0
Rot2: 0.0
Rot3: 0.0
Wavelength: 1.305e-10
"""


def test_mec_sums_of_some_runs(folder: Path, xtc: Path) -> None:
    pytest.importorskip("pyFAI")
    (folder / "detector.poni").write_text(PONI)
    graph, text = imported(folder, "mec")
    assert "threshold=2.5 has no counterpart" in text
    assert main(["run", str(graph), *where(xtc), "-o", "a.h5"]) == 0
    with h5py.File("a.h5") as f:
        assert f["UserDataCfg/jungfrau/pyfai__pyfai_polarization"][()] == 0  # it was -1
        assert f["jungfrau/pyfai_azav"].shape == (10, 1, 700)
        assert {"atmopal_calib_thresADU10", "jungfrau_calib_max"} <= set(f["Sums"])
        assert "atmopal_calib_max" not in f["Sums"]


def test_cxi_filters_are_cuts_to_be_written(folder: Path, xtc: Path) -> None:
    graph, text = imported(folder, "cxi")
    calls = re.findall(r"(?m)to leave out the others: (g\.keep\(.*\))$", text)
    assert len(calls) == 2
    assert main(["run", str(graph), *where(xtc), "-o", "all.h5"]) == 0
    graph.write_text(text + "".join(f"    {call}\n" for call in calls[1:]))
    assert main(["run", str(graph), *where(xtc), "-o", "cut.h5"]) == 0
    with h5py.File("all.h5") as f, h5py.File("cut.h5") as cut:
        energy = f["ebeam/ebeamPhotonEnergy"][:]
        chosen = (energy > 9490) & (energy < 9499)
        assert 0 < chosen.sum() < 10
        np.testing.assert_array_equal(cut["timestamp"][:], f["timestamp"][:][chosen])
        image = f["Sums/jungfrau_image_calib"][:]
        assert image.sum() == pytest.approx(f["Sums/jungfrau_calib"][:].sum(), rel=1e-5)


def test_ued_a_slow_camera_stands_with_the_others(folder: Path, xtc: Path) -> None:
    """Its functions are there though it is in no list; it is not summed, as before."""
    graph, text = imported(folder, "ued")
    assert "andor_slow: what is made of it stands in the events" in text
    assert main(["run", str(graph), *where(xtc), "-o", "a.h5"]) == 0
    with h5py.File("a.h5") as f:
        read_out = f["damage/andor_slow"][:].astype(bool)
        assert 0 < read_out.sum() < 10
        lines = f["andor_slow/droplet_dense_curve_corr_pj_ax_1_data"][:]
        np.testing.assert_array_equal(np.isfinite(lines).any(axis=1), read_out)
        assert f["andor_slow/hitfinder_nHits"].shape[0] == 10
        assert list(f["Sums"]) == ["jungfrau_calib"]


def test_tmo_channels_in_a_comprehension(folder: Path, xtc: Path) -> None:
    graph, text = imported(folder, "tmo")
    assert 'Hsd("hsd", rois={"hsd_0": [300, 800]})' in text
    assert said(text) == ["get_pressio_compression its result was not used"]
    assert main(["run", str(graph), *where(xtc), "-o", "a.h5"]) == 0
    with h5py.File("a.h5") as f:
        assert "var_full_hsd_1" in f["hsd"]
        assert f["fim0/raw_all_wfintegrate"].shape == (10, 8)


PAGE = Path(__file__).parents[2] / "docs" / "import-config.md"
GRAPH = """
def graph(g, run):
    g.detector("gmd")
    g.detector("andor_slow", optional=True).sum("calib")
"""


def test_sums_between_readouts_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sums of pulse energies that the slow camera saw, as the simulation has them."""
    detectors = ("timing", "gmd", "andor_slow")
    run = simulate(tmp_path, Simulation(events=40, steps=1, detectors=detectors))
    (tmp_path / "graph.py").write_text(GRAPH)
    (script,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "page.py").write_text(script)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "graph.py", *where(tmp_path)[:-2], "-o", "run1.h5"]) == 0
    found = runpy.run_path("page.py")["sums"]
    true: Any = read_tree(run.truth)
    # The monitor measures each pulse to 3 %.
    np.testing.assert_allclose(found, true["andor_slow/energy_mj"], rtol=0.03)
