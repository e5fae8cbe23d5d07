from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Mask, Ragged
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import Graph, build
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions.sparse import Sparsify, Unsparsify
from smalldata_stream.run import RunInfo
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.graph.events import CAM_THERE, FRAMES, RUN, batches
from tests.reductions.frames import DTYPES, as_input, noisy, random_mask, with_bad_values

FIELDS = ("data", "row", "col", "tile")


class TestLists(ReductionContract):
    n_data: int | None = None

    def make(self) -> Sparsify:
        return Sparsify(threshold_adu=(60, 90), n_data=self.n_data)

    def inputs(self) -> Sequence[Input]:
        shape = (3, 9, 37)
        mask = random_mask(shape[1:])
        found = [as_input(noisy(shape, dtype)) for dtype in DTYPES]
        found += [as_input(with_bad_values(noisy(shape, "f4")), mask=mask, frames=True)]
        found += [as_input(noisy((2, 5, 6, 70), "f4")), as_input(noisy((2, 40), "i4"))]
        found += [as_input(np.zeros((2, 4, 4), "f4"))]
        found += [as_input(noisy(shape, "f4"), mask=np.zeros(shape[1:], bool))]
        return found

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        good = mask & (frame >= 60) & (frame <= 90)
        at = np.nonzero(good.reshape((1,) * (3 - frame.ndim) + frame.shape))
        return {
            "nPixels": good.sum(),
            "data": self.fixed(frame[good]),
            **{f: self.fixed(p) for f, p in zip(("tile", "row", "col"), at, strict=True)},
        }

    def fixed(self, values: Array) -> Array:
        if self.n_data is None:
            return values
        padded = np.zeros(self.n_data, values.dtype)
        padded[: len(values)] = values[: self.n_data]
        return padded


class TestFixedLength(TestLists):
    n_data = 50


@pytest.mark.parametrize("n_data", [None, 400])
@pytest.mark.parametrize("shape", [(9, 37), (3, 5, 7), (40,)])
def test_there_and_back_again(n_data: int | None, shape: tuple[int, ...]) -> None:
    frames = noisy((4, *shape), "f4")
    frames[frames < 50] = 0
    frames[2] = 0
    sparse = Sparsify(n_data=n_data).prepare(Spec(dtype=frames.dtype, shape=shape))
    specs = {**sparse.outputs, **sparse.inner}
    found = sparse.compute(frames)
    back = Unsparsify(area=True)
    prepared = back.prepare(*(specs[field] for field in back.takes))
    got = prepared.compute(*(found[field] for field in back.takes))["area"]
    np.testing.assert_array_equal(np.asarray(got), frames)
    assert prepared.outputs["area"].shape == shape


def test_positions_between_pixels_go_to_the_nearest() -> None:
    lists = [np.array([1.0, 2, 4]), np.array([0.49, 0.51, 1.2]), np.array([0, 1.8, 0])]
    ragged = [Ragged.of([one]) for one in (*lists, np.zeros(3))]
    spec = Spec(dtype=np.dtype(float), kind="ragged")
    made = Unsparsify(shape=(2, 3), area=True).prepare(*[spec] * 4)
    got = made.compute(*ragged)["area"]
    np.testing.assert_array_equal(np.asarray(got)[0], [[1, 0, 0], [4, 0, 2]])
    outside = Unsparsify(shape=(1, 3), area=True).prepare(*[spec] * 4)
    with pytest.raises(ValueError, match="2 pixels of an event lie outside"):
        outside.compute(*ragged)


@pytest.mark.parametrize(
    ("row", "col", "tile"),
    [
        (-0.6, 0, 0),
        (1.5, 0, 0),
        (0, -0.6, 0),
        (0, 2.5, 0),
        (0, 0, 2),
        (0, 0, -1),
        (np.nan, 0, 0),
    ],
)
def test_a_position_outside_on_any_axis_is_an_error(
    row: float, col: float, tile: float
) -> None:
    spec = Spec(dtype=np.dtype(float), kind="ragged")
    made = Unsparsify(shape=(2, 2, 3), area=True).prepare(*[spec] * 4)
    lists = [Ragged.of([np.array([x, 1.0])]) for x in (5.0, row, col, tile)]
    with pytest.raises(ValueError, match="1 pixels of an event lie outside"):
        made.compute(*lists)
    inside = [Ragged.of([np.array([x])]) for x in (5.0, 1.4, 2.4, 1.0)]
    area = np.asarray(made.compute(*inside)["area"])
    assert np.argwhere(area).tolist() == [[0, 1, 1, 2]]


def test_in_a_graph_behind_sparsify_and_behind_droplets() -> None:
    def graph(g: Graph, run: RunInfo) -> None:
        cam = g.detector("cam", calibration="raw")
        part = cam.roi("part", [[1, 4], [0, 6]])
        part.sparsify(threshold_adu=500).unsparsify().projection(axis=0)
        found = cam.droplets(threshold_adu=950, sparse=False)
        found.unsparsify(name="image").projection(axis=-1, name="total")
        found.spectrum(bins=(0, 6000, 6))

    g = build(graph, RUN)
    for batch in batches(4):
        g.plan.push(batch)
        there = batch.timestamps.astype(int) - 100
        there = there[CAM_THERE[there]]
        frames = FRAMES[there]
        got = batch.record["cam/part_sparse_dense_pj_ax_0_data"].values
        cut = np.where(frames >= 500, frames, 0)[:, 1:]
        np.testing.assert_array_equal(np.asarray(got), cut.sum(axis=1, dtype=float))
        total = np.asarray(batch.record["cam/droplet_image_total_data"].values)
        np.testing.assert_allclose(total, np.where(frames >= 950, frames, 0).sum((1, 2)))
        counts = np.asarray(batch.record["cam/droplet_spectrum_histogram"].values)
        number = np.asarray(batch.record["cam/droplet_nDroplets"].values)
        np.testing.assert_array_equal(counts.sum(axis=1), number)
    assert not g.plan.failures
    assert "cam/part_sparse_dense_area" not in g.plan.outputs()
    g.plan.close()


def test_what_has_no_lists_cannot_be_unsparsified() -> None:
    def graph(g: Graph, run: RunInfo) -> None:
        g.detector("cam", calibration="raw").roi("a", None).unsparsify()

    with pytest.raises(GraphError, match=r"chained to cam/.*behind sparsify or droplets"):
        build(graph, RUN)
    spec = Spec(dtype=np.dtype(float), kind="ragged")
    with pytest.raises(ValueError, match="write shape="):
        Unsparsify().prepare(*[spec] * 4)


@pytest.mark.parametrize("n_data", [0, 2.5, "all"])
def test_wrong_parameters(n_data: Any) -> None:
    with pytest.raises(ValueError, match=r"n_data=.*: write a number of pixels"):
        Sparsify(n_data=n_data)
    with pytest.raises(ValueError, match="shape="):
        Unsparsify(shape=[n_data])


def test_the_mask_of_the_frame_comes_back() -> None:
    mask = random_mask((9, 37))
    sparse = Sparsify().prepare(Spec(dtype=np.dtype("f4"), shape=(9, 37), mask=mask))
    assert isinstance(sparse, PerEvent)
    specs = {**sparse.outputs, **sparse.inner}
    back = Unsparsify().prepare(*(specs[field] for field in Unsparsify.takes))
    assert isinstance(back.chained, tuple)
    np.testing.assert_array_equal(back.chained[0].mask, mask)
