"""Runs in files: which events and values, cut how, described how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalldata_stream.batch import STRING, BatchLimits, Ragged, Signal, Status
from smalldata_stream.errors import SourceError
from smalldata_stream.protocols import Divisible
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.files_events import EventTable
from tests.sources.oracle import read, rows_of
from tests.sources.runs import all_signals, one_run
from tests.xtc2 import samples
from tests.xtc2 import writer as w


def test_every_type_against_what_was_written(tmp_path: Path) -> None:
    """The oracle is what the writer was given, not another reader."""
    path = samples.every_type(tmp_path)
    rows = read(one_run(FilesSource.from_files([path])))
    assert len(rows) == 23
    rng = np.random.default_rng(samples.SEED)
    for i, row in enumerate(rows):
        length = int(rng.integers(0, 9)) if i % 6 else 4
        wave = rng.integers(0, 999, length)
        assert row[Signal("vary", "raw", "wave")].tolist() == wave.tolist()
        assert row[Signal("vary", "raw", "head")].tolist() == [i, i + 1]
        assert row[Signal("vary", "raw", "note")] == "n" * (i % 4)
        for name, value in samples.every_type_values(rng, i).items():
            plain, _, enum = name.partition(":")
            if enum and plain != "mode":
                continue
            ours = row[Signal("odd", "raw", plain)]
            assert np.array_equal(ours, value), (i, plain)


def test_description(tmp_path: Path) -> None:
    run = one_run(FilesSource.from_files([samples.every_type(tmp_path)]))
    info = run.info
    assert (info.exp, info.number, info.begin, info.events) == ("tstx00417", 1, 1, 23)
    assert set(info.detectors) == {"odd", "vary", "epics", "scan"}
    odd = info.detectors["odd"]
    assert odd.versions == {"raw": (2, 1, 0)}
    assert (odd.type, odd.serial, odd.segments) == ("gmd", "serial", (0,))
    for kind in w.TYPES:
        for rank, shape in enumerate(samples.RANK_SHAPES):
            field = odd.fields["raw", f"{kind}_rank{rank}"]
            assert (field.dtype, field.rank, field.shape) == (np.dtype(kind), rank, shape)
    mode = odd.fields["raw", "mode"]
    assert (mode.dtype, mode.enum) == (np.dtype("i4"), {0: "off", 1: "on"})
    assert not [name for _, name in odd.fields if ":" in name]
    word = odd.fields["raw", "word"]
    assert (word.dtype, word.rank, word.shape) == (STRING, 0, ())
    wave = info.detectors["vary"].fields["raw", "wave"]
    assert (wave.variable, wave.shape, wave.rank) == (True, None, 1)


def test_kinds_of_columns(tmp_path: Path) -> None:
    run = one_run(FilesSource.from_files([samples.every_type(tmp_path)]))
    (batch,) = run.batches(all_signals(run), BatchLimits())
    for signal, column in batch.columns.items():
        info = run.info.detectors[signal.detector].fields[signal[1:]]
        if info.variable:
            assert isinstance(column.values, Ragged)
        else:
            values = np.asarray(column.values)
            assert values.shape[1:] == info.shape
            assert not values.flags.writeable
        assert column.values.dtype == info.dtype


def test_steps_and_slow_values(tmp_path: Path) -> None:
    rows = read(one_run(FilesSource.from_files([samples.every_type(tmp_path)])))
    steps = [row[Signal("", "", "step")] for row in rows]
    assert steps == [-1] * 3 + [0] * 8 + [1] * 8 + [2] * 4
    motor = [row.get(Signal("scan", "raw", "motor")) for row in rows]
    assert motor == [None] * 3 + [1.5] * 8 + [5.5] * 8 + [9.5] * 4
    slow = [row.get(Signal("epics", "raw", "temperature")) for row in rows]
    assert slow == [None] * 2 + [i / 3 for i in (2, 7, 12, 17) for _ in range(5)] + [22 / 3]


def test_text_of_segments_of_which_one_never_comes(tmp_path: Path) -> None:
    blocks = [
        w.Block(0x200 + s, "pv", "pv", "raw", (2, 0, 0), {"name": (w.CHARSTR, 1)}, s)
        for s in range(2)
    ]
    data = [w.configure([w.RUNINFO, *blocks]), w.begin_run("tstx00417", 1)]
    part = w.shapes_data(blocks[0], {"name": "one"})
    data += [w.dgram(10 + i, w.L1_ACCEPT, [part]) for i in range(3)]
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    (batch,) = run.batches([Signal("pv", "raw", "name")], BatchLimits())
    (column,) = batch.columns.values()
    assert not column.mask.any()
    assert batch.status["pv"].tolist() == [Status.MISSING] * 3


def test_segments_in_two_streams(tmp_path: Path) -> None:
    exp, number = samples.several_streams(tmp_path)
    run = one_run(FilesSource.from_run(exp, number, tmp_path))
    area = run.info.detectors["area"]
    assert area.segments == (0, 1, 2, 5)
    assert area.fields["raw", "raw"].shape == (4, 4, 6)
    assert area.fields["raw", "count"].shape == (4,)
    assert [name for _, name in area.fields if name.startswith("edges")] == [
        "edges_0",
        "edges_1",
        "edges_2",
        "edges_5",
    ]
    (batch,) = run.batches(all_signals(run), BatchLimits())
    missing = np.arange(40) % 3 == 0
    assert ((batch.status["area"] == Status.MISSING) == missing).all()
    column = batch.columns[Signal("area", "raw", "count")]
    assert (column.mask == ~missing).all()
    assert np.asarray(column.values).tolist() == [[i] * 4 for i in range(40) if i % 3]


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    events=st.integers(1, 50),
    nbytes=st.integers(1, 20000),
    chosen=st.randoms(use_true_random=False),
)
def test_any_cut_and_choice_gives_the_same(
    tmp_path: Path, events: int, nbytes: int, chosen: Any
) -> None:
    folder = tmp_path / "run"
    if not folder.exists():
        samples.several_streams(folder)
    whole = read(one_run(FilesSource.from_run("tstx00417", 3, folder)))
    run = one_run(FilesSource.from_run("tstx00417", 3, folder))
    signals = all_signals(run)
    some = chosen.sample(signals, chosen.randint(1, len(signals)))
    batches = list(run.batches(some, BatchLimits(events=events, bytes=nbytes)))
    assert all(list(batch.columns) == some for batch in batches)
    assert all(len(batch) <= events for batch in batches)
    parts = rows_of(batches)
    keep = {*some, Signal("", "", "timestamp"), Signal("", "", "step")}
    expected = [{s: v for s, v in row.items() if s in keep} for row in whole]
    order = sorted(keep)
    assert [repr([row.get(s) for s in order]) for row in parts] == [
        repr([row.get(s) for s in order]) for row in expected
    ]


def test_limits_count_only_what_is_asked_for(tmp_path: Path) -> None:
    exp, number = samples.several_streams(tmp_path)
    frames, count = Signal("area", "raw", "raw"), Signal("area", "raw", "count")
    run = one_run(FilesSource.from_run(exp, number, tmp_path))
    sizes = [len(batch) for batch in run.batches([count], BatchLimits(bytes=10 * 32))]
    assert min(sizes[:-1]) >= 10
    run = one_run(FilesSource.from_run(exp, number, tmp_path))
    per_event = 4 * 4 * 6 * 2
    limits = BatchLimits(bytes=3 * per_event)
    sizes = [len(batch) for batch in run.batches([frames], limits)]
    assert sum(sizes) == 40
    assert max(sizes) <= 5


def test_algorithms_at_different_rates(tmp_path: Path) -> None:
    """A raw image every third event does not make the fex of the others a gap."""
    raw = w.Block(1, "opal", "opal", "raw", (2, 0, 0), {"image": ("u1", 2)})
    fex = w.Block(2, "opal", "opal", "ttfex", (2, 1, 1), {"ampl": ("f8", 0)})
    data = [w.configure([w.RUNINFO, raw, fex]), w.begin_run("tstx00417", 1)]
    for i in range(9):
        parts = [w.shapes_data(fex, {"ampl": i})]
        if i % 3 == 0:
            parts.append(w.shapes_data(raw, {"image": np.full((2, 2), i)}))
        data.append(w.dgram(10 + i, w.L1_ACCEPT, parts))
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    image, amplitude = Signal("opal", "raw", "image"), Signal("opal", "ttfex", "ampl")
    (batch,) = run.batches([image, amplitude], BatchLimits())
    assert not batch.status["opal"].any()
    assert batch.columns[amplitude].present is None
    assert np.flatnonzero(batch.columns[image].mask).tolist() == [0, 3, 6]


def test_detector_that_comes_late(tmp_path: Path) -> None:
    """Its shape is found although the first hundred events have none."""
    late = w.Block(1, "late", "gmd", "raw", (2, 1, 0), {"v": ("f4", 2)})
    never = w.Block(2, "never", "gmd", "raw", (2, 1, 0), {"v": ("f4", 2)})
    data = [w.configure([w.RUNINFO, late, never]), w.begin_run("tstx00417", 1)]
    for i in range(300):
        parts = [w.shapes_data(late, {"v": np.full((2, 3), i)})] if i > 250 else []
        data.append(w.dgram(10 + i, w.L1_ACCEPT, parts))
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    assert run.info.detectors["late"].fields["raw", "v"].shape == (2, 3)
    assert run.info.detectors["never"].fields["raw", "v"].shape is None
    (batch,) = run.batches(all_signals(run), BatchLimits())
    assert np.asarray(batch.columns[Signal("late", "raw", "v")].values)[
        :, 0, 0
    ].tolist() == (list(range(251, 300)))
    assert not batch.columns[Signal("never", "raw", "v")].mask.any()
    assert (batch.status["never"] == Status.MISSING).all()


def test_asked_for_wrongly(tmp_path: Path) -> None:
    path = samples.every_type(tmp_path)
    run = one_run(FilesSource.from_files([path]))
    with pytest.raises(SourceError, match=r"did you mean 'raw\.first'"):
        run.batches([Signal("odd", "raw", "frist")], BatchLimits())
    run = one_run(FilesSource.from_files([path]))
    with pytest.raises(SourceError, match="did you mean 'odd'"):
        run.batches([Signal("od", "raw", "first")], BatchLimits())
    run = one_run(FilesSource.from_files([path]))
    run.batches([Signal("odd", "raw", "first")], BatchLimits())
    with pytest.raises(SourceError, match="once"):
        run.batches([Signal("odd", "raw", "first")], BatchLimits())


def test_only_events_without_signals(tmp_path: Path) -> None:
    run = one_run(FilesSource.from_files([samples.every_type(tmp_path)]))
    (batch,) = run.batches([], BatchLimits())
    assert len(batch) == 23
    assert not batch.columns
    assert not batch.status


def test_the_size_of_a_block_is_worked_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks at every event; for each block that would take longer than to read it."""
    looks = []

    def two(table: EventTable) -> int:
        looks.append(table)
        return 2

    monkeypatch.setattr(EventTable, "block_size", property(two))
    run = one_run(FilesSource.from_files([samples.every_type(tmp_path)]))
    assert isinstance(run, Divisible)
    blocks = run.blocks([Signal("vary", "raw", "head")], BatchLimits())
    assert blocks.count == 12
    batches = [batch for number in range(12) for batch in blocks.read(number)]
    assert [len(batch) for batch in batches] == [2] * 11 + [1]
    assert len(looks) == 1
