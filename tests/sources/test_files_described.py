"""What is known of a run before its events, and what is derived from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import BatchLimits, Signal
from smalldata_stream.protocols import Run
from smalldata_stream.sources.files import FilesSource
from tests.sources.runs import one_run
from tests.xtc2 import samples
from tests.xtc2 import writer as w


def test_names_of_pvs(tmp_path: Path) -> None:
    info = w.Block(
        9,
        "epicsinfo",
        "epicsinfo",
        "epicsinfo",
        (1, 0, 0),
        {"keys": (w.CHARSTR, 1), "temperature": (w.CHARSTR, 1)},
    )
    told = w.shapes_data(info, {"keys": "epicsname", "temperature": "XPP:TEMP:01"})
    path = w.write_stream(tmp_path, [w.configure([info, samples.EPICS], parts=[told])])
    fields = one_run(FilesSource.from_files([path])).info.detectors["epics"].fields
    assert fields["raw", "temperature"].long_name == "XPP:TEMP:01"
    assert fields["raw", "shutter"].long_name == ""


def test_configuration(tmp_path: Path) -> None:
    """Configure, changed by BeginStep before the first event; one value per segment."""
    fields: dict[str, tuple[str | int, int]] = {
        "user.gain:Gain": (w.ENUMVAL, 0),
        "LOW:Gain": (w.ENUMDICT, 0),
        "delay": ("u4", 0),
    }
    config = [
        w.Block(20 + s, "jf", "jungfrau", "config", (0, 2, 0), fields, s) for s in (0, 1)
    ]
    update = w.Block(30, "jf", "jungfrau", "config", (0, 2, 0), {"delay": ("u4", 0)}, 1)
    raw = [
        w.Block(10 + s, "jf", "jungfrau", "raw", (0, 2, 0), {"count": ("u4", 0)}, s)
        for s in (0, 1)
    ]
    told = [
        w.shapes_data(b, {"user.gain:Gain": 5 + s, "LOW:Gain": 5, "delay": s})
        for s, b in enumerate(config)
    ]
    step = w.shapes_data(update, {"delay": 77})
    later = w.shapes_data(update, {"delay": 99})
    count = [w.shapes_data(b, {"count": 1}) for b in raw]
    data = [
        w.configure([*config, update, *raw], parts=told),
        w.dgram(5, w.BEGIN_STEP, [step]),
        w.dgram(10, w.L1_ACCEPT, count),
        w.dgram(11, w.BEGIN_STEP, [later]),
    ]
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    detector = run.info.detectors["jf"]
    assert detector.config == {
        ("config", "user.gain"): (5, 6),
        ("config", "delay"): (0, 77),
    }
    assert {algorithm for algorithm, _ in detector.fields} == {"raw"}


def timing_events(folder: Path, lengths: list[int | None]) -> Run:
    """Events whose event code words have these lengths; None where timing is missing."""
    flat = w.Block(1, "timing", "ts", "raw", (2, 1, 0), {"sequenceValues": ("u2", 1)})
    data = [w.configure([w.RUNINFO, flat]), w.begin_run("tstx00417", 1)]
    for i, length in enumerate(lengths):
        parts = (
            []
            if length is None
            else [w.shapes_data(flat, {"sequenceValues": np.full(length, 2)})]
        )
        data.append(w.dgram(10 + i, w.L1_ACCEPT, parts))
    return one_run(FilesSource.from_files([w.write_stream(folder, data)]))


def test_derived_from_a_detector_that_is_not_there(tmp_path: Path) -> None:
    codes = Signal("timing", "raw", "eventcodes")
    run = timing_events(tmp_path, [None, None])
    (batch,) = run.batches([codes], BatchLimits())
    assert not batch.columns[codes].mask.any()
    assert batch.columns[codes].values.dtype == np.uint8
    assert run.faults == []


def test_derived_from_fields_of_odd_shapes(tmp_path: Path) -> None:
    codes = Signal("timing", "raw", "eventcodes")
    assert codes[1:] not in timing_events(tmp_path, [3]).info.detectors["timing"].fields
    (batch,) = timing_events(tmp_path, [18]).batches([codes], BatchLimits())
    (found,) = np.asarray(batch.columns[codes].values)
    assert np.flatnonzero(found).tolist() == [16 * i + 1 for i in range(18)]


def test_derived_from_an_odd_shape_that_comes_late(tmp_path: Path) -> None:
    """The description has not seen it: what cannot be computed is a gap, and is said."""
    block = w.Block(1, "timing", "ts", "raw", (2, 1, 0), {"sequenceValues": ("u2", 1)})
    part = w.shapes_data(block, {"sequenceValues": [1, 2, 3]})
    as_long = w.xtc(w.NAMES, bytes(len(part) - 12))
    data = [w.configure([w.RUNINFO, block]), w.begin_run("tstx00417", 1)]
    data += [w.dgram(10 + i, w.L1_ACCEPT, [as_long]) for i in range(200)]
    data[190] = w.dgram(198, w.L1_ACCEPT, [part])
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    codes, words = (Signal("timing", "raw", f) for f in ("eventcodes", "sequenceValues"))
    (batch,) = run.batches([codes, words], BatchLimits())
    assert not batch.columns[codes].mask.any()
    assert np.flatnonzero(batch.columns[words].mask).tolist() == [188]
    (fault,) = run.faults
    assert "timing.raw.eventcodes" in fault.where


def test_segments_that_differ_each_have_the_shape_of_their_first_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two segments of unlike size, neither among the first events, beside another."""
    monkeypatch.setattr("smalldata_stream.sources.files_describe.FIRST_EVENTS", 1)
    monkeypatch.setattr("smalldata_stream.sources.files_describe.OTHER_SIZES", 1)
    fields: list[dict[str, tuple[str | int, int]]] = [
        {"a": ("u2", 2)},
        {"a": ("u2", 2)},
        {"b": ("u2", 0)},
    ]
    blocks = [
        w.Block(0x101 + i, "cam", "opal", "raw", (2, 0, 0), one, i)
        for i, one in enumerate(fields)
    ]
    data = [w.configure([w.RUNINFO, *blocks]), w.begin_run("tstx00417", 1)]
    data.append(w.dgram(10, w.L1_ACCEPT, [w.shapes_data(blocks[2], {"b": 0})]))
    for i in (1, 2):
        sent: list[dict[str, Any]] = [
            {"a": np.full((2, 2), i)},
            {"a": np.full((3, 3), i)},
            {"b": i},
        ]
        parts = [w.shapes_data(b, v) for b, v in zip(blocks, sent, strict=True)]
        data.append(w.dgram(10 + i, w.L1_ACCEPT, parts))
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    small, large = Signal("cam", "raw", "a_0"), Signal("cam", "raw", "a_1")
    (batch,) = run.batches([small, large], BatchLimits())
    for signal, size in ((small, 2), (large, 3)):
        assert np.asarray(batch.columns[signal].values).tolist() == [
            [[i] * size] * size for i in (1, 2)
        ]
    assert run.faults == []
