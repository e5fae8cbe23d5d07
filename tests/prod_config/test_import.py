"""A prod_config in, a graph out that builds and says what it is not."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any

import h5py
import pytest

from smalldata_stream.cli import main
from smalldata_stream.prod_config.file import read_config
from smalldata_stream.prod_config.graph import as_graph, spans
from smalldata_stream.prod_config.known import Opaque, Unclear
from smalldata_stream.simulate import Simulation, simulate

CONFIG = """\
"Written in the style of a production configuration of smalldata_tools."

import numpy as np
import smalldata_tools_that_is_not_here

hutch = "xpp"
detectors = ["jungfrau", "fim0", "andor", "opal_not_in_this_run"]
epicsPV = []
epicsArchFilePV = [("temperature", "energy")]
epicsOncePV = ["sample_x"]
ttCalib = [0.5, 0.002]
filters = [["ipm2/sum", 0.1, 10.0, "filter1"]]
slow_detectors = []
ring = [[0, 1], [130, 330], [550, 630]]
unknown_list = [1, 2]


def get_intg(run):
    return None, []


def getROIs(run):
    run = int(run)
    rois = {}
    if run < 10:
        rois["jungfrau"] = [
            {"name": "ROI_0", "ROI": ring, "writeArea": True, "thresADU": None}
        ]
    elif run in [12, 13]:
        rois["jungfrau"] = [
            {
                "name": "ROI_0",
                "ROI": ring,
                "writeArea": True,
                "thresADU": [2.5, 1e5],
                "calcPars": True,
                "userMask": np.load("mask.npy"),
            }
        ]
    else:
        rois["jungfrau"] = [
            {
                "name": f"ROI_{i}",
                "ROI": [[0, 1], [100 * i, 100 * i + 50], [0, 99]],
                "proj_ax": i,
            }
            for i in range(2)
        ]
    rois["opal_not_in_this_run"] = [dict(name="full", ROI=None, writeArea=True)]
    rois["not_listed"] = [{"name": "ROI", "ROI": None}]
    return rois


def get_droplet(run):
    return {
        "jungfrau": {
            "threshold": 10,
            "thresholdLow": 3,
            "thresADU": 12.0,
            "useRms": False,
            "nData": 500,
        },
        "andor": {"threshold": 5, "useRms": True},
    }


def get_azav_pyfai(run):
    geometry = dict(dist=0.1, poni1=0.02, poni2=0.01, wavelength=1.3e-10, pixel1=75e-6)
    return {"jungfrau": {"ai_kwargs": geometry, "npts": 256, "polarization_factor": 1}}


def get_wf_integrate(run):
    return {"fim0": {"sig_roi": [60, 160], "bkg_roi": [0, 50], "negative_signal": False}}


def get_wf_hitfinder(run):
    return {"fim0": {"threshold": 2000.0, "use_rms": False, "treshold_max": 60000}}


def get_sum_algos(run):
    algos = {"all": ["calib"], "jungfrau": ["calib_square", "calib_img"]}
    return algos


def getAutocorrParams(run):
    if run > current_run():
        return {}
    return {"jungfrau": {"mask": "a.npy"}}
"""


def write(folder: Path, text: str = CONFIG, name: str = "prod_config_xpp.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def import_config(config: Path, *more: str) -> tuple[int, Path]:
    output = config.with_name("graph_of_it.py")
    return main(["import-config", str(config), "-o", str(output), *more]), output


def line_of(text: str) -> int:
    (line,) = [n for n, one in enumerate(CONFIG.splitlines(), 1) if text in one]
    return line


class Recorder:
    """Stands for graph, detectors and nodes; keeps the words that are chained."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getitem__(self, field: str) -> Recorder:
        return self

    def __getattr__(self, word: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Recorder:
            self.calls.append((word, args, kwargs))
            return self

        return call


def graph_function(text: str) -> Any:
    names: dict[str, Any] = {}
    exec(compile(text, "graph", "exec"), names)
    return names["graph"]


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
        "np.load": "userMask=np.load('mask.npy')",
        "not_listed": "is not in the list of detectors",
        '"andor": {': "threshold_sigma needs noise_adu",
        "geometry, ": "npts=256: write q_bins=",
        "calib_img": 'jungfrau.sum("calib_img")',
        "run > current_run()": "depends on 'run > current_run()'",
    }
    lines = [line_of(text) for text in about]
    text = graph.read_text()
    for line, what, one in zip(lines, about.values(), said, strict=True):
        assert one.startswith(f"{tmp_path / 'prod_config_xpp.py'}:{line}: ")
        assert what in one
        assert f"#   {one.partition(f'{tmp_path}/prod_config_xpp.py:')[2]}" in text


