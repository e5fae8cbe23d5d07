"""A prod_config in, a graph out that builds and says what it is not."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalldata_stream.cli import main
from smalldata_stream.prod_config.file import read_config
from smalldata_stream.prod_config.graph import as_graph
from smalldata_stream.simulate import Simulation, simulate
from tests.prod_config.configs import (
    CONFIG,
    Recorder,
    graph_function,
    import_config,
    line_of,
    write,
)


@pytest.fixture(autouse=True)
def mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a mask that the old file reads."""
    np.save(tmp_path / "mask.npy", np.ones((1, 512, 1024), bool))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("number", [0, 5, 9, 10, 11, 12, 13, 14, 15, 100])
def test_rois_are_those_that_python_finds(number: int, tmp_path: Path) -> None:
    """The old file, run by Python for this run, is what the graph of this run does."""
    numpy = types.SimpleNamespace(load=lambda name: None)
    old: dict[str, Any] = {}
    imports = re.sub(r"(?m)^import .*$", "", CONFIG)
    old["np"] = numpy
    exec(compile(imports, "old", "exec"), old)
    want = [
        (roi["name"], roi["ROI"], roi.get("writeArea", False), roi.get("proj_ax"))
        for detector, rois in old["getROIs"](str(number)).items()
        if detector in old["detectors"]
        for roi in rois
    ]
    text = as_graph(read_config(write(tmp_path)), "old.py", "xpp").text
    g = Recorder()
    graph_function(text)(g, types.SimpleNamespace(number=number))
    found = []
    for word, args, kwargs in g.calls:
        if word == "roi":
            bounds = args[1] if len(args) > 1 else None
            found.append((args[0], bounds, kwargs.get("area", False), None))
        if word == "projection":
            found[-1] = (*found[-1][:3], kwargs["axis"])
    assert found == want


def test_the_graph_builds_and_runs(tmp_path: Path) -> None:
    code, graph = import_config(write(tmp_path))
    assert code == 0
    for number in (1, 10, 12, 20):
        simulate(tmp_path, Simulation(events=3, steps=3, run=number))
        where = ["--exp", "xpptut26", "--run", str(number), "--dir", str(tmp_path)]
        assert main(["check", str(graph), *where]) == 0
    output = tmp_path / "a.h5"
    assert main(["run", str(graph), *where, "-o", str(output)]) == 0
    with h5py.File(output) as f:
        assert f["jungfrau/ROI_1_pj_ax_1_data"].shape[0] == 3
        assert f["fim0/raw_all_wfintegrate"].shape == (3, 8)
        assert f["epicsUser/energy"].shape == (3,)
        assert f["jungfrau/pyfai_azav"].shape[0] == 3
        assert "jungfrau_calib_square" in f["Sums"]


def test_what_is_not_translated_is_said_line_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, graph = import_config(write(tmp_path))
    assert code == 0
    said = capsys.readouterr().err.splitlines()
    about = {
        'filters = [["ipm2/sum"': "g.keep",
        "slow_detectors = []": "was read and not used",
        "unknown_list = ": "unknown_list is not known here",
        "not_listed": "is not in the list of detectors",
        "geometry, ": "bins are in q (1/A), not in 2th_deg",
        "calib_img": "jungfrau_calib_img stands as /Sums/jungfrau_image_calib",
        "run > current_run()": "depends on 'run > current_run()'",
    }
    lines = [line_of(text) for text in about]
    text = graph.read_text()
    for line, what, one in zip(lines, about.values(), said, strict=True):
        assert one.startswith(f"{tmp_path / 'prod_config_xpp.py'}:{line}: ")
        assert what in one
        assert f"#   {one.partition(f'{tmp_path}/prod_config_xpp.py:')[2]}" in text


@pytest.mark.parametrize(
    ("text", "says"), [("def f(:\n", ":1: not Python"), ("\0", "not Python")]
)
def test_what_is_no_python(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, graph = import_config(write(tmp_path, text))
    assert code == 1
    assert says in capsys.readouterr().err
    assert not graph.exists()


def test_an_existing_graph_is_not_replaced_by_accident(tmp_path: Path) -> None:
    config = write(tmp_path)
    assert import_config(config)[0] == 0
    assert import_config(config)[0] == 1
    assert import_config(config, "--overwrite")[0] == 0


def test_a_config_that_says_nothing(tmp_path: Path) -> None:
    code, graph = import_config(write(tmp_path, "", "prod_config_other.py"))
    assert code == 0
    graph_function(graph.read_text())(Recorder(), types.SimpleNamespace(number=1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("detectors = []\n", "; all is translated\n"),
        ("detectors = []\nodd = 3\n", "; 1 line above could not be translated\n"),
    ],
)
def test_how_much_was_translated_is_said(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_config(write(tmp_path, text))[0] == 0
    assert says in capsys.readouterr().out
