"""Constants of psana's database: fetched into a file, and asked for by a run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  reads bitshuffle
import numpy as np
import pytest

from smalldata_stream.cli import main
from smalldata_stream.constants import Constants, read_constants
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate
from smalldata_stream.sources.files import FilesSource
from tests.processes import PATIENCE
from tests.sources.oracle import DATA, needs_data
from tests.sources.psana_database import Database, serving
from tests.sources.psana_runs import needs_psana

pytestmark = needs_psana

RUN = Simulation(events=12, steps=1, detectors=("timing", "jungfrau"))
SHORT = "jungfrau_000001"
GRAPH = """
def graph(g, run):
    jungfrau = g.detector("jungfrau", common_mode="rows")
    jungfrau.roi("ROI_0", [[0, 1], [130, 330], [550, 630]], area=True)
    jungfrau.sum("calib")
"""
PSANA_SAYS = """
import json, sys
from smalldata_stream.sources.psana_child_open import import_psana
import_psana()
from psana import DataSource
run = next(DataSource(files=sys.argv[1], skip_calib_load="all").runs())
names = {name: info.uniqueid for name, info in run.dsparms.configinfo_dict.items()}
print(json.dumps(names))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    return simulate(tmp_path_factory.mktemp("run"), RUN)


@pytest.fixture(scope="module")
def of_run(files: SimulatedFiles) -> list[str]:
    return ["--exp", RUN.exp, "--run", str(RUN.run), "--dir", str(files.directory)]


@pytest.fixture(scope="module")
def truth(files: SimulatedFiles) -> Constants:
    return read_constants(files.constants)["jungfrau"]


@pytest.fixture
def database(
    files: SimulatedFiles, truth: Constants, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """What the simulation calibrates with; the geometry is of the detector, not the run."""
    (a_run,) = FilesSource.from_run(RUN.exp, RUN.run, files.directory).runs()
    with serving(monkeypatch) as database:
        database.name(f"jungfrau_{a_run.info.detectors['jungfrau'].serial}", SHORT)
        for kind in ("pedestals", "pixel_gain", "pixel_offset", "pixel_status"):
            database.add(SHORT, kind, truth.arrays()[kind], exp=RUN.exp, run=1)
        database.add(SHORT, "geometry", truth.geometry)
        yield database


def test_fetch_writes_what_psanas_client_gets(
    database: Database, of_run: list[str], truth: Constants, tmp_path: Path
) -> None:
    made = tmp_path / "fetched.h5"
    assert main(["constants", "fetch", *of_run, "-o", str(made)]) == 0
    found = read_constants(made)["jungfrau"]
    arrays = found.arrays()
    for kind in ("pedestals", "pixel_gain", "pixel_offset", "pixel_status"):
        assert np.array_equal(arrays[kind], truth.arrays()[kind]), kind
        assert arrays[kind].dtype == truth.arrays()[kind].dtype
    assert found.geometry == truth.geometry
    assert found.positions is not None
    assert f"pedestals of {RUN.exp} run 1" in found.source
    assert "geometry of of the detector" in found.source


def test_a_run_with_the_database_has_the_numbers_of_one_with_the_file(
    database: Database, files: SimulatedFiles, of_run: list[str], tmp_path: Path
) -> None:
    graph = tmp_path / "rings.py"
    graph.write_text(GRAPH)
    results: list[dict[str, Any]] = []
    for name, constants in (("file", str(files.constants)), ("psana", "psana")):
        out = tmp_path / f"{name}.h5"
        command = ["run", str(graph), *of_run, "-o", str(out), "--constants", constants]
        assert main(command) == 0
        with h5py.File(out) as f:
            paths = ["jungfrau/ROI_0_area", "jungfrau/ROI_0_sum", "Sums/jungfrau_calib"]
            paths += [
                f"UserDataCfg/jungfrau/{one}" for one in ("ped", "gain", "mask", "ix")
            ]
            results.append({path: f[path][:] for path in paths})
    for path, of_file in results[0].items():
        assert np.array_equal(of_file, results[1][path]), path
    assert np.count_nonzero(results[0]["jungfrau/ROI_0_area"])


@pytest.mark.parametrize("command", ["fetch", "run"])
def test_a_detector_that_the_database_does_not_know(
    command: str,
    database: Database,
    of_run: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database.documents.clear()
    graph, made = tmp_path / "rings.py", tmp_path / "made.h5"
    graph.write_text(GRAPH)
    if command == "fetch":
        words = ["constants", "fetch", *of_run, "-o", str(made)]
        says = f"psana has no constants for jungfrau of {RUN.exp} run 1"
    else:
        words = ["run", str(graph), *of_run, "--constants", "psana", "-o", str(made)]
        says = "rings.py:4: jungfrau: calibration='gain' needs pedestals and pixel_gain"
    assert main(words) == 1
    (line,) = (x for x in capsys.readouterr().err.splitlines() if x.startswith("error"))
    assert says in line
    assert not made.exists()


@pytest.mark.parametrize("command", ["fetch", "run"])
def test_a_database_that_is_down(
    command: str,
    database: Database,
    of_run: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database.refusal = 503
    graph, made = tmp_path / "rings.py", tmp_path / "made.h5"
    graph.write_text(GRAPH)
    words = {
        "fetch": ["constants", "fetch", *of_run],
        "run": ["run", str(graph), *of_run, "--constants", "psana"],
    }[command]
    assert main([*words, "-o", str(made)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"asked for jungfrau of {RUN.exp} run 1" in error
    assert "503 Service Unavailable" in error
    assert "--constants FILE takes them from a file" in error
    assert not made.exists()


@needs_data
def test_detectors_are_asked_for_by_the_names_that_psana_gives_them(
    files: SimulatedFiles, tmp_path: Path
) -> None:
    (simulated,) = (one for one in files.xtc2 if b"jungfrau" in one.read_bytes()[:65536])
    for path in (simulated, DATA / "test_jungfrau05M_calib.xtc2"):
        done = subprocess.run(
            [sys.executable, "-c", PSANA_SAYS, path],
            capture_output=True,
            check=True,
            cwd=tmp_path,
            text=True,
            timeout=PATIENCE,
        )
        theirs = json.loads(done.stdout.splitlines()[-1])
        (a_run,) = FilesSource.from_files([path]).runs()
        info = a_run.info.detectors["jungfrau"]
        assert f"{info.type}_{info.serial}" == theirs["jungfrau"]