def test_nothing_of_the_file_is_run(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    text = f"""
import os, pathlib
pathlib.Path({str(sign)!r}).touch()
__import__("os").system("touch {sign}")
[open({str(sign)!r}, "w") for i in range(1)]
detectors = ["a"]
def getROIs(run):
    open({str(sign)!r}, "w").write("x")
    return {{"a": [{{"name": "ROI", "ROI": None}}]}}
def get_azav(run):
    return getattr(run, "__class__").__mro__[1].__subclasses__()
"""
    code, graph = import_config(write(tmp_path, text))
    assert code == 0
    assert not sign.exists()
    assert "open(" in graph.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "run + 1", "run // 2 * 3 - -1", "run in (1, 5)", "not run == 5 and run > 2",
        "1 < run <= 5", "[run] * 3", "{'a': [run, (1, 2)]}['a'][1]", "f'{run}_x'",
        "'yes' if run % 2 else 'no'", "[i + run for i in range(4) if i != 2]",
        "list(range(3))[1:]", "max(run, 7)", "dict(a=run)", "str(run) + 'b'",
        "'A'.lower()", "{'a': 1}.get('b', run)", "run or 3", "None is None", "-1.5e3",
        "sorted([3, run, 1])", "(lambda: 1) if False else run",
    ],
)  # fmt: skip
@pytest.mark.parametrize("run", [0, 5])
def test_expressions_as_python_has_them(text: str, run: int, tmp_path: Path) -> None:
    config = read_config(write(tmp_path, f"def f(run):\n    return {text}\n"))
    assert config.call("f", run) == eval(text, {"run": run})


STATEMENTS = """
base = [1, 2]
def f(run):
    a, (b, c) = 1, (2, 3)
    found = {"x": [], "y": base}
    for i in range(run):
        if i == 2:
            found["x"].append(i * a)
        elif i > 3:
            found["x"] += [b, c]
        else:
            pass
    found.update({"z": helper(run, 4)})
    base.append(9)
    found["x"].extend([0])
    return found
def helper(n, m, k=5):
    n += m
    return n + k
"""


@pytest.mark.parametrize("run", [0, 3, 6])
def test_statements_as_python_has_them(run: int, tmp_path: Path) -> None:
    config = read_config(write(tmp_path, STATEMENTS))
    for _ in range(2):  # a call leaves no trace in the next
        names: dict[str, Any] = {}
        exec(STATEMENTS, names)
        assert config.call("f", run) == names["f"](run)


@pytest.mark.parametrize(
    "text",
    [
        "os.environ['X']", "open('x')", "x.y", "1 / 0", "[1][5]", "'a' * 10**8",
        "[0] * 10**8", "unknown", "lambda: 1", "range(10**9)", "eval('1')", "np.zeros(3)",
    ],
)  # fmt: skip
def test_what_is_beyond_is_kept_as_text(text: str, tmp_path: Path) -> None:
    config = read_config(write(tmp_path, f"def f(run):\n    return {text}\n"))
    found = config.call("f", 1)
    assert isinstance(found, Opaque)
    assert found.line == 2


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "with open('x'): pass",
        "f(run)",
        "os.system('x')",
        "for i in range(999999):\n        for j in range(999999): a = 1",
    ],
)
def test_statements_that_are_beyond(body: str, tmp_path: Path) -> None:
    config = read_config(write(tmp_path, f"def f(run):\n    {body}\n    return 1\n"))
    with pytest.raises(Unclear):
        config.call("f", 1)


def test_spans_are_all_runs() -> None:
    assert spans([10, 12, 13]) == [
        (9, 0), (10, 10), (11, 11), (12, 12), (13, 13), (None, 14)
    ]  # fmt: skip
    assert spans([0]) == [(0, 0), (None, 1)]
    assert spans([-5, 3]) == [(2, 0), (3, 3), (None, 4)]


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
        {"axis": 1},
    ]
    assert 'Epics(("lxt",), name="epicsUser")' in imported.text
    assert 'names={1: "a", 3: "b"}, scale={1: 1.0, 3: 2.0}' in imported.text
    assert "sum" not in words
    assert ["singlePhoton" in one.what for one in imported.said] == [True]


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
