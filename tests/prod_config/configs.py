"""A prod_config as the tests import it, and what stands for the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smalldata_stream.cli import main

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
