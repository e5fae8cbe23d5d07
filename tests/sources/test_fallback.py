"""Types that are not known here: psana gives what its class computes, and it is said."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Batch, BatchLimits, Signal, Status
from smalldata_stream.graph import build
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.sources import fallback
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana_child_methods import info_of, leaves
from smalldata_stream.testing.detectors import void
from smalldata_stream.xtc2.derived import derived_of
from smalldata_stream.xtc2.known import DECODED, FIELDS_ONLY, METHODS
from tests.sources.oracle import DATA, ROOT, needs_data, psana_reads_all, read
from tests.sources.psana_runs import needs_psana
from tests.xtc2 import samples
from tests.xtc2 import writer as w

OLD = w.Block(0x300, "old", "ts", "ts", (1, 2, 3), {"data": ("u1", 1)})
COUNT = w.Block(0x301, "known", "gmd", "raw", (2, 1, 0), {"n": ("i4", 0)})
PULSE, CHARGE, BYTES, N = (
    Signal("old", "ts", "info_pulseId"),
    Signal("old", "ts", "info_requested_ebeam_charge_pc"),
    Signal("old", "ts", "data"),
    Signal("known", "raw", "n"),
)
NOT_EVENTS = {"epics", "epicsinfo", "pvdetinfo", "scan", "scanDet"}
LIST_CLASSES = """
import inspect, json, re
from smalldata_stream.sources.psana_child_open import import_psana
import_psana()
from psana.detector import detectors
from psana.detector.detector_impl import DetectorImpl
from smalldata_stream.sources.psana_child_methods import methods_of

def makes_methods(kind):
    between = kind.__mro__[: kind.__mro__.index(DetectorImpl)]
    python = [one for one in between if one.__module__.startswith("psana.detector")]
    return any("setattr(self" in inspect.getsource(one) for one in python)

