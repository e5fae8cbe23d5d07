from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalldata_stream.batch import Array, Mask
from smalldata_stream.cli import main
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.integral import Integral
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions import waves


class TestIntegral(ReductionContract):
    rtol = 1e-9

    def make(self) -> Integral:
        return Integral(signal=[20, 58], background=[0, 20])

    def inputs(self) -> Sequence[Input]:
        return waves.inputs()

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        found = []
        for w, good in zip(*waves.rows(frame, mask), strict=True):
            base = np.median(w[:20][good[:20]])
            found.append(np.sum(w[20:58][good[20:58]] - base))
        return {"": waves.like(frame, found)}


class TestNegativePulsesOverAMean(TestIntegral):
    def make(self) -> Integral:
        return Integral(background=[3, 17], level="mean", negative=True, name="apd")

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        found = []
        for w, good in zip(*waves.rows(frame, mask), strict=True):
            found.append(-np.sum(w[good] - w[3:17][good[3:17]].mean()))
        return {"": waves.like(frame, found)}


class TestWithoutBackground(TestIntegral):
    def make(self) -> Integral:
        return Integral(signal=(0, 1))

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        w, good = waves.rows(frame, mask)
        return {"": waves.like(frame, np.where(good, w, 0)[:, 0])}


def test_without_a_good_sample_in_the_background() -> None:
    wave = np.array([[np.nan, 1.0, 2.0]])
    ready = Integral(background=[0, 1]).prepare(Spec(dtype=wave.dtype, shape=(3,)))
    assert np.isnan(np.asarray(ready.compute(wave)[""])).all()


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"signal": [5, 5]}, r"signal=\[5, 5\]: write \[first, last\]"),
        ({"signal": 5}, "signal=5"),
        ({"background": [-1, 5]}, "0 <= first"),
        ({"background": [0, 1.5]}, "background="),
        ({"level": "mode"}, "write 'median' or 'mean'"),
        ({"name": "a/b"}, "name='a/b'"),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Integral(**kwargs)


@pytest.mark.parametrize(
    ("shape", "match"),
    [((40,), "beyond the waveform, which has 40 samples"), ((2, 3, 60), "needs waveforms")],
)
def test_what_does_not_fit(shape: tuple[int, ...], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Integral(signal=[0, 50]).prepare(Spec(dtype=np.dtype("u2"), shape=shape))


def test_the_graph_of_the_page(tmp_path: Path) -> None:
    """Against the integrals that the digitizer of the simulated run makes itself."""
    page = (Path(__file__).parents[2] / "docs" / "reductions-waveforms.md").read_text()
    text, *_ = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "page.py").write_text(text)
    simulate(tmp_path, Simulation(events=30, detectors=("fim0", "gmd")))
    where = ["--exp", "xpptut26", "--run", "1", "--dir", str(tmp_path)]
    output = tmp_path / "a.h5"
    assert main(["run", str(tmp_path / "page.py"), *where, "-o", str(output)]) == 0
    with h5py.File(output) as f:
        ours, theirs = f["fim0/raw_0_wfintegrate"][:], f["fim0/integral_0"][:]
        assert np.corrcoef(ours, theirs)[0, 1] > 0.9999
        counts = f["fim0/raw_0_baseline_hitfinder_nHits"][:]
        spectrum = f["Sums/fim0_raw_0_baseline_hitfinder_calib"][:]
        assert counts.any()
        assert spectrum[:60].sum() == 0
        assert spectrum.max() <= 30
