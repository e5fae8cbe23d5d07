"""A run of LCLS-I converted to xtc2: files in which psana finds what we find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Batch, BatchLimits
from smalldata_stream.columns import common_events
from smalldata_stream.graph import Graph, build
from smalldata_stream.protocols import Run
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from tests.sources.psana_runs import needs_psana
from tests.xtc2 import writer as w

EVENTS = 12
LASER, XRAY = np.arange(EVENTS) % 2 == 0, np.arange(EVENTS) % 5 != 0
MISSING = 4


def container(number: int, name: str, **fields: tuple[str, int]) -> w.Block:
    return w.Block(0x100 + number, name, "generic_container", "xtc1dump", (0, 1, 0), fields)


EVR = container(1, "evr0", eventCodes=("u2", 1))
IPM = container(
    2, "XPP_SB2_BMMON", TotalIntensity=("f8", 0), X_Position=("f8", 0), peakA=("f8", 1)
)
BOX = container(
    3, "XppSb3_Ipm", channel=("f4", 1), sum=("f4", 0), xpos=("f4", 0), ypos=("f4", 0)
)
EBEAM = container(4, "EBeam", ebeamPhotonEnergy=("f8", 0), ebeamLTUAngX=("f8", 0))
GAS = container(5, "FEEGasDetEnergy", f_11_ENRC=("f8", 0))
AI = container(6, "XPP_AIN_01", channelVoltages=("f8", 1))
ENC = container(7, "XPP_USB_ENCODER_02", encoder_count=("i4", 1))
CSPAD = container(8, "cspad", calib=("f4", 3))
BLOCKS = (EVR, IPM, BOX, EBEAM, GAS, AI, ENC, CSPAD)


def codes(i: int) -> list[int]:
    return [40, *[137] * bool(XRAY[i]), *[91] * (not LASER[i])]


def frame(i: int) -> Array:
    return (np.arange(2 * 185 * 388) % 1000 + i).reshape(2, 185, 388).astype("f4")


def values(i: int) -> Mapping[str, Mapping[str, Any]]:
    return {
        "evr0": {"eventCodes": codes(i)},
        "XPP_SB2_BMMON": {
            "TotalIntensity": 1.0 + i,
            "X_Position": 1e-3 * i,
            "peakA": np.arange(16.0) * i,
        },
        "XppSb3_Ipm": {"channel": [i, 1, 2, 3], "sum": i + 6, "xpos": 0.5, "ypos": -0.5},
        "EBeam": {"ebeamPhotonEnergy": 9500.0 + i, "ebeamLTUAngX": 0.1 * i},
        "FEEGasDetEnergy": {"f_11_ENRC": 2.0 * i},
        "XPP_AIN_01": {"channelVoltages": np.arange(16.0) + i},
        "XPP_USB_ENCODER_02": {"encoder_count": [i, 2 * i, -i, 0]},
        "cspad": {"calib": frame(i)},
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lcls1")
    data = [w.configure([w.RUNINFO, *BLOCKS]), w.begin_run("xpptut13", 1)]
    data += [w.dgram(4 * w.SECOND, w.BEGIN_STEP), w.dgram(5 * w.SECOND, w.ENABLE)]
    for i in range(EVENTS):
        parts = [
            w.shapes_data(block, values(i)[block.detector])
            for block in BLOCKS
            if not (i == MISSING and block in (EVR, AI))
        ]
        data.append(w.dgram((10 + i) * w.SECOND, w.L1_ACCEPT, parts))
    data.append(w.dgram(100 * w.SECOND, w.END_RUN))
    return w.write_stream(folder, data, exp="xpptut13")


def graph(g: Graph, run: RunInfo) -> None:
    g.defaults("xpp")
    g.detector("cspad").roi("ROI_0", [[0, 1], [10, 20], [30, 50]])


def reduced(run: Run) -> tuple[Graph, list[Batch]]:
    g = build(graph, run.info)
    batches = []
    for batch in run.batches(list(g.plan.signals), BatchLimits(events=5)):
        g.plan.push(batch)
        batches.append(batch)
    assert not g.plan.failures, g.plan.letters[0].traceback
    return g, batches


def per_event(batches: list[Batch], path: str) -> list[Any]:
    found: list[Any] = []
    for batch in batches:
        column = batch.record[path]
        given = iter(column.values)
        found += [
            np.asarray(next(given)).tolist() if there else None
            for there in common_events([column])
        ]
    return found


def expected() -> dict[str, list[Any]]:
    def but(function: Any, *missing: int) -> list[Any]:
        return [None if i in missing else function(i) for i in range(EVENTS)]

    return {
        "lightStatus/xray": but(lambda i: bool(XRAY[i]), MISSING),
        "lightStatus/laser": but(lambda i: bool(LASER[i]), MISSING),
        "ipm2/sum": but(lambda i: 1.0 + i),
        "ipm2/xpos": but(lambda i: 1e-3 * i),
        "ipm3/sum": but(lambda i: i + 6.0),
        "ipm3/channels": but(lambda i: [i, 1.0, 2.0, 3.0]),
        "ipm3/ypos": but(lambda i: -0.5),
        "ebeam/ebeamPhotonEnergy": but(lambda i: 9500.0 + i),
        "ebeam/ebeamLUTAngX": but(lambda i: 0.1 * i),
        "gasdet/f11ENRC": but(lambda i: 2.0 * i),
        "ai/ch03": but(lambda i: 3.0 + i, MISSING),
        "enc/ch1": but(lambda i: 2.0 * i),
        "damage/ipm2": but(lambda i: True),
        "damage/evr0": but(lambda i: i != MISSING),
        "cspad/ROI_0_sum": but(lambda i: float(frame(i)[0, 10:20, 30:50].sum(dtype="f8"))),
    }


def check(run: Run) -> None:
    g, batches = reduced(run)
    for path, want in expected().items():
        assert per_event(batches, path) == want, path
    table = per_event(batches, "timing/eventcodes")
    got = [None if row is None else np.flatnonzero(row).tolist() for row in table]
    assert got == [None if i == MISSING else sorted(codes(i)) for i in range(EVENTS)]
    assert g.plan.outputs()["ipm2/sum"].unit == "J"
    assert g.plan.outputs()["ebeam/ebeamPhotonEnergy"].unit == "eV"
    dropped = " ".join(g.plan.dropped)
    assert "ipm2" not in dropped
    assert "XppSb2BmMon" in dropped


def test_it_works_like_a_native_one(files: Path) -> None:
    (run,) = FilesSource.from_files([files]).runs()
    check(run)


@needs_psana
def test_and_so_it_does_where_psana_reads(files: Path) -> None:
    (run,) = PsanaSource.from_files([files]).runs()
    check(run)