print("\\n" + json.dumps({
    name: (methods_of(kind), makes_methods(kind))
    for name, kind in vars(detectors).items()
    if inspect.isclass(kind) and issubclass(kind, DetectorImpl)
    and re.search(r"(?<!_config)(_\\d+){3}$", name)
}))
"""


def pulse(i: int) -> int:
    return (i << 40) + 3 * i


def old_data(i: int) -> bytes:
    """A part of the detector whose type is not known."""
    raw = np.zeros(84, np.uint8)
    raw[:8] = np.frombuffer(pulse(i).to_bytes(8, "little"), np.uint8)
    raw[22:24] = np.frombuffer((7 * i % 65536).to_bytes(2, "little"), np.uint8)
    return w.shapes_data(OLD, {"data": raw}, damage=1 if i % 10 == 7 else 0)


def event(i: int, *blocks: w.Block) -> bytes:
    """Event ``i``: every tenth one is damaged for the old detector, every third missing."""
    parts = [w.shapes_data(COUNT, {"n": i})] if COUNT in blocks else []
    if OLD in blocks and i % 3:
        parts.append(old_data(i))
    return w.dgram(10 + i, w.L1_ACCEPT, parts)


def run_of(*blocks: w.Block, events: int, number: int = 1, at: int = 1) -> list[bytes]:
    begin = [w.configure([w.RUNINFO, *blocks], at), w.begin_run("tstx00417", number, at)]
    end = w.dgram(10**6, w.END_RUN)
    return [*begin, *(event(i, *blocks) for i in range(events)), end]


def has(i: int) -> bool:
    return i % 3 != 0 and i % 10 != 7


def one(path: Path) -> Any:
    (run,) = FilesSource.from_files([path]).runs()
    return run


def values(batches: Collection[Batch], signal: Signal) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for batch in batches:
        column = batch.columns[signal]
        times = batch.timestamps[column.mask].tolist()
        found |= dict(zip(times, column.values, strict=True))
    return found


def never(*_: object) -> None:
    pytest.fail("psana was started")


# ------------------------------------------------------------------------- the table


@needs_psana
def test_the_table_is_that_of_the_psana_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST_CLASSES],
        capture_output=True,
        check=True,
        timeout=120,
        cwd=ROOT,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found = {k: v for k, v in found.items() if k.split("_")[0] not in NOT_EVENTS}
    assert not FIELDS_ONLY & set(METHODS)
    assert set(found) >= FIELDS_ONLY | set(METHODS)
    plain = {name for name, (methods, makes) in found.items() if not methods and not makes}
    assert plain == set(FIELDS_ONLY)
    assert {k: found[k][0] for k in METHODS} == {k: list(v) for k, v in METHODS.items()}
    unpacked = {name: found[name][0] for name in DECODED}
    assert all({"waveforms", "peaks"} <= set(methods) for methods in unpacked.values())
    made_by_constructor = {name for name, (_, makes) in found.items() if makes}
    assert made_by_constructor == {"scbld_raw_1_0_0", "wave8v1wf_raw_1_0_0"}


def test_methods_in_the_table_are_fields_or_derived() -> None:
    of_the_data = {  # the method hands on the field of the data of this name
        "cspad_raw_2_3_42": "arrayRaw",
        "epix10ka_raw_2_0_1": "raw",
        "epix10ka_raw_3_0_1": "raw",
        "epix_raw_2_0_1": "raw",
        "jungfrauemu_raw_0_1_0": "raw",
        "ts_raw_2_1_0": "inhibitCounts",
    }
    for name, methods in METHODS.items():
        kind, algorithm, major, *_ = name.split("_")
        derived = {one.field for one in derived_of(kind, algorithm, (int(major), 0, 0), [])}
        beyond = set(methods) - derived
        assert len(beyond) == 0 or name in of_the_data, (name, beyond)
        assert beyond <= {"raw", "image", of_the_data.get(name)}


# -------------------------------------------------------------- without a need of psana


@pytest.fixture
def no_psana(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "run_by_psana", never)


@pytest.mark.usefixtures("no_psana")
def test_known_types_never_start_psana(tmp_path: Path) -> None:
    simulation = Simulation(events=3, steps=1, jungfrau_shape=(2, 64, 512))
    files = simulate(tmp_path / "all", simulation)
    derived, _ = samples.derived_detectors(tmp_path / "derived", 3)
    exp, number = simulation.exp, simulation.run
    for source in (
        FilesSource.from_run(exp, number, files.directory),
        FilesSource.from_files([derived]),
    ):
        (run,) = source.runs()
        assert read(run)
        assert "psana is asked" not in run.info.source
        assert not run.faults


@needs_psana
@pytest.mark.usefixtures("no_psana")
def test_nobody_asks_for_the_unknown_detector(tmp_path: Path) -> None:
    run = one(w.write_stream(tmp_path, run_of(OLD, COUNT, events=5)))
    assert set(run.info.detectors) == {"old", "known"}
    batches = list(run.batches([N], BatchLimits()))
    assert list(values(batches, N).values()) == list(range(5))


@needs_psana
@pytest.mark.usefixtures("no_psana")
def test_the_damage_of_an_unknown_detector_is_in_the_data(tmp_path: Path) -> None:
    run = one(w.write_stream(tmp_path, run_of(OLD, COUNT, events=5)))
    g = build(lambda g, _: void(g.damage()), run.info)
    assert set(g.plan.outputs()) == {"damage/old", "damage/known"}
    for batch in run.batches(list(g.plan.signals), BatchLimits()):
        g.plan.push(batch)
        there = np.asarray(batch.record["damage/old"].values)
        assert there.tolist() == [has(i) for i in range(5)]


def test_without_psana(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fallback, "_installed", lambda: False)
    monkeypatch.setattr(fallback, "run_by_psana", never)
    run = one(w.write_stream(tmp_path, run_of(OLD, COUNT, events=20)))
    fields = run.info.detectors["old"].fields
    assert list(fields) == [("ts", "data"), ("ts", "sequencer_info")]
    assert len(values(list(run.batches([BYTES, N], BatchLimits())), N)) == 20
    (fault,) = run.faults
    assert "old (ts.ts 1.2.3)" in fault.what
    assert "psana is not installed" in fault.what
    assert fault.events == 0
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "old (ts.ts 1.2.3)" in record.getMessage()
    assert "psana is asked" not in run.info.source


# -------------------------------------------------------------------------- with psana


@needs_psana
@pytest.mark.parametrize("events", [1000, 7])
def test_columns_come_together_by_timestamp(
    tmp_path: Path, events: int, caplog: pytest.LogCaptureFixture
) -> None:
    run = one(w.write_stream(tmp_path, run_of(COUNT, OLD, events=100)))
    asked = [N, PULSE, CHARGE]
    batches = list(run.batches(asked, BatchLimits(events=events, seconds=0.001)))
    assert len(batches) == -(-100 // events)
    assert all(list(batch.columns) == asked for batch in batches)
    assert all(list(batch.status) == ["known", "old"] for batch in batches)
    good = [i for i in range(100) if has(i)]
    assert values(batches, PULSE) == {10 + i: pulse(i) for i in good}
    assert values(batches, CHARGE) == {10 + i: 7 * i for i in good}
    assert values(batches, N) == {10 + i: i for i in range(100)}
    status = np.concatenate([batch.status["old"] for batch in batches]).tolist()
    assert status == [
        Status.MISSING if i % 3 == 0 else Status.DAMAGED if i % 10 == 7 else Status.OK
        for i in range(100)
    ]
    (record,) = caplog.records
    assert "old (ts.ts 1.2.3): not known here; psana computes 20" in record.getMessage()
    assert run.info.source.endswith("; psana is asked about old (ts.ts 1.2.3)")
    assert run.faults == []


@needs_psana
def test_two_streams(tmp_path: Path) -> None:
    """psana is given the streams with the detectors concerned, here two of three."""
    other = replace(OLD, detector="older")
    parts = [event(i, OLD) for i in range(12)]
    older = [
        w.dgram(10 + i, w.L1_ACCEPT, [w.shapes_data(other, {"data": np.arange(84) + i})])
        for i in range(0, 12, 4)
    ]
    end = w.dgram(10**6, w.END_RUN)
    for stream, block, data in ((0, COUNT, []), (1, OLD, parts), (2, other, older)):
        begin = [w.configure([w.RUNINFO, block]), w.begin_run("tstx00417", 1)]
        w.write_stream(tmp_path, [*begin, *data, end], stream=stream)
    (run,) = FilesSource.from_run("tstx00417", 1, tmp_path).runs()
    second = Signal("older", "ts", "info_pulseId")
    batches = list(run.batches([PULSE, second], BatchLimits(events=5)))
    assert values(batches, PULSE) == {10 + i: pulse(i) for i in range(12) if has(i)}
    assert values(batches, second) == {
        10 + i: int.from_bytes(bytes(range(i, i + 8)), "little") for i in (0, 4, 8)
    }


@needs_psana
def test_a_later_run_of_a_file(tmp_path: Path) -> None:
    first = [*run_of(COUNT, events=3)[:-1], w.dgram(20, w.END_RUN)]
    second = [
        w.configure([w.RUNINFO, OLD], 21),
        w.begin_run("tstx00417", 2, 22),
        *(w.dgram(30 + i, w.L1_ACCEPT, [old_data(i)]) for i in range(5)),
        w.dgram(99, w.END_RUN),
    ]
    runs = FilesSource.from_files([w.write_stream(tmp_path, first + second)]).runs()
    assert "old" not in next(runs).info.detectors
    batches = list(next(runs).batches([PULSE], BatchLimits()))
    assert values(batches, PULSE) == {30 + i: pulse(i) for i in range(5)}


@needs_psana
def test_psana_dies_in_the_middle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What it gave before is there, then gaps; all else goes on."""
    data = run_of(COUNT, OLD, events=300)
    bad = bytearray(data[2 + 200])
    bad[24 + 8 : 24 + 12] = (4).to_bytes(4, "little")  # an extent that aborts psana
    data[2 + 200] = bytes(bad)
    run = one(w.write_stream(tmp_path, data))
    batches = list(run.batches([N, PULSE], BatchLimits(events=64)))
    assert values(batches, PULSE) == {10 + i: pulse(i) for i in range(200) if has(i)}
    assert list(values(batches, N)) == [10 + i for i in range(300) if i != 200]
    said = " ".join(fault.what for fault in run.faults)
    assert "from there on without what psana computes" in said
    assert "was killed by SIG" in said
    assert sum(fault.events for fault in run.faults) == 0
    assert "from there on" in caplog.text


