"""Runs in files: which events and values, cut how, described how."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalldata_stream.batch import STRING, BatchLimits, Frames, Ragged, Signal, Status
from smalldata_stream.errors import SourceError
from smalldata_stream.protocols import Run
from smalldata_stream.sources.files import FilesSource
from tests.sources.oracle import DATA, needs_data, read, rows_of
from tests.xtc2 import samples
from tests.xtc2 import writer as w


def one_run(source: FilesSource) -> Run:
    (run,) = source.runs()
    return run


def all_signals(run: Run) -> list[Signal]:
    return [s for detector in run.info.detectors.values() for s in detector.signals()]


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
    assert [np.shares_memory(a, b) for a, b in zip(values, values, strict=True)] == [
        True
    ] * 5
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


def small(name: str, block_id: int, field: str = "x") -> w.Block:
    return w.Block(block_id, name, "gmd", "raw", (2, 1, 0), {field: ("i4", 0)})


def test_second_configure_within_a_run(tmp_path: Path) -> None:
    """Ids change meaning in the middle; the run goes on."""
    one, two = [small("a", 1), small("b", 2)], [small("b", 1), small("a", 2)]
    data = [w.configure([w.RUNINFO, *one]), w.begin_run("tstx00417", 1)]
    for i in range(20):
        blocks = one if i < 9 else two
        if i == 9:
            data.append(w.configure([w.RUNINFO, *two], 18))
        parts = [w.shapes_data(b, {"x": i if b.detector == "a" else -i}) for b in blocks]
        data.append(w.dgram(10 + i, w.L1_ACCEPT, parts))
    run = one_run(FilesSource.from_files([w.write_stream(tmp_path, data)]))
    rows = read(run)
    assert [row[Signal("a", "raw", "x")] for row in rows] == list(range(20))
    assert [row[Signal("b", "raw", "x")] for row in rows] == [-i for i in range(20)]
    assert run.faults == []


def test_no_begin_run_and_no_end_run(tmp_path: Path) -> None:
    block = small("a", 1)
    events = [
        w.dgram(10 + i, w.L1_ACCEPT, [w.shapes_data(block, {"x": i})]) for i in range(3)
    ]
    path = w.write_stream(tmp_path, [w.configure([block]), *events], run=88)
    run = one_run(FilesSource.from_files([path]))
    assert (run.info.exp, run.info.number) == ("tstx00417", 88)
    assert len(read(run)) == 3
    plain = path.rename(tmp_path / "any.xtc2")
    run = one_run(FilesSource.from_files([plain]))
    assert (run.info.exp, run.info.number) == ("", 0)


def test_begin_run_without_end_run(tmp_path: Path) -> None:
    block = small("a", 1)
    data = [w.configure([w.RUNINFO, block])]
    for number in (1, 2):
        part = w.shapes_data(block, {"x": number})
        data.append(w.begin_run("tstx00417", number, 10 * number))
        data.append(w.dgram(10 * number + 1, w.L1_ACCEPT, [part]))
    path = w.write_stream(tmp_path, data)
    runs = list(FilesSource.from_files([path]).runs())
    assert [run.info.number for run in runs] == [1, 2]
    assert [[row[Signal("a", "raw", "x")] for row in read(run)] for run in runs] == [
        [1],
        [2],
    ]


def test_several_runs_in_the_files_of_a_directory(tmp_path: Path) -> None:
    """Also with several streams, and when one stream lacks a run."""
    for stream, numbers in ((0, (1, 2, 3)), (1, (1, 3))):
        block = small(f"det{stream}", 5)
        data = [w.configure([w.RUNINFO, block])]
        for number in numbers:
            at = 1000 * number
            data.append(w.begin_run("tstx00417", number, at))
            for i in range(4):
                part = w.shapes_data(block, {"x": 10 * number + i})
                data.append(w.dgram(at + 1 + i, w.L1_ACCEPT, [part]))
            data.append(w.dgram(at + 9, w.END_RUN))
        w.write_stream(tmp_path, data, stream=stream)
    found = {}
    for run in FilesSource.from_run("tstx00417", 1, tmp_path).runs():
        rows = read(run)
        found[run.info.number] = [
            [row.get(Signal(f"det{s}", "raw", "x")) for row in rows] for s in (0, 1)
        ]
    both = {n: [[10 * n + i for i in range(4)]] * 2 for n in (1, 3)}
    assert found == both | {2: [[20, 21, 22, 23], [None] * 4]}


def test_files_of_two_runs_are_two_runs(tmp_path: Path) -> None:
    paths = []
    for number, stream in ((1, 0), (2, 0), (1, 1)):
        block = small(f"det{stream}", 5)
        part = w.shapes_data(block, {"x": number})
        data = [w.configure([w.RUNINFO, block]), w.begin_run("tstx00417", number)]
        data.append(w.dgram(10, w.L1_ACCEPT, [part]))
        paths.append(w.write_stream(tmp_path, data, run=number, stream=stream))
    runs = list(FilesSource.from_files(paths).runs())
    assert [(run.info.number, sorted(run.info.detectors)) for run in runs] == [
        (1, ["det0", "det1"]),
        (2, ["det0"]),
    ]


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
