from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Mask, Ragged
from smalldata_stream.kernels import peakfinder8
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.peaks import Peaks
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions.frames import as_input, random_mask

pytestmark = pytest.mark.skipif(
    bool(peakfinder8.available()), reason="psana's peakFinder8 is not on this machine"
)

SHAPE = (64, 96)
PLACES = [(20.0, 30.0), (40.25, 70.5), (10.0, 5.0), (50.0, 60.0)]


def crystal(seed: int, shape: tuple[int, ...] = SHAPE) -> Array:
    """Noise and Gaussian peaks at `PLACES`."""
    frame = np.random.default_rng(seed).normal(10, 2, shape)
    row, column = np.mgrid[: shape[-2], : shape[-1]]
    for r, c in PLACES:
        frame += 300 * np.exp(-((row - r) ** 2 + (column - c) ** 2) / 1.5)
    return frame.astype("f4")


def by_psana(frame: Array, good: Array, tiles: int = 1) -> Array:
    """psana's own function on the frame, with tiles above each other."""
    rows, columns = frame.shape[0] // tiles, frame.shape[1]
    row, column = np.mgrid[:rows, :columns]
    radius = np.hypot(row - (rows - 1) / 2, column - (columns - 1) / 2).astype("f4")
    radius = np.tile(radius, (tiles, 1))
    function = peakfinder8._compiled()
    found = function(
        2048, frame.astype("f4"), good.astype("i1"), radius,
        columns, rows, 1, tiles, 40.0, 6.0, 2, 30, 3,
    )  # fmt: skip
    return np.array(found).reshape(8, -1)


class TestPeaks(ReductionContract):
    rtol = 1e-6

    def make(self) -> Peaks:
        return Peaks(threshold_adu=40, hit_peaks=4)

    def inputs(self) -> Sequence[Input]:
        frames = np.stack([crystal(seed) for seed in range(3)])
        frames[1] = np.random.default_rng(9).normal(10, 2, SHAPE)
        bad = frames.copy()
        bad[0, 38:43, 60:80] = np.nan
        bad[2, 3, 3] = np.inf
        found = [as_input(frames), as_input(frames.astype("f8"))]
        found += [as_input(frames.clip(0, 1000).astype("u2"), frames=True)]
        found += [as_input(bad, mask=random_mask(SHAPE), frames=True)]
        return [*found, as_input(frames, mask=np.zeros(SHAPE, bool))]

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        good = mask & np.isfinite(frame)
        x, y, total, _, npix, most, sigma, snr = by_psana(np.where(good, frame, 0), good)
        return {
            "nPeaks": len(x),
            "hit": len(x) >= 4,
            "row": y,
            "col": x,
            "tile": np.zeros(len(x)),
            "adu": total,
            "max": most,
            "npix": npix,
            "sigma": sigma,
            "snr": snr,
        }


def test_the_peaks_are_where_they_were_put() -> None:
    frames = crystal(1)[None]
    spec = Spec(dtype=frames.dtype, shape=SHAPE)
    found = Peaks(threshold_adu=40).prepare(spec).compute(frames)
    rows, columns = found["row"], found["col"]
    assert isinstance(rows, Ragged)
    assert isinstance(columns, Ragged)
    got = sorted(zip(rows[0].tolist(), columns[0].tolist(), strict=True))
    np.testing.assert_allclose(got, sorted(PLACES), atol=0.5)
    assert np.asarray(found["hit"]).tolist() == [False]


def test_what_float32_does_not_hold_is_a_bad_pixel() -> None:
    frame = crystal(1)[None].astype(np.float64)
    frame[0, 30, 80] = 1e39
    mask = np.ones(SHAPE, bool)
    mask[30, 80] = False
    got, want = (
        Peaks(threshold_adu=40).prepare(Spec(dtype=frame.dtype, shape=SHAPE, mask=good))
        for good in (None, mask)
    )
    found, expected = got.compute(frame)["adu"], want.compute(frame)["adu"]
    assert isinstance(found, Ragged)
    assert isinstance(expected, Ragged)
    assert len(found.values) == len(PLACES)
    np.testing.assert_array_equal(found.values, expected.values)