@needs_psana
def test_a_run_that_psana_does_not_see(tmp_path: Path) -> None:
    data = run_of(COUNT, OLD, events=6)
    run = one(w.write_stream(tmp_path, [data[0], *data[2:]]))
    (batch,) = run.batches(list(run.info.detectors["old"].signals()), BatchLimits())
    assert [*batch.columns] == [BYTES, Signal("old", "ts", "sequencer_info")]
    (fault,) = run.faults
    assert "without a BeginRun" in fault.what


@needs_psana
def test_a_description_can_be_sent(tmp_path: Path) -> None:
    info = one(w.write_stream(tmp_path, run_of(OLD, events=2))).info
    copy: RunInfo = pickle.loads(pickle.dumps(info))
    assert copy == info
    assert PULSE[1:] in copy.detectors["old"].fields


@pytest.fixture(scope="module")
def of_psana(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    jobs = {
        "ts": ["files", str(DATA / "test_ts.xtc2"), "xppts.ts.info"],
        "timetool": [
            "files",
            str(DATA / "test_timetool_psana.xtc2"),
            "tmott.ttalg.image",
        ],
    }
    found = psana_reads_all(tmp_path_factory.mktemp("psana"), jobs)
    return {name: runs[0]["events"] for name, runs in found.items()}


@needs_data
@needs_psana
def test_a_real_tuple(of_psana: dict[str, Any]) -> None:
    rows = read(one(DATA / "test_ts.xtc2"))
    assert len(rows) == 2
    for row, event in zip(rows, of_psana["ts"], strict=True):
        ours = [value for s, value in row.items() if s.field.startswith("info_")]
        theirs = event["derived"]["xppts", "ts", "info"]
        assert len(theirs) == 20
        assert ours == theirs


@needs_data
@needs_psana
def test_real_images_that_come_at_a_lower_rate(of_psana: dict[str, Any]) -> None:
    rows = read(one(DATA / "test_timetool_psana.xtc2"), BatchLimits(events=100))
    image, have = Signal("tmott", "ttalg", "image"), 0
    for row, event in zip(rows, of_psana["timetool"], strict=True):
        theirs = event["derived"]["tmott", "ttalg", "image"]
        assert (theirs is None) == (image not in row)
        if theirs is not None:
            assert row[image].dtype == theirs.dtype
            assert row[image].tobytes() == theirs.tobytes()
            have += 1
    assert 0 < have < len(rows)


# ------------------------------------------------------------------ what methods give


def test_what_a_column_can_hold() -> None:
    large = 2**63 + 1
    for given, dtype, shape, variable in (
        ([1, large], np.uint64, (), False),
        ([1, -1], np.int64, (), False),
        ([True], np.bool_, (), False),
        ([1.5, 2], np.float64, (), False),
        ([np.zeros(2, "f4"), np.zeros(3, "f4")], np.float32, None, True),
        ([[1, 2, 3]], np.int64, (3,), False),
        ([np.zeros((2, 3), "u2")] * 2, np.uint16, (2, 3), False),
    ):
        info = info_of(given)
        assert info is not None
        assert info.dtype == np.dtype(dtype)
        assert (info.shape, info.variable) == (shape, variable)
    assert info_of([np.zeros((2, 3)), np.zeros((3, 3))]) is None
    assert info_of([1, [1]]) is None


def test_what_is_in_a_value() -> None:
    waveforms = {0: {"times": np.arange(3.0), 1: np.arange(2)}, 1: None}
    assert [name for name, _ in leaves("w", waveforms)] == ["w_0_times", "w_0_1"]
    assert list(leaves("parser", object())) == []
