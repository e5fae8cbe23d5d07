"""Integrals of waveforms over their background, one per channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from smalldata_stream.batch import Mask, Values
from smalldata_stream.kernels.integral import integrate
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels, waves
from smalldata_stream.reductions.any_length import of_any_length


@dataclass(frozen=True, slots=True, kw_only=True)
class Integral:
    """Sum of the samples of a window, each less the level of the background.

    Written as ``<name>``, float64, in the unit of the samples: one number per channel, one
    number for a waveform without channels. Bad and non-finite samples are left out of both
    windows; without a good sample in the background the result is NaN.

    Parameters
    ----------
    signal
        ``[first, last]`` in samples, last not included; None is the whole waveform.
    background
        Likewise; None subtracts nothing.
    level
        Of the background: its ``"median"`` or its ``"mean"``.
    negative
        True for pulses that go down: the sign of the result is turned.
    name
        The word in the output path; ``wfintegrate`` is that of smalldata_tools.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or a window is beyond the waveform.

    Examples
    --------
    >>> wave = np.array([[2, 2, 5, 7, 2]], "u2")
    >>> integral = Integral(signal=[2, 4], background=[0, 2])
    >>> integral.prepare(Spec(dtype=wave.dtype, shape=(5,))).compute(wave)[""]
    array([8.])
    """

    signal: waves.Window = None
    background: waves.Window = None
    level: Literal["median", "mean"] = "median"
    negative: bool = False
    name: str = "wfintegrate"

    def __post_init__(self) -> None:
        for name in ("signal", "background"):
            object.__setattr__(self, name, waves.window(name, getattr(self, name)))
        waves.check_one_of("level", self.level, ("median", "mean"))
        pixels.check_word("name", self.name, "wfintegrate")

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check the windows against the waveform."""
        (spec,) = inputs
        if spec.kind == "ragged":
            return of_any_length(self.prepare, spec)
        shape = waves.channels_and_samples(spec, f"integral {self.name!r}")
        signal = waves.window("signal", self.signal)
        background = waves.window("background", self.background)
        compute = partial(
            _compute,
            self,
            waves.good_samples(spec, shape),
            waves.inside("signal", signal, shape[1], (0, shape[1])),
            waves.inside("background", background, shape[1], (0, 0)),
        )
        declared = Spec(
            dtype=np.dtype(np.float64),
            shape=waves.per_channel(spec),
            unit=spec.unit,
            long_name="sum over the signal window, background subtracted",
        )
        return PerEvent(outputs={"": declared}, compute=partial(compute, declared))


def _compute(
    integral: Integral,
    good: Mask,
    signal: tuple[int, int],
    background: tuple[int, int],
    declared: Spec,
    values: Values,
) -> Mapping[str, Values]:
    out = np.empty((len(values), len(good)))
    sign, by_median = -1.0 if integral.negative else 1.0, integral.level == "median"
    for which, some in pixels.stacks(values, good.shape):
        integrate(some, good, signal, background, by_median, sign, out[which])
    return {"": waves.as_declared(out, declared)}
