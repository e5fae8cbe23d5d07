from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Column, Frames, Ragged
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import Graph, build
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.normalise import Normalise
from smalldata_stream.run import RunInfo
from tests.graph.events import CAM_THERE, ENERGIES, FRAMES, GMD_THERE, RUN, batches

NUMBER = Spec(dtype=np.dtype(float), unit="mJ")
BY = np.array([2.0, 0.0, np.nan, 0.5, 4.0])
THERE = [True, False, False, False, True]


@pytest.mark.parametrize("kind", ["dense", "frames", "ragged"])
def test_each_kind_of_value(kind: Any) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(1, 9, (2, 3)).astype("f4") for _ in BY]
    values: Any = np.stack(arrays)
    if kind == "frames":
        values = Frames(arrays)
    if kind == "ragged":
        arrays = [rng.normal(size=n) for n in range(5)]
        values = Ragged.of(arrays)
    spec = Spec(dtype=values.dtype, kind=kind, shape=(2, 3), unit="ADU")
    prepared = Normalise(by="gmd/energy", least=1, area=True).prepare(spec, NUMBER)
    got = prepared.compute(values, BY)[""]
    assert isinstance(got, Column)
    assert got.mask.tolist() == THERE
    assert prepared.outputs[""].unit == "ADU/mJ"
    assert prepared.outputs[""].dtype == got.values.dtype
    wanted = [a / b for a, b, t in zip(arrays, BY, THERE, strict=True) if t]
    for one, want in zip(got.values, wanted, strict=True):
        np.testing.assert_allclose(one, want, rtol=1e-7)


def test_numbers_that_float32_does_not_hold() -> None:
    frames = Frames([np.full((1, 2), x, "f4") for x in (1e-38, 3e38, 1.0, 1.0)])
    spec = Spec(dtype=np.dtype("f4"), kind="frames", shape=(1, 2))
    prepared = Normalise(by="gmd/energy", area=True).prepare(spec, NUMBER)
    got = prepared.compute(frames, np.array([1e-50, 1e50, 1e-45, -1e-50]))[""]
    assert isinstance(got, Column)
    assert isinstance(got.values, Frames)
    want = [1e12, 3e-12, np.inf, -np.inf]
    np.testing.assert_allclose(got.values.stack()[:, 0, 0], want, rtol=1e-6)


@pytest.mark.parametrize("cuts", [(), tuple(range(12))])
def test_in_a_graph_words_behind_it_see_the_ratio(cuts: tuple[int, ...]) -> None:
    def graph(g: Graph, run: RunInfo) -> None:
        gmd = g.detector("gmd")
        cam = g.detector("cam", calibration="raw")
        roi = cam.roi("ROI_0", None)
        roi["sum"].normalise(by="gmd/energy", name="per_pulse")
        cam.normalise(by=gmd["energy"], least=2).projection(axis=-1, name="total")

    g = build(graph, RUN)
    ratio: list[Any] = []
    total: list[Any] = []
    for batch in batches(*cuts):
        g.plan.push(batch)
        for found, path in (
            (ratio, "cam/ROI_0_sum_per_pulse"),
            (total, "cam/normalised_total_data"),
        ):
            column = batch.record[path]
            rest = iter(np.asarray(column.values))
            found += [next(rest) if has else None for has in column.mask]
    assert not g.plan.failures
    both = CAM_THERE & GMD_THERE
    sums = FRAMES.sum(axis=(1, 2), dtype=float)
    for i in range(len(both)):
        assert ratio[i] == (sums[i] / ENERGIES[i] if both[i] else None)
        if both[i] and ENERGIES[i] >= 2:
            np.testing.assert_allclose(total[i], sums[i] / ENERGIES[i], rtol=1e-6)
        else:
            assert total[i] is None
    g.plan.close()


def test_wrong_parameters() -> None:
    with pytest.raises(ValueError, match="least='a'"):
        Normalise(by="gmd/energy", least="a")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="least=nan"):
        Normalise(by="gmd/energy", least=float("nan"))
    with pytest.raises(ValueError, match="by=3: write the path"):
        Normalise(by=3)
    with pytest.raises(ValueError, match="not one number per event"):
        Normalise(by="x").prepare(NUMBER, Spec(dtype=np.dtype(float), shape=(3,)))

    def graph(g: Graph, run: RunInfo) -> None:
        g.detector("gmd")["energy"].normalise(by="gmd/enregy")

    with pytest.raises(GraphError, match="gmd/energy"):
        build(graph, RUN)
