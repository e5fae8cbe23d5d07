"""The USB encoder box in files: its channels have their names before the first event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalldata_stream.batch import BatchLimits
from smalldata_stream.graph import Graph, build
from smalldata_stream.protocols import Source
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from tests.sources.psana_runs import needs_psana
from tests.xtc2 import writer as w

BOX = w.Block(
    0x101,
    "XppUsbEncoder02",
    "usdusb",
    "raw",
    (1, 0, 0),
    {"encoder_values": ("f8", 1), "_name": ("i1", 1)},
)
OTHER = w.Block(0x102, "gmd", "gmd", "raw", (2, 1, 0), {"energy": ("f8", 0)})
NAMES = ("lasDelay", "", "lasDelay2", "")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = b"".join(one.encode().ljust(48, bytes(1)) for one in NAMES)
    data = [w.configure([w.RUNINFO, OTHER, BOX]), w.begin_run("xpptut15", 1)]
    for i in range(6):
        parts = [w.shapes_data(OTHER, {"energy": 1.0})]
        if i:  # the first event is without the box
            values = {
                "encoder_values": [i, 2 * i, 3 * i, 4 * i],
                "_name": np.frombuffer(name, np.int8),
            }
            parts.append(w.shapes_data(BOX, values))
        data.append(w.dgram((10 + i) * w.SECOND, w.L1_ACCEPT, parts))
    data.append(w.dgram(100 * w.SECOND, w.END_RUN))
    return w.write_stream(tmp_path_factory.mktemp("box"), data, exp="xpptut15")


@pytest.mark.parametrize(
    "source", [FilesSource, pytest.param(PsanaSource, marks=needs_psana)]
)
def test_the_box_names_its_channels(source: type[FilesSource], files: Path) -> None:
    def write(g: Graph, run: RunInfo) -> None:
        g.usdusb("XppUsbEncoder02", name="enc", names={3: "mine"})

    chosen: Source = source.from_files([files])
    (run,) = chosen.runs()
    g = build(write, run.info)
    assert set(g.plan.outputs()) >= {"enc/lasDelay", "enc/ch1", "enc/lasDelay2", "enc/mine"}
    (batch,) = run.batches(list(g.plan.signals), BatchLimits())
    g.plan.push(batch)
    found = batch.record["enc/lasDelay2"]
    assert found.mask.tolist() == [False, *[True] * 5]
    assert np.asarray(found.values).tolist() == [3.0, 6.0, 9.0, 12.0, 15.0]
