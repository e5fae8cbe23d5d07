from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalldata_stream.basis import Basis
from smalldata_stream.batch import Array, Mask
from smalldata_stream.cli import main
from smalldata_stream.kernels.svd_fit import make_basis
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.svd_fit import SvdFit
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.testing.reductions import Input, ReductionContract
from tests.reductions import waves

ROI, BACKGROUND = (20, 58), (0, 20)


@pytest.fixture(scope="session", autouse=True)
def basis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("basis") / "basis.h5"
    training = waves.pulses(40, "f8", 7).reshape(-1, waves.SAMPLES)
    training = (training.T - training[:, :20].mean(axis=1)).T[:, slice(*ROI)]
    components, strength = make_basis(training, 6)
    Basis(
        components=components, singular_values=strength, roi=ROI, background=BACKGROUND
    ).write(path, "a test")
    TestSvdFit.path = str(path)
    return path


class TestSvdFit(ReductionContract):
    rtol = 1e-8
    path = ""

    def make(self) -> SvdFit:
        return SvdFit(basis=self.path, components=3)

    def inputs(self) -> Sequence[Input]:
        # A basis has one length, and the waveforms have to.
        return [one for one in waves.inputs() if one[0].kind != "ragged"]

    def expected(self, frame: Array, mask: Mask) -> Mapping[str, Any]:
        """numpy's least squares instead of a projector."""
        made = self.make()
        with h5py.File(self.path) as f:
            components = f["components"][: made.components]
        moved = np.zeros((len(made.delays), *components.shape))
        for pulse, delay in zip(moved, made.delays, strict=True):
            pulse[:, delay:] = components[:, : components.shape[1] - delay]
        flat = moved.reshape(-1, moved.shape[2])
        found: dict[str, list[Any]] = {"intensities": [], "coefficients": [], "score": []}
        for w, good in zip(*waves.rows(frame, mask), strict=True):
            if not good[slice(*ROI)].all():
                a, fitted, score = np.full(len(flat), np.nan), flat[0] * np.nan, np.nan
            else:
                y = w[slice(*ROI)] - w[:20][good[:20]].mean()
                a = np.linalg.lstsq(flat.T, y)[0]
                fitted = a @ flat
                score = 1 - np.sum((y - fitted) ** 2) / np.sum((y - y.mean()) ** 2)
            each = a.reshape(len(made.delays), -1)
            pulses = [one @ moved[p] for p, one in enumerate(each)]
            by = {
                "norm": np.linalg.norm(each, axis=1),
                "max": np.abs(pulses).max(axis=1),
            }
            found["intensities"].append(by[made.intensity])
            found["coefficients"].append(each)
            found["score"].append(score)
        return {name: waves.like(frame, values) for name, values in found.items()}


class TestTwoPulses(TestSvdFit):
    def make(self) -> SvdFit:
        return SvdFit(basis=TestSvdFit.path, components=2, delays=(0, 9), intensity="max")


def test_a_basis_is_numpys_svd_with_a_sign() -> None:
    training = waves.pulses(20, "f8", 1).reshape(-1, waves.SAMPLES)
    components, strength = make_basis(training, 4)
    _, s, v = np.linalg.svd(training, full_matrices=False)
    np.testing.assert_allclose(strength, s[:4])
    np.testing.assert_allclose(np.abs(components), np.abs(v[:4]), atol=1e-12)
    assert (components[np.arange(4), np.abs(components).argmax(axis=1)] > 0).all()


def test_from_the_command_to_the_file(tmp_path: Path) -> None:
    """The heights that are fitted are proportional to the energy of the pulses."""
    simulate(tmp_path, Simulation(events=40, detectors=("fim0", "gmd")))
    where = ["--exp", "xpptut26", "--run", "1", "--dir", str(tmp_path)]
    path = tmp_path / "basis.h5"
    windows = ["--roi", "60", "160", "--background", "0", "50", "--components", "5"]
    made = ["basis", "fim0.raw_0", *where, *windows, "-o", str(path)]
    assert main(made) == 0
    assert main(made) == 1
    assert main([*made, "--overwrite", "--roi", "160", "60"]) == 1
    assert main([*made, "--overwrite", "--roi", "60", "161", "--channel", "1"]) == 1
    graph = tmp_path / "graph.py"
    graph.write_text(
        "def graph(g, run):\n"
        "    g.detector('gmd')\n"
        f"    g.detector('fim0', fields=[])['raw_0'].svd_fit(basis={str(path)!r})\n"
    )
    output = tmp_path / "a.h5"
    assert main(["run", str(graph), *where, "-o", str(output)]) == 0
    with h5py.File(output) as f:
        heights = f["fim0/raw_0_svdFit_intensities"][:, 0]
        lit = f["gmd/energy"][:] > 0.2
        assert np.corrcoef(heights[lit], f["gmd/energy"][lit])[0, 1] > 0.99
        assert (f["fim0/raw_0_svdFit_score"][lit] > 0.99).all()


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"components": 0}, "components=0"),
        ({"components": 2.5}, "components=2.5"),
        ({"delays": ()}, "delays="),
        ({"delays": (1, 1)}, "different whole numbers"),
        ({"intensity": "sum"}, "intensity='sum'"),
        ({"basis": ""}, "basis"),
    ],
)
def test_wrong_parameters(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        SvdFit(**{"basis": "a.h5", **kwargs})


def test_what_does_not_fit(basis: Path, tmp_path: Path) -> None:
    spec = Spec(dtype=np.dtype("u2"), shape=(60,))
    with pytest.raises(ValueError, match=r"components=7: .* has 6"):
        SvdFit(basis=str(basis), components=7).prepare(spec)
    with pytest.raises(ValueError, match="beyond the waveform, which has 40"):
        SvdFit(basis=str(basis)).prepare(Spec(dtype=np.dtype("u2"), shape=(40,)))
    for delay in (50, -50, 1000):
        with pytest.raises(ValueError, match=r"the window of the basis has \d+ samples"):
            SvdFit(basis=str(basis), delays=(0, delay)).prepare(spec)
    with pytest.raises(ValueError, match="no such file"):
        SvdFit(basis=str(tmp_path / "none.h5")).prepare(spec)
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["x"] = 1
    with pytest.raises(ValueError, match="is no basis: it has no components"):
        SvdFit(basis=str(tmp_path / "other.h5")).prepare(spec)
