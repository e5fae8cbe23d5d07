"""Batch mode over scripted runs: the ledger closes, gaps are gaps, failures are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink, missing_value
from sinks.memory import MemorySink
from smalldata_stream.batch import BatchLimits, Signal
from smalldata_stream.errors import GraphError, NodeFailures
from smalldata_stream.graph import Graph
from smalldata_stream.loading import GraphFile
from smalldata_stream.modes.batch import Options, reduce_run
from smalldata_stream.modes.session import Report
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.simulated import (
    Cut,
    Damaged,
    EndStep,
    Item,
    Lost,
    Missing,
    Script,
    SimulatedSource,
)

ENERGY = Signal("gmd", "raw", "energy")
Writes = Callable[[Graph, RunInfo], None]


def graph_file(write: Writes) -> GraphFile:
    return GraphFile(Path(__file__), "the text of the graph", write)


def reduce(
    write: Writes,
    *items: Item,
    events: int = 40,
    limits: int = 7,
    max_failures: float = 0.1,
) -> tuple[MemorySink, Report, Script]:
    script = Script(events=events, items=items)
    (run,) = SimulatedSource(script).runs()
    sink = MemorySink()
    options = Options(limits=BatchLimits(events=limits), max_failures=max_failures)
    report = reduce_run(run, graph_file(write), sink, options=options)
    return sink, report, script


def everything(g: Graph, run: RunInfo) -> None:
    for name in ("timing", "gmd", "diode", "peaks", "andor_slow"):
        g.detector(name, calibration="raw")
    g.epics()
    g.scan()
    cam = g.detector("cam", frames="raw.image", calibration="raw")
    cam.roi("ROI_0", [[0, 2], [0, 4], [2, 8]], area=True)
    cam.sum("calib")


def test_every_event_is_written_and_the_ledger_closes() -> None:
    sink, report, script = reduce(
        everything, Missing("cam", event=7), Damaged("gmd", event=9), EndStep(after=12)
    )
    assert report.ledger.closes
    assert (report.ledger.read, report.ledger.written) == (40, 40)
    assert sink.timestamps.tolist() == [script.timestamp(e) for e in range(40)]
    assert np.flatnonzero(~sink["gmd/energy"].mask).tolist() == [9]
    assert np.flatnonzero(~sink["cam/ROI_0_sum"].mask).tolist() == [7]
    assert np.asarray(sink["damage/gmd"].values).tolist() == [e != 9 for e in range(40)]
    step = np.asarray(sink["scan/varStep"].values)
    assert step.tolist() == [script.step(e) for e in range(40)]
    assert sink.totals["Sums/cam_calib"].count == 39


def test_events_that_the_source_lost_are_dropped_by_reason() -> None:
    _, report, _ = reduce(
        everything, Lost(event=5, why="no bytes"), Lost(event=6, why="no bytes")
    )
    assert report.ledger.closes
    assert (report.ledger.read, report.ledger.written) == (40, 38)
    assert report.ledger.dropped == {"no bytes": 2}


def test_data_that_stop_keep_what_came_before() -> None:
    sink, report, _ = reduce(everything, Cut(after=20))
    assert len(sink.timestamps) == 21
    assert report.ledger.closes
    assert [fault.what for fault in report.faults] == ["the data stop here"]
    assert report.ledger.dropped == {}


def test_what_the_graph_leaves_out_is_filtered_by_reason() -> None:
    def pumped(g: Graph, run: RunInfo) -> None:
        light = g.light_status(xray_excluded=[162], laser_required=[90])
        g.keep(light["xray"], why="no X-rays")
        g.keep(light["laser"], why="laser off")
        g.detector("gmd")

    sink, report, script = reduce(pumped)
    kept = [e for e in range(40) if e % 10 != 4 and e % 2 == 0]
    assert sink.timestamps.tolist() == [script.timestamp(e) for e in kept]
    assert report.ledger.filtered == {"no X-rays": 4, "laser off": 20}
    assert report.ledger.closes


def test_a_gap_in_the_filter_leaves_the_event_out() -> None:
    def bright(g: Graph, run: RunInfo) -> None:
        energy = g.detector("gmd")["energy"]
        chosen = g.function(lambda e: e > 0, energy, name="gmd/on", dtype=bool)
        g.keep(chosen, why="no pulse energy")

    _, report, _ = reduce(bright, Missing("gmd", event=3))
    assert report.ledger.filtered == {"no pulse energy": 1}


def fails_on(events: set[float]) -> Writes:
    def write(g: Graph, run: RunInfo) -> None:
        def picky(energy: float) -> float:
            if energy in events:
                raise OSError("no such calibration")
            return energy

        g.function(picky, g.detector("gmd")["energy"], name="gmd/picky")

    return write


def test_a_few_failures_leave_gaps() -> None:
    sink, report, script = reduce(fails_on({1.3, 1.5}))
    assert report.ledger.gaps == {"gmd/picky": 2}
    assert report.ledger.closes
    assert np.flatnonzero(~sink["gmd/picky"].mask).tolist() == [3, 5]
    letters = report.ledger.dead_letters
    assert [letter.timestamp for letter in letters] == [script.timestamp(e) for e in (3, 5)]


def test_dead_letters_are_in_the_file(tmp_path: Path) -> None:
    script = Script()
    (run,) = SimulatedSource(script).runs()
    reduce_run(run, graph_file(fails_on({1.3})), Hdf5Sink(tmp_path / "a.h5"))
    with h5py.File(tmp_path / "a.h5") as f:
        letters = f["ledger/dead_letters"]
        assert letters["timestamp"][:].tolist() == [script.timestamp(3)]
        assert letters["node"].asstr()[0] == "gmd/picky"
        assert (
            letters["error"]
            .asstr()[0]
            .startswith(f"OSError: no such calibration ({__file__}:")
        )
        assert "in picky" in letters["traceback"].asstr()[0]


def test_too_many_failures_end_the_job_and_say_why() -> None:
    with pytest.raises(NodeFailures, match=r"gmd/picky failed on 5 of 40.*no such calib"):
        reduce(fails_on({1.1, 1.2, 1.3, 1.4, 1.5}))
    reduce(fails_on({1.1, 1.2, 1.3, 1.4, 1.5}), max_failures=0.2)


def test_a_wrong_graph_writes_nothing(tmp_path: Path) -> None:
    def wrong(g: Graph, run: RunInfo) -> None:
        g.detector("gmdd")

    (run,) = SimulatedSource().runs()
    with pytest.raises(GraphError, match="did you mean 'gmd'"):
        reduce_run(run, graph_file(wrong), Hdf5Sink(tmp_path / "a.h5"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limits", [1, 7, 1000])
def test_the_file_does_not_depend_on_the_batches(tmp_path: Path, limits: int) -> None:
    script = Script(items=(Missing("cam", event=0), Damaged("gmd", event=39)))
    (run,) = SimulatedSource(script).runs()
    path = tmp_path / "run.h5"
    options = Options(limits=BatchLimits(events=limits), command="smalldata-stream run x")
    reduce_run(run, graph_file(everything), Hdf5Sink(path), options=options)
    frames = [script.values(Signal("cam", "raw", "image"), e) for e in range(1, 40)]
    with h5py.File(path) as f:
        energy = f["gmd/energy"][:]
        assert np.isnan(energy[39])
        assert energy[:39].tolist() == [script.values(ENERGY, e) for e in range(39)]
        boxes = np.array([frame[:, 0:4, 2:8] for frame in frames], float)
        np.testing.assert_array_equal(f["cam/ROI_0_sum"][1:], boxes.sum((1, 2, 3)))
        assert np.isnan(f["cam/ROI_0_sum"][0])
        area = f["cam/ROI_0_area"]
        assert (area[0] == missing_value(area.dtype)).all()
        np.testing.assert_array_equal(area[1:], boxes)
        np.testing.assert_array_equal(
            f["Sums/cam_calib"][:], np.sum(frames, 0, dtype=float)
        )
        assert f["Sums/cam_calib"].attrs["count"] == 39
        assert f["damage/cam"][:].tolist() == [0] + 39 * [1]
        lengths = f["peaks/var_time_len"][:]
        assert lengths.tolist() == [e % 4 for e in range(40)]
        assert f["provenance/command"][()].decode() == "smalldata-stream run x"
        assert f["provenance/graph"][()].decode() == "the text of the graph"
