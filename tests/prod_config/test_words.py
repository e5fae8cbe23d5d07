"""Each dictionary of an old file becomes the words that do the same."""

from __future__ import annotations

import types
from pathlib import Path

from smalldata_stream.cli import main
from smalldata_stream.prod_config.file import read_config
from smalldata_stream.prod_config.graph import as_graph
from smalldata_stream.simulate import Simulation, simulate
from tests.prod_config.configs import Recorder, graph_function, import_config, write


def test_the_older_generation(tmp_path: Path) -> None:
    text = """
detnames = ["jungfrau"]
epicsPV = ["lxt"]
aioParams = [[1, 3], ["a", "b"], [1.0, 2.0], [0.0, 0.5]]
def getAzIntParams(run):
    return {"jungfrau": [dict(eBeam=9.5, center=[1, 2], dis_to_sam=80, Pplane=1, tx=0,
                              ty=1.5, thresADU=2, thresADUhigh=90, qbin=0.01, phiBins=8)]}
def getROIs(run):
    return {"jungfrau": [{"name": "R", "ROI": [[0, 1], [1, 2], [3, 4]],
                          "pj": [{"axis": 0}, {"axis": 1, "singlePhoton": True}]}]}
"""
    imported = as_graph(read_config(write(tmp_path, text)), "old.py", "xpp")
    g = Recorder()
    graph_function(imported.text)(g, types.SimpleNamespace(number=1))
    words = {word: kwargs for word, _, kwargs in g.calls}
    assert words["azimuthal"] == {
        "center_um": (1, 2),
        "distance_mm": 80,
        "photon_energy_kev": 9.5,
        "tilt_deg": (0, 1.5),
        "q_bins": 0.01,
        "phi_bins": 8,
        "polarization": 1,
        "threshold_adu": (2, 90),
    }
    assert [kwargs for word, _, kwargs in g.calls if word == "projection"] == [
        {"axis": 0},
        {"axis": 1, "single_photon": True},
    ]
    assert 'Epics(("lxt",), name="epicsUser")' in imported.text
    assert 'names={1: "a", 3: "b"}, scale={1: 1.0, 3: 2.0}' in imported.text
    assert "sum" not in words
    assert imported.said == []


def test_photons_and_curved_lines(tmp_path: Path) -> None:
    text = """
detectors = ["jungfrau", "atmopal"]
def get_droplet2photon(run):
    return {"jungfrau": {"droplet": {"threshold": 10, "thresholdLow": 3, "useRms": False},
                         "d2p": {"aduspphot": 162, "cputime": True}, "nData": 900,
                         "get_photon_img": False}}
def get_polynomial_correction(run):
    return {"atmopal": {"polynomial_coefficients": [1e-4, 0.0, 3.0], "axis": 0,
                         "method": "roll", "projection": {"axis": 1}}}
def getPhotonParams(run):
    return {"jungfrau": {"ADU_per_photon": 9.5, "thresADU": 0.5}}
"""
    config = write(tmp_path, text)
    imported = as_graph(read_config(config), "old.py", "xpp")
    assert imported.said == []
    g = Recorder()
    graph_function(imported.text)(g, types.SimpleNamespace(number=1))
    words = [(word, kw) for word, _, kw in g.calls if word not in ("defaults", "detector")]
    assert words == [
        ("droplets", {"threshold_adu": 10, "threshold_low_adu": 3}),
        ("droplet2photon", {"adu_per_photon": 162, "n_data": 900}),
        ("photons", {"adu_per_photon": 9.5, "threshold_adu": 0.5}),
        ("sum", {}),
        ("curvature", {"coefficients": [1e-4, 0.0, 3.0], "axis": 0, "area": True}),
        ("projection", {"axis": 1}),
        ("sum", {}),
    ]
    graph = import_config(config)[1]
    simulate(tmp_path, Simulation(events=4, detectors=("jungfrau", "atmopal")))
    where = ["--exp", "xpptut26", "--run", "1", "--dir", str(tmp_path)]
    assert main(["check", str(graph), *where]) == 0
