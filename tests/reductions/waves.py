"""Waveforms that reductions may meet: pulses over a base, with noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smalldata_stream.batch import Array, Ragged
from smalldata_stream.protocols import Spec
from smalldata_stream.testing.reductions import Input
from tests.reductions.frames import as_input, random_mask, unaligned, with_bad_values

CHANNELS, SAMPLES = 3, 60


def pulses(events: int, dtype: str, seed: int = 0, base: float = 100.0) -> Array:
    """``(events, channels, samples)``: none, one or two pulses that go up."""
    rng = np.random.default_rng(seed)
    t = np.arange(SAMPLES)
    waves = rng.normal(base, 2.0, (events, CHANNELS, SAMPLES))
    for i in range(events):
        for c in range(CHANNELS):
            for _ in range(rng.integers(0, 3)):
                center, height = rng.uniform(22, 55), rng.uniform(20, 300)
                waves[i, c] += height * np.exp(-0.5 * ((t - center) / 2) ** 2)
    return waves.astype(dtype)


def inputs() -> Sequence[Input]:
    mask = random_mask((CHANNELS, SAMPLES))
    found = [as_input(pulses(4, dtype)) for dtype in ("u2", "f4", "f8")]
    found += [as_input(pulses(4, "u2"), frames=True, mask=mask)]
    found += [as_input(with_bad_values(pulses(4, "f4")), mask=mask)]
    found += [as_input(unaligned(pulses(3, "f8")), frames=True)]
    found += [as_input(pulses(5, "u2", 3)[:, 0])]
    found += [as_input(pulses(10, "i2", 3)[1:9:2, ::2])]
    return [*found, of_several_lengths("u2"), of_several_lengths("f8")]


def of_several_lengths(dtype: str) -> Input:
    """Waveforms without channels of which two have the same length."""
    parts = [
        w[:n] for w, n in zip(pulses(5, dtype, 4)[:, 0], (60, 58, 59, 58, 60), strict=True)
    ]
    return Spec(dtype=np.dtype(dtype), kind="ragged"), Ragged.of(parts)


def rows(wave: Array, mask: Array) -> tuple[Array, Array]:
    """Channels of samples in float64, and which of them are good and finite."""
    w = np.atleast_2d(wave).astype(float)
    return w, np.atleast_2d(mask) & np.isfinite(w)


def like(wave: Array, values: Sequence[object] | Array) -> Array:
    """One value per channel, in the shape of the waveform without its samples."""
    return np.array(values).reshape(wave.shape[:-1] + np.array(values).shape[1:])
