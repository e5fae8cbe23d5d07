"""Where the frame of the pulse before is not known the frame is a gap."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sinks.memory import MemorySink
from smalldata_stream.batch import BatchLimits, Frames, Signal
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.detectors.ghost import Ghost
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import FindConstants, Graph
from smalldata_stream.lead_in import NOTHING_BEFORE
from smalldata_stream.modes.batch import Options, reduce_run
from smalldata_stream.modes.joined import JoinedRun
from smalldata_stream.modes.live import LiveOptions
from smalldata_stream.protocols import Spec
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.simulated import (
    Damaged,
    EndStep,
    Lost,
    Missing,
    Script,
    SimulatedSource,
)
from tests.detectors.ghost_cam import PEDESTAL, SHAPE, WITH_CAM, cam_constants, made
from tests.reductions.frames import noisy


def cam(script: Script, most_ms: float = 12.5, events: int = 5) -> MemorySink:
    """What the graph makes of the camera of a scripted run, at 100 Hz."""

    def graph(g: Graph, run: RunInfo) -> None:
        g.detector(
            "cam", frames="image", calibration="gain", ghost=Ghost(most_ms=most_ms)
        ).full()

    sink, (one,) = MemorySink(), SimulatedSource(script).runs()
    options = Options(limits=BatchLimits(events=events))
    reduce_run(one, made(graph), sink, lambda name: cam_constants(), options)
    return sink


def gaps(sink: MemorySink) -> list[int]:
    return np.flatnonzero(~sink["cam/full_area"].mask).tolist()


def kev(script: Script, event: int) -> NDArray[np.float32]:
    frame = script.values(Signal("cam", "raw", "image"), event)
    adu: NDArray[np.float32] = frame.astype(np.float32)
    return (adu - PEDESTAL) / np.float32(2)


@pytest.mark.parametrize("events", [1, 5, 100])
def test_where_there_is_no_frame_before_is_a_gap(events: int) -> None:
    items = (Missing("cam", 7), Damaged("cam", 12), Lost(20), EndStep(24))
    script = Script(detectors=WITH_CAM, events=30, items=items)
    sink = cam(script, events=events)
    delivered = script.delivered()
    found = [delivered[i] for i in gaps(sink)]
    # The first event; missing, damaged, and those after them; after the lost one; but not
    # the first one of a step, which comes as soon as any other.
    assert found == [0, 7, 8, 12, 13, 21]
    assert sink.ledger is not None
    assert sink.ledger.unknown == {f"cam: {NOTHING_BEFORE}": 4}
    assert sink.ledger.closes
    p0, p1 = cam_constants().ghost_p0, cam_constants().ghost_p1
    assert p0 is not None
    assert p1 is not None
    there = [event for event in delivered if event not in found]
    for event, frame in zip(there, sink["cam/full_area"].values, strict=True):
        want = kev(script, event) - (p0 + p1 * kev(script, event - 1))
        assert np.asarray(frame).tobytes() == want.tobytes(), event


@pytest.mark.parametrize("events", [1, 3, 100])
def test_the_frame_before_may_be_some_events_earlier_but_none_damaged(events: int) -> None:
    """As where another detector has more events: what counts is the time."""
    script = Script(
        detectors=WITH_CAM, events=12, items=(Missing("cam", 4), Damaged("cam", 8))
    )
    sink = cam(script, most_ms=25.0, events=events)
    assert gaps(sink) == [0, 4, 8, 9]
    assert gaps(cam(script, most_ms=9.0)) == list(range(12))


def test_each_run_begins_without_a_memory() -> None:
    first, second = (
        Script(detectors=WITH_CAM, events=5),
        Script(detectors=WITH_CAM, events=5, number=2),
    )  # at the same times
    for script in (first, second):
        assert gaps(cam(script)) == [0]


def test_an_event_that_cannot_be_calibrated_is_no_frame_before() -> None:
    ready = Calibration(calibration="gain", ghost=Ghost()).prepare(
        "axis", Spec(dtype=np.dtype("u2"), shape=SHAPE), cam_constants()
    )
    frames = [noisy(SHAPE, "u2", seed) for seed in range(3)]
    with pytest.raises(ValueError, match="reshape"):
        ready.compute(Frames(frames[:1]), Frames([frames[1][:1]]))


def test_frames_that_were_cut_apart_are_the_same() -> None:
    """Whether the frame before is that of the row above is seen by where it is."""
    ready = Calibration(calibration="gain", ghost=Ghost()).prepare(
        "axis", Spec(dtype=np.dtype("u2"), shape=SHAPE), cam_constants()
    )
    frames = [noisy(SHAPE, "u2", seed) for seed in range(6)]
    together = ready.compute(Frames(frames[1:]), Frames(frames[:-1]))[""]
    copies = ready.compute(np.array(frames[1:]), Frames([f.copy() for f in frames[:-1]]))
    holes = ready.compute(Frames(frames[1::2]), Frames(frames[::2]))[""]
    assert np.asarray(together).tobytes() == np.asarray(copies[""]).tobytes()
    assert np.asarray(holes).tobytes() == np.asarray(together)[::2].tobytes()


def test_workers_of_a_live_session_are_refused() -> None:
    def graph(g: Graph, run: RunInfo) -> None:
        g.detector("cam", frames="image", calibration="gain", ghost=Ghost()).full()

    find: FindConstants = lambda name: cam_constants()  # noqa: E731
    (one,) = SimulatedSource(Script(detectors=WITH_CAM)).runs()
    with pytest.raises(GraphError, match=r"ghost= .*start live without --workers"):
        JoinedRun(one.info, made(graph), find, LiveOptions(), 1.0)


def test_a_graph_without_ghosts_asks_for_no_lead_in() -> None:
    def graph(g: Graph, run: RunInfo) -> None:
        g.detector(
            "cam", frames="image", calibration="gain", ghost=Ghost()
        )  # no word wants its frames
        g.detector("gmd")

    (one,) = SimulatedSource(Script(detectors=WITH_CAM)).runs()
    built = made(graph).build(one.info, lambda name: cam_constants())
    assert built.plan.before_ms == 0
