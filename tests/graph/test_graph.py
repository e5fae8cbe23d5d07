"""What a graph makes of a small run, against numpy on the same arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_stream.batch import Array, Batch
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import Graph, build
from smalldata_stream.run import DetectorInfo, RunInfo
from smalldata_stream.testing.detectors import void
from tests.graph import events

Writes = Callable[[Graph, RunInfo], None]


def run(write: Writes, *cuts: int) -> tuple[Graph, list[Batch]]:
    g = build(write, events.RUN)
    batches = events.batches(*cuts)
    for batch in batches:
        g.plan.push(batch)
    return g, batches


def per_event(batches: list[Batch], path: str) -> list[object]:
    """The values of a path, None where there is a gap."""
    found: list[object] = []
    for batch in batches:
        column = batch.record[path]
        values = iter(list(column.values))
        found += [np.asarray(next(values)).tolist() if p else None for p in column.mask]
    return found


def expected(values: Array, present: Array) -> list[object]:
    return [value.tolist() if p else None for value, p in zip(values, present, strict=True)]


def roi_and_ratio(g: Graph, run: RunInfo) -> None:
    cam = g.detector("cam", calibration="raw")
    roi = cam.roi("ROI_0", [[1, 3], [2, 6]])
    gmd = g.detector("gmd")
    g.function(lambda s, e: s / e, roi["sum"], gmd["energy"], name="cam/ratio")


SUMS = events.FRAMES[:, 1:3, 2:6].sum((1, 2)).astype(float)


@given(st.lists(st.integers(1, events.EVENTS - 1)))
def test_any_cut_into_batches_gives_the_same(cuts: list[int]) -> None:
    _, batches = run(roi_and_ratio, *cuts)
    both = events.CAM_THERE & events.GMD_THERE
    assert per_event(batches, "cam/ROI_0_sum") == expected(SUMS, events.CAM_THERE)
    assert per_event(batches, "gmd/energy") == expected(events.ENERGIES, events.GMD_THERE)
    assert per_event(batches, "cam/ratio") == expected(SUMS / events.ENERGIES, both)
    assert per_event(batches, "damage/cam") == events.CAM_THERE.tolist()


def test_the_order_of_branches_changes_nothing() -> None:
    def other_order(g: Graph, run: RunInfo) -> None:
        gmd = g.detector("gmd")
        cam = g.detector("cam", calibration="raw")
        pulse = gmd["energy"]
        roi = cam.roi("ROI_0", [[1, 3], [2, 6]])
        g.function(lambda e, s: s / e, pulse, roi["sum"], name="cam/ratio")

    _, one = run(roi_and_ratio)
    _, other = run(other_order)
    assert per_event(one, "cam/ratio") == per_event(other, "cam/ratio")


def test_light_status_and_scan() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        g.light_status(xray_excluded=[162], laser_required=[90])
        g.scan()

    _, batches = run(write, 5)
    assert per_event(batches, "lightStatus/laser") == events.LASER.tolist()
    assert per_event(batches, "lightStatus/xray") == events.XRAY.tolist()
    assert per_event(batches, "scan/varStep") == expected(events.STEP, events.STEP >= 0)
    assert per_event(batches, "scan/lxt")[3:6] == [None, 0.0, 0.0]


def test_a_node_that_raises_leaves_a_gap_and_a_dead_letter() -> None:
    def picky(frame_sum: float) -> float:
        if frame_sum == SUMS[4]:
            raise RuntimeError("bad pixel found")
        return frame_sum

    def write(g: Graph, run: RunInfo) -> None:
        roi = g.detector("cam", calibration="raw").roi("ROI_0", [[1, 3], [2, 6]])
        g.function(picky, roi["sum"], name="cam/picky")
        g.function(lambda s: 2 * s, "cam/picky", name="cam/twice")
        g.function(lambda s: s, roi["sum"], name="cam/sibling")

    g, batches = run(write, 6)
    there = events.CAM_THERE & (np.arange(events.EVENTS) != 4)
    assert per_event(batches, "cam/picky") == expected(SUMS, there)
    assert per_event(batches, "cam/twice") == expected(2 * SUMS, there)
    assert per_event(batches, "cam/sibling") == expected(SUMS, events.CAM_THERE)
    assert g.plan.failures == {"cam/picky": 1}
    (letter,) = g.plan.letters
    assert (letter.timestamp, letter.node) == (104, "cam/picky")
    line = picky.__code__.co_firstlineno + 2
    assert letter.error == f"RuntimeError: bad pixel found ({__file__}:{line})"
    assert "in picky" in letter.traceback


def test_what_a_node_did_not_declare_is_a_failure() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        energy = g.detector("gmd")["energy"]
        g.function(lambda e: e[:-1], energy, name="gmd/short", vectorized=True)

    g, batches = run(write)
    assert per_event(batches, "gmd/short") == [None] * events.EVENTS
    assert g.plan.failures == {"gmd/short": int(events.GMD_THERE.sum())}
    assert "values for" in g.plan.letters[0].error


def test_streamz_words_hang_below_any_node() -> None:
    seen: list[float] = []

    def explode(batch: Batch) -> None:
        raise ZeroDivisionError("user code")

    def write(g: Graph, run: RunInfo) -> None:
        roi = g.detector("cam", calibration="raw").roi("ROI_0", [[1, 3], [2, 6]])
        roi.map(explode).sink(print)
        # Nothing refers to this branch: streamz alone would forget it.
        roi.map(lambda b: b.record["cam/ROI_0_sum"].values.sum()).map(seen.append)

    g, _ = run(write, 6)
    assert sum(seen) == SUMS[events.CAM_THERE].sum()
    assert g.plan.failures == {"cam/ROI_0 > <map: explode>": events.EVENTS}
    g.plan.close()


def test_a_total_over_chosen_events() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        g.light_status(xray_excluded=[162], laser_required=[90])
        cam = g.detector("cam", calibration="raw")
        cam.sum("calib")
        cam.sum("calib_dropped")
        cam.roi("ROI_0", [[1, 3], [2, 6]]).sum("calib_max")

    g, _ = run(write, 5, 7)
    results = g.plan.results()
    frames = events.FRAMES.astype(float)
    off = events.CAM_THERE & ~events.XRAY
    np.testing.assert_array_equal(
        results["Sums/cam_calib"].value, frames[events.CAM_THERE].sum(0)
    )
    assert results["Sums/cam_calib"].count == events.CAM_THERE.sum()
    np.testing.assert_array_equal(
        results["Sums/cam_calib_dropped"].value, frames[off].sum(0)
    )
    assert results["Sums/cam_calib_dropped"].count == off.sum()
    np.testing.assert_array_equal(
        results["Sums/cam_ROI_0_calib_max"].value,
        events.FRAMES[events.CAM_THERE][:, 1:3, 2:6].max(0),
    )


def test_an_optional_detector_that_is_absent_is_dropped_and_said() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        epix = g.detector("epix", optional=True)
        epix.roi("ROI_0", [[0, 1], [0, 1]]).projection(axis=0)
        g.function(lambda s, e: s, epix["x"], g.detector("gmd")["energy"], name="epix/r")

    g, batches = run(write)
    assert set(g.plan.outputs()) == {"gmd/energy", "damage/gmd"}
    assert set(batches[0].record) >= {"gmd/energy"}
    assert g.plan.dropped[0] == "epix: not in this run"
    assert "epix/r: needs epix/x" in g.plan.dropped


def test_totals_and_filters_by_what_this_run_does_not_have_are_dropped_and_said() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        epix = g.detector("epix", optional=True)
        cam = g.detector("cam", calibration="raw")
        cam.sum("calib", where="epix/x")
        cam.sum("calib")
        g.keep(epix["x"], why="no epix")

    g, _ = run(write)
    assert list(g.plan.totals()) == ["Sums/cam_calib"]
    assert g.plan.dropped == [
        "epix: not in this run",
        "cam/calib: needs epix/x",
        "keep, 'no epix': needs epix/x",
    ]
    assert g.plan.results()["Sums/cam_calib"].count == events.CAM_THERE.sum()


def test_a_detector_of_which_nothing_is_written_still_has_its_damage() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        g.detector("cam", calibration="raw")
        g.detector("gmd", fields=[])

    g, batches = run(write)
    assert set(g.plan.outputs()) == {"damage/cam", "damage/gmd"}
    assert per_event(batches, "damage/cam") == events.CAM_THERE.tolist()
    assert per_event(batches, "damage/gmd") == events.GMD_THERE.tolist()


def test_frames_that_no_word_wants_are_not_calibrated() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        g.detector("cam", calibration="gain", fields=[])

    def total(g: Graph, run: RunInfo) -> None:
        g.detector("cam", calibration="gain").sum("calib")

    g, _ = run(write)
    assert "cam" not in g.plan.config
    with pytest.raises(GraphError, match="needs pedestals and pixel_gain"):
        build(total, events.RUN)


def test_parameters_are_noted_under_smalldata_names() -> None:
    def write(g: Graph, run: RunInfo) -> None:
        cam = g.detector("cam", calibration="raw")
        cam.roi("ROI_0", [[1, 3], [2, 6]], threshold_adu=5).projection(axis=0)

    g, _ = run(write)
    config = g.plan.config["cam"]
    assert np.array_equal(config["ROI_0__ROI_0_bound"], [[1, 3], [2, 6]])
    assert config["ROI_0__ROI_0_thresADU"] == 5
    assert config["ROI_0__pj_ax_0_axis"] == 0


def broken_detector(g: Graph, run: RunInfo) -> None:
    g.detector("camm")


def broken_parameter(g: Graph, run: RunInfo) -> None:
    g.detector("cam", calibration="raw").roi("r", [[0, 1], [0, 1]], aera=True)  # type: ignore[call-arg]


def broken_word(g: Graph, run: RunInfo) -> None:
    g.detector("cam", calibration="raw").rio("r")


def roi_outside(g: Graph, run: RunInfo) -> None:
    g.detector("cam", calibration="raw").roi("r", [[0, 1], [0, 7]])


def same_name(g: Graph, run: RunInfo) -> None:
    cam = g.detector("cam", calibration="raw")
    cam.roi("r", [[0, 1], [0, 2]])
    cam.roi("r", [[0, 1], [0, 3]])


def unknown_path(g: Graph, run: RunInfo) -> None:
    g.detector("gmd")
    g.function(abs, "gmd/enregy", name="gmd/abs")


def no_frames(g: Graph, run: RunInfo) -> None:
    g.detector("gmd").roi("r", [[0, 1]])


def unknown_field(g: Graph, run: RunInfo) -> None:
    g.detector("gmd")["enregy"]


def later_light(g: Graph, run: RunInfo) -> None:
    g.detector("cam", calibration="raw").sum("calib_dropped")


def twice(g: Graph, run: RunInfo) -> None:
    g.detector("gmd")
    g.detector("gmd")


def several_results(g: Graph, run: RunInfo) -> None:
    g.light_status(xray_excluded=[162]).roi("r", [[0, 1]])


def any_python(g: Graph, run: RunInfo) -> None:
    raise KeyError("motor")


def test_a_detector_without_a_field_is_told() -> None:
    bare = DetectorInfo(name="bare", type="gmd", fields={})
    run = RunInfo(exp="", number=7, detectors={"bare": bare})
    with pytest.raises(GraphError, match=r"bare \(type gmd\) has no field in this run"):
        build(lambda g, _: void(g.detector("bare")), run)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (broken_detector, "no detector 'camm' in run 7; did you mean 'cam'"),
        (broken_parameter, "roi has no parameter 'aera'; did you mean 'area'"),
        (broken_word, "cam has no word 'rio'; did you mean 'roi'"),
        (roi_outside, r"\(4, 6\)"),
        (same_name, "cam/r_sum is written twice"),
        (
            unknown_path,
            "nothing before this line puts out 'gmd/enregy'; did you mean 'gmd/en",
        ),
        (no_frames, r"gmd \(type gmd\) has no frames; choose a field"),
        (unknown_field, "gmd has no field 'enregy'; did you mean 'raw.energy'"),
        (later_light, "nothing before this line puts out 'lightStatus/xray'"),
        (twice, "'gmd' is named twice"),
        (several_results, "choose one of its results"),
        (any_python, "KeyError: 'motor'"),
    ],
)
def test_a_wrong_graph_names_the_line_and_what_to_write(write: Writes, says: str) -> None:
    with pytest.raises(GraphError, match=says) as caught:
        build(write, events.RUN)
    assert caught.value.file == __file__
    lines = range(write.__code__.co_firstlineno + 1, write.__code__.co_firstlineno + 4)
    assert caught.value.line in lines
