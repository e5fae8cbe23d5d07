"""Waveforms with their baseline taken off."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from smalldata_stream.batch import Array, Frames, Mask, Values
from smalldata_stream.kernels.baseline import baselines, subtract
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels, waves
from smalldata_stream.reductions.any_length import of_any_length


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Waveforms less the level of a window in which there is no signal.

    Words chained behind it work on the corrected waveforms (float32; float64 where the
    samples are), which are 0 where they are bad, and not finite where the samples are not.
    Written are the levels, ``<name>_level``, float64, per channel and phase.

    Fast digitizers are several slower ones that take turns, each with a baseline of its
    own, seen as a pattern that repeats every few samples. With ``period`` each of these
    phases has its own level.

    Parameters
    ----------
    window
        ``[first, last]`` in samples, last not included; None is the whole waveform.
    period
        Number of phases; 1 is one level for all samples.
    level
        ``"median"`` or ``"mean"`` of the samples.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, the window is beyond the waveform, or it has
        fewer samples than phases.

    Examples
    --------
    >>> wave = np.array([[4, 9, 4, 9, 6, 9]], "u2")
    >>> spec = Spec(dtype=wave.dtype, shape=(6,))
    >>> ready = Baseline(window=[0, 4], period=2).prepare(spec)
    >>> ready.chained[1](wave)
    array([[0., 0., 0., 0., 2., 0.]], dtype=float32)
    """

    window: waves.Window = None
    period: int = 1
    level: Literal["median", "mean"] = "median"
    name: str = "baseline"

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", waves.window("window", self.window))
        waves.check_number("period", self.period, above=0)
        if int(self.period) != self.period:
            raise ValueError(f"period={self.period!r}: write a whole number of samples")
        object.__setattr__(self, "period", int(self.period))
        waves.check_one_of("level", self.level, ("median", "mean"))
        pixels.check_word("name", self.name, "baseline")

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check the window against the waveform."""
        (spec,) = inputs
        if spec.kind == "ragged":
            return of_any_length(self.prepare, spec)
        shape = waves.channels_and_samples(spec, f"baseline {self.name!r}")
        given = waves.window("window", self.window)
        window = waves.inside("window", given, shape[1], (0, shape[1]))
        if window[1] - window[0] < self.period:
            raise ValueError(
                f"window={list(window)} has fewer samples than period={self.period}"
            )
        good = waves.good_samples(spec, shape)
        find = partial(_levels, self, good, window)
        phases = () if self.period == 1 else (self.period,)
        level = Spec(
            dtype=np.dtype(np.float64),
            shape=waves.per_channel(spec, *phases),
            unit=spec.unit,
            long_name=f"{self.level} of the baseline",
        )
        dtype = np.dtype(np.float64 if spec.dtype.itemsize > 4 else np.float32)
        chained = Spec(
            dtype=dtype,
            shape=spec.shape,
            kind=spec.kind,
            unit=spec.unit,
            mask=spec.mask,
        )
        return PerEvent(
            outputs={"level": level},
            compute=lambda values: {"level": waves.as_declared(find(values), level)},
            chained=(chained, partial(_corrected, find, good, chained)),
        )


def _levels(
    baseline: Baseline, good: Mask, window: tuple[int, int], values: Values
) -> Array:
    out = np.empty((len(values), len(good), baseline.period))
    for which, some in pixels.stacks(values, good.shape):
        baselines(some, good, window, baseline.level == "median", out[which])
    return out


def _corrected(find: Any, good: Mask, chained: Spec, values: Values) -> Values:
    levels: Array = find(values)
    out = np.empty((len(values), *good.shape), chained.dtype)
    for which, some in pixels.stacks(values, good.shape):
        subtract(some, levels[which], good, out[which])
    shaped = waves.as_declared(out, chained)
    if chained.kind == "frames":
        return Frames(list(shaped), shape=chained.shape, dtype=chained.dtype)
    return shaped
