"""Ghosts: what a frame still has of the pulse before, by numpy and by the simulation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinks.memory import MemorySink
from smalldata_stream.batch import Array, Batch, BatchLimits, Column, Frames, Signal
from smalldata_stream.constants import Constants, read_constants
from smalldata_stream.detectors.area import Calibration
from smalldata_stream.detectors.ghost import Ghost
from smalldata_stream.errors import ConstantsError
from smalldata_stream.graph import Graph
from smalldata_stream.kernels.ghost import PIECE, subtract_ghost
from smalldata_stream.lead_in import NOTHING_BEFORE
from smalldata_stream.modes.batch import Options, reduce_run
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.protocols import Divisible, PerEvent, Source, Spec
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from tests.detectors.ghost_cam import SHAPE, cam_constants, made
from tests.reductions.frames import noisy
from tests.sources.psana_runs import needs_psana

# --------------------------------------------------------------------------- the kernel


@pytest.mark.parametrize("pixels", [1, PIECE, 2 * PIECE + 5])
def test_the_kernel_is_one_line_of_numpy(pixels: int) -> None:
    frames, (before, p0, p1) = noisy((4, pixels), "f4", 1), noisy((3, pixels), "f4", 2)
    above = np.concatenate([before[None], frames[:-1]])
    want = frames - (p0 + p1 * above)
    subtract_ghost(frames, before, p0, p1)
    assert frames.tobytes() == want.tobytes()


# ------------------------------------------------------- a run with a ghost, and without

RUN = Simulation(
    events=48,
    steps=2,
    detectors=("timing", "jungfrau"),
    jungfrau_shape=(1, 256, 128),
    jungfrau_ghost=0.005,
)
RAW = Signal("jungfrau", "raw", "raw")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    return simulate(tmp_path_factory.mktemp("ghost"), RUN)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    """The same run without a ghost."""
    return simulate(tmp_path_factory.mktemp("clean"), replace(RUN, jungfrau_ghost=0.0))


def frames_of(
    source: Source,
    constants: Path,
    limits: BatchLimits | None = None,
    **parameters: Any,
) -> tuple[Column, MemorySink]:
    """The whole jungfrau of each event."""

    def graph(g: Graph, run: RunInfo) -> None:
        g.detector("jungfrau", **parameters).full()

    sink, (one,) = MemorySink(), source.runs()
    find = find_constants(str(constants), one.info, None)
    options = Options(limits=limits or BatchLimits())
    assert reduce_run(one, made(graph), sink, find, options).ledger.closes
    return sink["jungfrau/full_area"], sink


def files(of: SimulatedFiles) -> FilesSource:
    return FilesSource.from_files(of.xtc2)


def tables(of: SimulatedFiles) -> tuple[Array, Array]:
    constants = read_constants(of.constants)["jungfrau"]
    assert constants.ghost_p0 is not None
    assert constants.ghost_p1 is not None
    return constants.ghost_p0, constants.ghost_p1


def test_frames_are_those_of_a_run_without_a_ghost(
    run: SimulatedFiles, clean: SimulatedFiles
) -> None:
    found, sink = frames_of(files(run), run.constants, ghost=Ghost())
    truth, _ = frames_of(files(clean), clean.constants)
    uncorrected, _ = frames_of(files(run), run.constants)
    assert found.mask.tolist() == [False] + [True] * 47
    assert sink.ledger is not None
    assert sink.ledger.unknown == {f"jungfrau: {NOTHING_BEFORE}": 1}
    assert not sink.ledger.gaps
    want = np.asarray(truth.values)[1:]
    off = np.abs(np.asarray(found.values) - want)
    # Pixels are recorded in whole ADU, here twice; a keV are 41 ADU, 1.45 or 0.11.
    allowed = 1.01 / np.where(want < 270, 36.0, np.where(want < 8500, 1.2, 0.09))
    assert (off <= allowed).all()
    assert (np.abs(np.asarray(uncorrected.values)[1:] - want) > allowed).mean() > 0.5


@pytest.mark.parametrize("common_mode", [None, "rows"])
@pytest.mark.parametrize("events", [1, 7, 1000])
def test_it_is_one_line_of_numpy_however_the_run_is_cut(
    run: SimulatedFiles, common_mode: Any, events: int
) -> None:
    """Common mode and gain come before the ghost."""
    more = {"common_mode": common_mode}
    dat, _ = frames_of(files(run), run.constants, **more)
    (p0,), (p1,) = tables(run)
    values = np.asarray(dat.values)
    want = values[1:] - (p0 + p1 * values[:-1])
    status = read_constants(run.constants)["jungfrau"].pixel_status
    assert status is not None
    want[:, (status[:, 0] != 0).any(axis=0)] = 0  # bad pixels
    limits = BatchLimits(events=events)
    found, _ = frames_of(files(run), run.constants, limits, ghost=Ghost(), **more)
    assert found.mask.tolist() == [False] + [True] * 47
    assert np.asarray(found.values).tobytes() == want.tobytes()


def test_a_local_gain_comes_after_the_ghost(run: SimulatedFiles) -> None:
    dat, _ = frames_of(files(run), run.constants, ghost=Ghost())
    gain = noisy((1, 256, 128), "f4", 3) / 1000 + 2
    found, _ = frames_of(files(run), run.constants, ghost=Ghost(), local_gain=gain)
    want = np.asarray(dat.values) * gain
    np.testing.assert_allclose(np.asarray(found.values), want, rtol=2e-4, atol=2e-4)


@needs_psana
def test_psana_reads_the_same_bits(run: SimulatedFiles) -> None:
    ours, _ = frames_of(files(run), run.constants, ghost=Ghost())
    psana = PsanaSource.from_run(RUN.exp, RUN.run, run.directory)
    theirs, _ = frames_of(psana, run.constants, ghost=Ghost())
    assert theirs.mask.tolist() == ours.mask.tolist()
    assert np.asarray(theirs.values).tobytes() == np.asarray(ours.values).tobytes()


# ------------------------------------------------------------------------ the lead-in


def block_size(monkeypatch: pytest.MonkeyPatch, events: int) -> None:
    from smalldata_stream.sources import files_events, psana_run

    monkeypatch.setattr(files_events, "BLOCK_BYTES", 0)
    monkeypatch.setattr(files_events, "MIN_BLOCK_EVENTS", events)
    monkeypatch.setattr(psana_run, "BLOCKS", 1)


@pytest.mark.parametrize("reader", ["native", pytest.param("psana", marks=needs_psana)])
def test_the_lead_in_of_a_block_is_what_was_read_shortly_before(
    run: SimulatedFiles, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    block_size(monkeypatch, 8)
    kind: Any = FilesSource if reader == "native" else PsanaSource
    (one,) = kind.from_run(RUN.exp, RUN.run, run.directory).runs()
    blocks = one.blocks([RAW], BatchLimits(events=3))
    faults = one.faults, blocks.damage.faults()
    times = times_of(run)
    for number, ms, lead_in in (
        (0, 12.5, range(0)),
        (2, TEN_PERIODS, range(6 if reader == "native" else 8, 16)),  # psana reads once
        (4, 12.5, range(31, 32)),
        (5, 8.0, range(0)),  # less than a period
    ):
        before = list(blocks.before(number, ms))
        assert all(batch.columns[RAW].mask.all() for batch in before)
        assert all(len(batch) <= 3 for batch in before)
        assert stamps(before) == [times[i] for i in lead_in]
        assert stamps(blocks.read(number)) == times[number * 8 : number * 8 + 8]
    assert (one.faults, blocks.damage.faults()) == faults


TEN_PERIODS = 10.5e3 / 120
"""ms, and half of one."""


def stamps(batches: Iterable[Batch]) -> list[int]:
    return [int(time) for batch in batches for time in batch.timestamps]


def times_of(run: SimulatedFiles) -> list[int]:
    (one,) = files(run).runs()
    return stamps(one.batches([], BatchLimits()))


def test_the_lead_in_of_growing_files(run: SimulatedFiles) -> None:
    from smalldata_stream.sources.files import LiveFiles
    from smalldata_stream.sources.files_live import LIVE_BLOCK_EVENTS

    assert RUN.events < LIVE_BLOCK_EVENTS  # so that cuts are made here
    how = LiveFiles(poll_seconds=0.01)
    source = FilesSource.from_run(RUN.exp, RUN.run, run.directory, live=how)
    (one,) = source.runs()
    assert isinstance(one, Divisible)
    blocks: Any = one.blocks([RAW], BatchLimits(events=3))
    blocks.size = 8
    times = times_of(run)
    for number, ms, first in ((2, 12.5, 15), (4, TEN_PERIODS, 22)):
        assert stamps(blocks.before(number, ms)) == times[first : number * 8]
        assert stamps(blocks.read(number)) == times[number * 8 : number * 8 + 8]
    assert list(blocks.before(6, 12.5)) == []  # behind the end


# ------------------------------------------------------------ what is said, and written


def prepared(constants: Constants | None = None, **parameters: Any) -> PerEvent:
    chosen = {"calibration": "gain", "ghost": Ghost(), **parameters}
    raw = Spec(dtype=np.dtype("u2"), shape=SHAPE)
    return Calibration(**chosen).prepare("axis", raw, constants or cam_constants())


@pytest.mark.parametrize("ms", [0, -1.0, 1001.0, float("nan")])
def test_a_wrong_interval(ms: float) -> None:
    with pytest.raises(ValueError, match=r"most_ms=.*above 0 and up to 1000; 12.5 is"):
        Ghost(most_ms=ms)


def test_the_constants_must_be_there_and_fit() -> None:
    with pytest.raises(ConstantsError, match=r"cam: .*constants fetch .*--ghost cam=FITS"):
        prepared(cam_constants(ghost_p1=None))
    with pytest.raises(ConstantsError, match=r"shapes do not fit each other.*\(2, 2\)"):
        cam_constants(ghost_p0=np.ones((2, 2)))
    with pytest.raises(ConstantsError, match="no pixel has a finite ghost_p0"):
        prepared(cam_constants(ghost_p0=np.full(SHAPE, np.nan)))
    with pytest.raises(ValueError, match=r"ghost=.* needs calibration='gain', not 'raw'"):
        prepared(calibration="raw")


def test_pixels_without_a_ghost_are_bad() -> None:
    p0 = noisy(SHAPE, "f4", 5)
    p0[0, :3] = np.nan, np.inf, -np.inf
    ready = prepared(cam_constants(ghost_p0=p0))
    mask = ready.outputs[""].mask
    assert mask is not None
    assert np.flatnonzero(~mask).tolist() == [0, 1, 2]
    frame = Frames([noisy(SHAPE, "u2", 1)])
    assert np.asarray(ready.compute(frame, frame)[""])[0, 0, :3].tolist() == [0, 0, 0]


def test_what_was_done_is_written(run: SimulatedFiles) -> None:
    _, sink = frames_of(files(run), run.constants, ghost=Ghost(most_ms=9.0))
    assert sink.declaration is not None
    config = sink.declaration.config["jungfrau"]
    assert config["ghost_most_ms"] == 9.0
    for name, table in zip(("ghost_p0", "ghost_p1"), tables(run), strict=True):
        assert config[name].tobytes() == table.tobytes()


@pytest.mark.parametrize("number", [180, 181])
def test_the_old_numbers(number: int) -> None:
    shape = (1, 176, 96)
    raw, modes = Spec(dtype=np.dtype("u2"), shape=shape), (7, *shape)
    config = {("config", "cbitsConfig"): np.full(shape[1:], 28)}  # high gain
    epix = Constants(
        detector="epix",
        pedestals=noisy(modes, "f4", 1),
        pixel_gain=noisy(modes, "f4", 2) + 300,
    )
    old = Calibration(common_mode=number)
    with pytest.raises(ConstantsError, match="common_mode=80 or 81 instead of 180 or 181"):
        old.prepare("epix10ka", raw, epix, config)
    given = replace(epix, ghost_p0=noisy(shape, "f4", 5), ghost_p1=noisy(shape, "f4", 6))
    ready = old.prepare("epix10ka", raw, given, config)
    assert ready.before_ms == 12.5
    word = Calibration(ghost=Ghost()).prepare("epix10ka", raw, given, config)
    frames, before = (Frames([noisy(shape, "u2", seed)]) for seed in (1, 2))
    one, other = (np.asarray(r.compute(frames, before)[""]) for r in (ready, word))
    assert one.tobytes() == other.tobytes()
    both = Calibration(common_mode=number, ghost=Ghost(most_ms=3))
    assert both.prepare("epix10ka", raw, given, config).before_ms == 3
