"""Functions of the user as nodes: several outputs, gaps, variable length, chains."""

from __future__ import annotations

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
