"""Functions of the user as nodes: several outputs, gaps, variable length, chains."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Column, Frames, Ragged
from smalldata_stream.errors import GraphError
from smalldata_stream.function import Function
from smalldata_stream.graph import Graph, build
from smalldata_stream.protocols import Spec
from smalldata_stream.run import RunInfo
from tests.graph.events import CAM_THERE, ENERGIES, FRAMES, GMD_THERE, RUN, batches

ROWS = Spec(dtype=np.dtype(float), shape=(4,), unit="ADU")
BRIGHT = Spec(dtype=np.dtype(np.int64), kind="ragged")


def of_frame(frame: Array, energy: float) -> dict[str, Any] | None:
    if energy == 2:
        return None
    return {
        "rows": frame.sum(axis=1),
        "ratio": frame.sum() / energy if energy != 3 else None,
        "bright": np.flatnonzero(frame > 900),
    }


def written(g: Graph, runinfo: RunInfo) -> None:
    cam, gmd = g.detector("cam", calibration="raw"), g.detector("gmd")
    node = g.function(
        of_frame,
        cam,
        gmd["energy"],
        name="cam/user",
        outputs={"rows": ROWS, "ratio": "float64", "bright": BRIGHT},
    )
    node["rows"].roi("ROI_0", [[1, 3]])
    bright = g.function(
        lambda frame, e: {"bright": np.flatnonzero(frame > 900)} if e != 2 else None,
        cam,
        gmd["energy"],
        name="cam/user2",
        outputs={"bright": BRIGHT},
    )
    bright.spectrum(bins=(0, 24, 4))


@pytest.mark.parametrize("cuts", [(), (1, 4, 5), tuple(range(12))])
def test_several_outputs_with_gaps_and_words_behind_them(cuts: tuple[int, ...]) -> None:
    graph = build(written, RUN)
    records = []
    for batch in batches(*cuts):
        graph.plan.push(batch)
        records.append(batch.record)
    graph.plan.close()
    assert not graph.plan.failures

    def found(path: str) -> list[Any]:
        values = []
        for record in records:
            column = record[path]
            rest = iter(column.values)
            values += [next(rest) if has else None for has in column.mask]
        return values

    both = CAM_THERE & GMD_THERE
    sums = FRAMES.sum(axis=(1, 2), dtype=float)
    rows, ratio = found("cam/user_rows"), found("cam/user_ratio")
    part, counts = (
        found("cam/user_rows_ROI_0_sum"),
        found("cam/user2_spectrum_histogram"),
    )
    for i, there in enumerate(both):
        if not there or ENERGIES[i] == 2:
            assert rows[i] is ratio[i] is part[i] is counts[i] is None
            continue
        np.testing.assert_array_equal(rows[i], FRAMES[i].sum(axis=1))
        assert part[i] == FRAMES[i, 1:3].sum()
        assert ratio[i] is None if ENERGIES[i] == 3 else ratio[i] == sums[i] / ENERGIES[i]
        at = np.flatnonzero(FRAMES[i] > 900)
        np.testing.assert_array_equal(found("cam/var_user/bright")[i], at)
        np.testing.assert_array_equal(counts[i], np.histogram(at, 4, (0, 24))[0])


def test_a_batch_at_once() -> None:
    def halves(frames: Array) -> dict[str, Any]:
        some = frames[:, 0] > 1
        return {"twice": 2 * frames[:, 0], "some": Column(frames[some, 1], some)}

    both = Function(
        function=halves, name="h", outputs={"twice": float, "some": "i4"}, vectorized=True
    )
    values = np.array([[1, 2], [3, 4]], "i4")
    got = both.prepare(Spec(dtype=values.dtype, shape=(2,))).compute(values)
    np.testing.assert_array_equal(np.asarray(got["twice"]), [2.0, 6.0])
    assert isinstance(got["some"], Column)
    assert got["some"].mask.tolist() == [False, True]
    assert np.asarray(got["some"].values).tolist() == [4]


def test_frames_of_many_events_are_one_array() -> None:
    """As the pages say, (n, rows, columns); also where each is a frame of its own."""
    brightest = Function(function=lambda f: f.max(axis=(1, 2)), name="b", vectorized=True)
    frames = np.arange(24, dtype="u2").reshape(3, 2, 4)
    spec = Spec(dtype=frames.dtype, shape=(2, 4), kind="frames")
    got = brightest.prepare(spec).compute(Frames(list(frames)))[""]
    np.testing.assert_array_equal(np.asarray(got), [7, 15, 23])
    spoils = Function(function=lambda f: f.fill(0), name="s", vectorized=True)
    with pytest.raises(ValueError, match="read-only"):
        spoils.prepare(spec).compute(Frames(list(frames)))


def test_frames_and_lists_as_outputs() -> None:
    outputs = {
        "frame": Spec(dtype=np.dtype("f4"), shape=(2, 2), kind="frames"),
        "l": BRIGHT,
    }
    node = Function(
        function=lambda x: {"frame": np.full((2, 2), x), "l": range(x)},
        name="f",
        outputs=outputs,
    )
    got = node.prepare(Spec(dtype=np.dtype(int))).compute(np.array([1, 3]))
    frames, lists = got["frame"], got["l"]
    assert isinstance(frames, Column)
    assert isinstance(frames.values, Frames)
    assert isinstance(lists, Column)
    assert isinstance(lists.values, Ragged)
    assert lists.values.lengths.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"outputs": {}}, "one word for each output"),
        ({"outputs": {"a/b": float}}, "one word for each output"),
        ({"outputs": {"a": float}, "unit": "V"}, "shape and unit of each"),
        ({"function": 3}, "write a function"),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Function(**{"function": abs, "name": "f", **kwargs})


def test_what_was_not_declared_is_a_failure_of_the_event() -> None:
    node = Function(function=lambda x: {"b": x}, name="f", outputs={"a": float})
    prepared = node.prepare(Spec(dtype=np.dtype(float)))
    with pytest.raises(ValueError, match=r"returned \['b'\], declared \['a'\]"):
        prepared.compute(np.array([1.0]))
    wide = Function(function=lambda x: np.zeros(3), name="f", shape=(2,))
    with pytest.raises(ValueError, match=r"shape \(3,\), declared \(2,\)"):
        wide.prepare(Spec(dtype=np.dtype(float))).compute(np.array([1.0]))


def test_an_output_is_chosen_before_a_word_is_chained() -> None:
    def graph(g: Graph, runinfo: RunInfo) -> None:
        g.function(
            abs, g.detector("gmd")["energy"], name="gmd/f", outputs={"a": float, "b": float}
        ).sum()

    with pytest.raises(GraphError, match="choose one of its results"):
        build(graph, RUN)


LISTS = {"a": Spec(dtype=np.dtype("i4"), kind="ragged")}


@pytest.mark.parametrize(
    ("function", "asked", "says"),
    [
        (lambda x: x + 0.5, {"dtype": "int64"}, "returned 1.5, which is no int64"),
        (lambda x: -1, {"dtype": "u1"}, "returned -1, which is no uint8"),
        (lambda x: "on", {}, "declared float64"),
        (lambda x: 1j, {}, "declared float64; write its dtype"),
        (lambda x: {"a": x}, {}, "declare them, outputs="),
        (lambda x: x, {"outputs": {"a": float}}, "return a dictionary, such as {'a'"),
        (lambda x: {"a": x}, {"outputs": LISTS}, "declared a list of numbers"),
        (lambda x: {"a": np.ones((2, 2))}, {"outputs": LISTS}, r"shape \(2, 2\)"),
        (lambda x: x.mean(), {"vectorized": True}, "return one for each event"),
        (lambda x: x[1:], {"vectorized": True}, "return one for each event"),
        (lambda x: x + 0.5, {"vectorized": True, "dtype": "i4"}, "which is no int32"),
        (lambda x: np.ones((len(x), 2)), {"vectorized": True}, r"\(2,\), declared \(\)"),
        (lambda x: Ragged.of([np.ones(2)] * len(x)), {"vectorized": True}, "kind='ragged'"),
        (lambda x: Frames([np.ones((2, 2))] * len(x)), {"vectorized": True}, "declared"),
    ],
)
def test_what_is_none_of_the_declared_is_told_with_node_and_event(
    function: Any, asked: dict[str, Any], says: str
) -> None:
    """The event has a gap; the run goes on with all else."""

    def graph(g: Graph, runinfo: RunInfo) -> None:
        gmd = g.detector("gmd")
        g.function(function, gmd["energy"], name="user/f", **asked)
        g.function(lambda x: 2 * x, gmd["energy"], name="user/good")

    g = build(graph, RUN)
    (batch,) = batches()
    g.plan.push(batch)
    assert set(g.plan.failures) == {"user/f"}
    first = g.plan.letters[0]
    assert first.node == "user/f"
    assert first.timestamp in batch.timestamps.tolist()
    assert re.search(says, first.error), first.error
    assert batch.record["user/good"].mask.sum() == GMD_THERE.sum()


@pytest.mark.parametrize(
    ("function", "asked", "says"),
    [
        (lambda a, b: a, {}, r"takes \(a, b\), and gets 1 value"),
        (lambda: 1, {}, "gets 1 value"),
        (abs, {"dtype": "flaot"}, "'flaot' is no dtype"),
        (abs, {"dtype": complex}, "complex128 cannot be written"),
        (abs, {"shape": 3}, "shape=3: write one number for each axis"),
        (abs, {"outputs": {"a": "flaot"}}, "'flaot' is no dtype"),
        (abs, {"outputs": ["a"]}, r"outputs=\['a'\]: write the dtype of each output"),
    ],
)
def test_what_is_wrong_before_the_first_event(
    function: Any, asked: dict[str, Any], says: str
) -> None:
    def graph(g: Graph, runinfo: RunInfo) -> None:
        g.function(function, g.detector("gmd")["energy"], name="user/f", **asked)

    with pytest.raises(GraphError, match=says):
        build(graph, RUN)


def test_each_value_is_of_the_declared_dtype_by_itself() -> None:
    stamp = (1_140_000_000 << 32) + 123_456_789

    def graph(g: Graph, runinfo: RunInfo) -> None:
        energy = g.detector("gmd")["energy"]
        g.function(
            lambda x: np.uint64(stamp) if x > 2 else 0, energy, name="u/when", dtype="u8"
        )
        swapped = g.function(
            lambda x: [x, 0.5], energy, name="u/wave", dtype=">f4", shape=(2,)
        )
        swapped.integral()

    g = build(graph, RUN)
    (batch,) = batches()
    g.plan.push(batch)
    assert not g.plan.failures
    there = ENERGIES[GMD_THERE]
    when: Any = batch.record["u/when"].values
    assert when.tolist() == [stamp if x > 2 else 0 for x in there]
    total: Any = batch.record["u/wave_wfintegrate"].values
    np.testing.assert_allclose(total, there + 0.5)


def test_text_and_truth_and_lists_of_many_events_at_once() -> None:
    def graph(g: Graph, runinfo: RunInfo) -> None:
        gmd = g.detector("gmd")["energy"]
        g.function(lambda x: "x" * int(x), gmd, name="user/text", dtype=str)
        g.function(lambda x: x > 2, gmd, name="user/truth", dtype=bool)
        lists = g.function(
            lambda xs: {"a": [np.arange(int(x)) for x in xs]},
            gmd,
            name="user/lists",
            outputs=LISTS,
            vectorized=True,
        )
        lists.spectrum(bins=(0, 12, 12))

    g = build(graph, RUN)
    (batch,) = batches()
    g.plan.push(batch)
    assert not g.plan.failures
    there = ENERGIES[GMD_THERE]
    texts = list(batch.record["user/text"].values)
    assert [str(text) for text in texts] == ["x" * int(x) for x in there]
    np.testing.assert_array_equal(np.asarray(batch.record["user/truth"].values), there > 2)
    histograms = np.asarray(batch.record["user/lists_spectrum_histogram"].values)
    np.testing.assert_array_equal(histograms, np.arange(12) < there[:, None])
