"""What is in bad pixels is in no result, whatever it is: every word, one test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Column, Frames, Mask, Ragged, Values, read_only
from smalldata_stream.positions import Positions
from smalldata_stream.protocols import Accumulated, PerEvent, Reduction, Spec
from smalldata_stream.testing.reductions import same_bits
from smalldata_stream.words import Word, Words

SHAPE = (12, 16)
TRACES = (2, 64)
JUNK = (np.nan, np.inf, -np.inf, 3e38, -3e38, 77.0)
ROW, COLUMN = np.indices(SHAPE)
# Two pixels at each place of the image.
WHERE = Positions(
    x=75.0 * ROW,
    y=75.0 * COLUMN,
    z=0.0 * ROW,
    row=(ROW // 2).astype(np.int32),
    column=COLUMN.astype(np.int32),
)
PLACE: dict[str, Any] = {
    "center_um": (400, 500), "distance_mm": 2.0, "photon_energy_kev": 9.5,
    "q_bins": np.linspace(0, 3, 8), "phi_bins": 2,
}  # fmt: skip

FRAMES: Mapping[str, dict[str, Any]] = {
    "image": {"write": True},
    "roi": {"name": "r", "bounds": [[2, 12], [1, 15]], "area": True, "saturation_adu": 90},
    "full": {},
    "projection": {"axis": 0, "mean": True},
    "lineout": {"axis": 0},
    "rebin": {"shape": (4, 5)},
    "spectrum": {"bins": (-100, 300, 40)},
    "sparsify": {"threshold_adu": 60},
    "peaks": {"threshold_adu": 40, "min_snr": 2},
    "autocorrelation": {"lags": (3, 4)},
    "curvature": {"coefficients": (0.3, 0), "area": True, "interpolate": True},
    "rotate": {"angle_deg": 30, "area": True},
    "compressed": {"error_adu": 0.5, "area": True},
    "azimuthal": {**PLACE, "counts": True, "standard_error": True},
    "droplets": {"threshold_adu": 70, "threshold_low_adu": 50},
    "photons": {"adu_per_photon": 60},
}
"""Words that work on frames, and parameters with which each pixel could matter."""

WAVES: Mapping[str, dict[str, Any]] = {
    "integral": {"signal": [20, 60], "background": [0, 20]},
    "hits": {"threshold": 40},
    "cfd": {"threshold": 40, "delay": 3},
    "baseline": {"window": [0, 20]},
}

OVER_THE_RUN: Mapping[str, dict[str, Any]] = {
    "speckle_size": {"lags": (3, 3)},
    "center": {"radius_range": (2, 8)},
}

REMADE = ("image", "curvature", "rotate", "baseline")
"""Words that make frames and waveforms of what they see, for others to work on."""

BEHIND: Mapping[str, tuple[str, dict[str, Any]]] = {
    "image": ("projection", {"axis": 0, "mean": True}),
    "curvature": ("projection", {"axis": 0, "mean": True}),
    "rotate": ("spectrum", {"bins": (-100, 300, 40)}),
    "baseline": ("hits", {"threshold": 10}),
}
"""What is chained to them, where a made-up 0 would be seen."""

OTHERWISE: Mapping[str, str] = {
    "sum": "pixel by pixel: a bad one is in its own sum alone",
    "normalise": "pixel by pixel, too",
    "contrast": "takes whole numbers: test_contrast.py",
    "svd_fit": "needs a basis: test_svd_fit.py",
    "unsparsify": "takes lists, which bad pixels are not in",
    "droplet2photon": "takes lists, too",
}


def word(name: str, parameters: Mapping[str, Any]) -> Reduction:
    made: Reduction = vars(Words)[name].make(**parameters)
    return made


def frames_and_mask(shape: tuple[int, ...]) -> tuple[Array, Mask]:
    rng = np.random.default_rng(8)
    frames = rng.normal(60, 40, (3, *shape)).astype(np.float32)
    mask = rng.random(shape) < 0.8
    mask[..., :3] = True
    if shape == SHAPE:
        frames[:, 6, 1:3] += 900  # a peak
    return frames, mask


def with_junk(frames: Array, bad: Mask) -> Array:
    """Other junk in each bad pixel of each event."""
    dirty = frames.copy()
    dirty[..., bad] = np.resize(JUNK, (len(frames), np.count_nonzero(bad)))
    return dirty


def spec_of(frames: Array, mask: Mask | None) -> Spec:
    where = WHERE if frames.shape[1:] == SHAPE else None
    return Spec(
        dtype=frames.dtype,
        shape=frames.shape[1:],
        kind="frames",
        mask=mask,
        positions=where,
    )


def given(frames: Array) -> Values:
    return Frames([read_only(frame) for frame in frames])


def results(made: Reduction, frames: Array, mask: Mask | None) -> Mapping[str, Values]:
    """All that a word puts out, and what is chained behind it."""
    prepared = made.prepare(spec_of(frames, mask))
    if isinstance(prepared, Accumulated):
        state = prepared.start()
        state.add(given(frames))
        return {field: result.value for field, result in state.value().items()}
    found = dict(prepared.compute(given(frames)))
    if isinstance(prepared.chained, tuple):
        found["chained"] = prepared.chained[1](given(frames))
    return {f: v.values if isinstance(v, Column) else v for f, v in found.items()}


def flat(values: Values) -> Array:
    if isinstance(values, Frames):
        return values.stack()
    return values.values if isinstance(values, Ragged) else np.asarray(values)


CASES = [
    pytest.param(name, parameters, shape, id=name)
    for words, shape in ((FRAMES, SHAPE), (WAVES, TRACES), (OVER_THE_RUN, SHAPE))
    for name, parameters in words.items()
]
per_word = pytest.mark.parametrize(("name", "parameters", "shape"), CASES)


def test_every_word_is_here() -> None:
    words = {name for name, value in vars(Words).items() if isinstance(value, Word)}
    assert {*FRAMES, *WAVES, *OVER_THE_RUN, *OTHERWISE} == words


@per_word
def test_masked_pixels_hold_whatever_they_like(
    name: str, parameters: dict[str, Any], shape: tuple[int, ...]
) -> None:
    frames, mask = frames_and_mask(shape)
    made = word(name, parameters)
    clean = results(made, frames, mask)
    dirty = results(made, with_junk(frames, ~mask), mask)
    assert any(flat(values).any() for values in clean.values())
    for field, values in clean.items():
        assert same_bits(values, dirty[field]), field


@pytest.mark.parametrize(
    ("name", "parameters", "shape"), [c for c in CASES if c.id not in OVER_THE_RUN]
)
def test_a_pixel_that_is_not_finite_is_a_masked_one(
    name: str, parameters: dict[str, Any], shape: tuple[int, ...]
) -> None:
    frames, mask = frames_and_mask(shape)
    made = word(name, parameters)
    masked = results(made, frames, mask)
    for junk in (np.nan, np.inf, -np.inf):
        dirty = results(made, np.where(mask, frames, np.float32(junk)), None)
        for field, values in masked.items():
            got, want = flat(dirty[field]), flat(values)
            if name in REMADE:  # bad in this event alone: NaN, where what is masked is 0
                got = np.nan_to_num(got, posinf=0, neginf=0)
            assert got.shape == want.shape, field
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9, err_msg=field)


@pytest.mark.parametrize("name", REMADE)
@pytest.mark.parametrize("junk", [np.nan, np.inf, -np.inf])
def test_words_behind_leave_out_what_is_not_finite(name: str, junk: float) -> None:
    parameters, shape = {**FRAMES, **WAVES}[name], TRACES if name in WAVES else SHAPE
    frames, mask = frames_and_mask(shape)
    found = []
    for values, good in ((frames, mask), (np.where(mask, frames, np.float32(junk)), None)):
        made = word(name, parameters).prepare(spec_of(values, good))
        assert isinstance(made, PerEvent)
        chained = made.chained
        if not isinstance(chained, tuple):
            chained = made.outputs[""], lambda v, p=made: p.compute(v)[""]
        behind = word(*BEHIND[name]).prepare(chained[0])
        assert isinstance(behind, PerEvent)
        found.append(behind.compute(chained[1](given(values))))
    for field, want in found[0].items():
        got = flat(found[1][field])  # type: ignore[arg-type]
        np.testing.assert_allclose(got, flat(want), rtol=1e-6, err_msg=field)  # type: ignore[arg-type]


@per_word
def test_without_a_good_pixel_nothing_is_made_up(
    name: str, parameters: dict[str, Any], shape: tuple[int, ...]
) -> None:
    """Sums and counts are 0, means NaN, lists empty; or the word says that it cannot."""
    frames, _ = frames_and_mask(shape)
    none = np.zeros(shape, bool)
    made: Callable[[], Mapping[str, Values]] = lambda: results(  # noqa: E731
        word(name, parameters), with_junk(frames, ~none), none
    )
    if name in ("autocorrelation", "azimuthal", "speckle_size"):
        with pytest.raises(ValueError, match=r"no pixel .*is good"):
            made()
        return
    found = {field: flat(values).astype(float) for field, values in made().items()}
    said = {"index": -1.0, "ratio": None, "lags": None}
    for field, values in found.items():
        want = said.get(field, 0.0)
        if want is not None:
            assert ((values == want) | np.isnan(values)).all(), (field, values)