def test_tiles_and_panels() -> None:
    frames = np.stack([crystal(4), crystal(5), crystal(6)])[None]
    frames[0, 1] = 10
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    one = np.hypot(row - 31.5, column - 47.5)
    spec = Spec(dtype=frames.dtype, shape=(3, *SHAPE))
    found = (
        Peaks(threshold_adu=40, radius=np.stack([one] * 3)).prepare(spec).compute(frames)
    )
    tiles, rows = found["tile"], found["row"]
    assert isinstance(tiles, Ragged)
    assert isinstance(rows, Ragged)
    assert set(tiles[0].tolist()) == {0, 2}
    assert len(rows[0]) >= 7
    _, y, *_ = by_psana(frames.reshape(-1, SHAPE[1]), np.ones((192, 96)), tiles=3)
    np.testing.assert_allclose(rows[0] + 64 * tiles[0], y, rtol=1e-6)


def test_peaks_end_at_the_edges_of_panels() -> None:
    spec = Spec(dtype=np.dtype("f4"), shape=SHAPE)
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot(row - 31.5, column - 47.5).astype("f4")
    edge = np.random.default_rng(0).normal(10, 2, (1, *SHAPE)).astype("f4")
    edge[0, 10:14, 30:34] += 200  # on the edge of two panels of 32 x 32
    found = {}
    for panels in ((1, 1), (2, 3)):
        got = Peaks(threshold_adu=40, panels=panels).prepare(spec).compute(edge)["npix"]
        assert isinstance(got, Ragged)
        rows, columns = SHAPE[0] // panels[0], SHAPE[1] // panels[1]
        direct = peakfinder8._compiled()(
            2048, edge[0], np.ones(SHAPE, "i1"), radius,
            columns, rows, panels[1], panels[0], 40.0, 6.0, 2, 30, 3,
        )  # fmt: skip
        found[panels] = got[0].tolist()
        assert found[panels] == list(direct[4])
    assert found[1, 1] != found[2, 3]


def test_loading_it_loads_nothing_else_of_psana() -> None:
    code = (
        "import sys; from smalldata_stream.kernels import peakfinder8 as p;"
        "assert not p.available();"
        "print([m for m in ('psana', 'mpi4py', 'krtc') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]"


def test_without_psana_the_graph_does_not_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    peakfinder8._compiled.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"no package psana.*install psana"):
            Peaks(threshold_adu=1).prepare(Spec(dtype=np.dtype("f4"), shape=SHAPE))
    finally:
        peakfinder8._compiled.cache_clear()


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"threshold_adu": "a"}, "threshold_adu='a'"),
        ({"min_pixels": 0}, "min_pixels=0"),
        ({"min_pixels": 40}, "above max_pixels"),
        ({"panels": (0, 1)}, "panels="),
        ({"center": (1,)}, "center="),
        ({"center": (1, 1), "radius": np.ones(SHAPE)}, "leave one of them out"),
        ({"radius": np.full(SHAPE, -1)}, "finite and from 0"),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Peaks(**{"threshold_adu": 40, **kwargs})


def test_what_does_not_fit() -> None:
    tiled = Spec(dtype=np.dtype("f4"), shape=(2, *SHAPE))
    with pytest.raises(ValueError, match="2 tiles needs radius="):
        Peaks(threshold_adu=1).prepare(tiled)
    with pytest.raises(ValueError, match="radius is"):
        Peaks(threshold_adu=1, radius=np.ones(SHAPE)).prepare(tiled)
    with pytest.raises(ValueError, match="equal panels"):
        Peaks(threshold_adu=1, panels=(5, 1)).prepare(
            Spec(dtype=np.dtype("f4"), shape=SHAPE)
        )
