"""Frames stay where they are: in the file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np

from smalldata_stream.batch import BatchLimits, Frames, Signal
from smalldata_stream.sources.files import FilesSource
from tests.sources.oracle import DATA, needs_data
from tests.sources.runs import one_run
from tests.xtc2 import writer as w


def test_frames_are_views(tmp_path: Path) -> None:
    """One segment is a view; segments side by side are one view too, of a copy else."""
    shape = (1, 128, 256)
    blocks = [
        w.Block(0x200 + s, "jf", "jungfrau", "raw", (0, 2, 0), {"raw": ("u2", 3)}, s)
        for s in range(3)
    ]
    lonely = w.Block(0x300, "cam", "opal", "raw", (2, 0, 0), {"image": ("u2", 2)})
    data = [w.configure([w.RUNINFO, *blocks, lonely]), w.begin_run("tstx00417", 1)]
    rng = np.random.default_rng(1)
    images = rng.integers(0, 65536, (5, 3, *shape[1:]), dtype=np.uint16)
    for i in range(5):
        parts = [
            w.shapes_data(b, {"raw": images[i, s][None]}) for s, b in enumerate(blocks)
        ]
        if i == 4:
            parts.insert(1, w.shapes_data(lonely, {"image": images[0, 0]}))
        data.append(w.dgram(10 + i, w.L1_ACCEPT, parts))
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    info = run.info.detectors["jf"].fields["raw", "raw"]
    assert (info.shape, info.frame) == ((3, 128, 256), True)
    signals = [Signal("jf", "raw", "raw"), Signal("cam", "raw", "image")]
    (batch,) = run.batches([*signals, Signal("cam", "raw", "raw")], BatchLimits())
    values = batch.columns[signals[0]].values
    assert isinstance(values, Frames)
    # Views lie in memory as the events lie in the file; the last one is a copy.
    at = [frame.__array_interface__["data"][0] for frame in values]
    assert np.diff(at[:4]).tolist() == [len(data[2])] * 3
    copies = [frame.base is None or frame.base.base is None for frame in values]
    assert copies == [False] * 4 + [True]
    assert not any(frame.flags.writeable for frame in values)
    assert (values.stack() == images).all()
    camera = batch.columns[signals[1]]
    assert np.flatnonzero(camera.mask).tolist() == [4]
    assert (camera.values[0] == images[0, 0]).all()
    assert batch.columns[Signal("cam", "raw", "raw")] is camera


def test_frames_take_no_memory(tmp_path: Path) -> None:
    """Nothing of 40 MB of frames is copied, and nothing of a batch is kept."""
    image = np.arange(1 << 19, dtype=np.uint16).reshape(512, 1024)
    block = w.Block(0x300, "cam", "opal", "raw", (2, 0, 0), {"image": ("u2", 2)})
    part = w.shapes_data(block, {"image": image})
    data = [w.configure([w.RUNINFO, block]), w.begin_run("tstx00417", 1)]
    data += [w.dgram(10 + i, w.L1_ACCEPT, [part]) for i in range(40)]
    path = w.write_stream(tmp_path, data)
    tracemalloc.start()
    run = one_run(FilesSource.from_files([path]))
    signal, total = Signal("cam", "raw", "image"), 0
    for batch in run.batches([signal], BatchLimits(bytes=8 << 20)):
        assert len(batch) == 8
        total += sum(int(frame[0, :10].sum()) for frame in batch.columns[signal].values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 40 * 45
    assert peak < 1 << 20


@needs_data
def test_real_jungfrau(tmp_path: Path) -> None:
    run = one_run(FilesSource.from_files([DATA / "test_jungfrau05M_calib.xtc2"]))
    assert (run.info.exp, run.info.number) == ("mfx101332224", 7)
    raw = Signal("jungfrau", "raw", "raw")
    (batch,) = run.batches([raw], BatchLimits())
    assert batch.steps.tolist() == [1, 1]
    frames = batch.columns[raw].values
    assert isinstance(frames, Frames)
    assert frames.shape == (1, 512, 1024)
    assert frames.dtype == np.uint16
    assert not frames[0].flags.owndata
    assert run.info.detectors["jungfrau"].config["config", "user.gainMode"] is not None
