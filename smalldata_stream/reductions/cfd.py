"""Times of pulses by a constant fraction discriminator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from smalldata_stream.batch import Array, Mask, Ragged, Values
from smalldata_stream.kernels.cfd import discriminate
from smalldata_stream.kernels.hits import Cut
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels, waves
from smalldata_stream.reductions.any_length import of_any_length
from smalldata_stream.reductions.hits import (
    FIELDS,
    Hits,
    count_spec,
    cut_of,
    offsets_of,
    ragged_specs,
)

FOUND = ("channel", "time", "height")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cfd:
    """When each pulse has risen to a fraction of its height, whatever its height is.

    A threshold is crossed the earlier the higher the pulse is. The discriminator
    w(t - delay) - fraction x w(t) passes through zero at a time that does not depend on
    the height. It is looked for in every stretch above ``threshold``, which only says
    what a pulse is, and interpolated between samples.

    Written are ``<name>_nHits`` (int32, per channel) and ``var_<name>/channel``,
    ``/time``, ``/height``, of variable length, in the order of channels and time. The time
    is in samples from 0, on the rise of the pulse itself. A pulse without a crossing (its
    rise is not in the waveform, or it is no longer than a sample) is not counted.

    Parameters
    ----------
    threshold, in_sigma, background, most, negative
        As in `Hits`.
    delay
        In samples: about the rise time. If the pulse has reached its top within it, the
        time is where it had risen to ``fraction`` of the top.
    fraction
        Between 0 and 1.
    name
        The word in the output path; ``hitFinderCFD`` is that of smalldata_tools.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or the window or the delay is beyond the
        waveform.

    Notes
    -----
    Source: D. A. Gedcke and W. J. McDonald, Nucl. Instrum. Methods 55, 377 (1967).

    Examples
    --------
    >>> rise = np.array([[0.0, 0.0, 2.0, 4.0, 4.0, 4.0, 0.0, 0.0]])
    >>> ready = Cfd(threshold=1.0, delay=2, fraction=0.5).prepare(
    ...     Spec(dtype=rise.dtype, shape=(8,)))
    >>> ready.compute(rise)["time"].values, ready.compute(9 * rise)["time"].values
    (array([2.]), array([2.]))
    """

    threshold: float
    delay: int
    fraction: float = 0.5
    in_sigma: bool = False
    background: waves.Window = None
    most: float = math.inf
    negative: bool = False
    name: str = "hitFinderCFD"

    def __post_init__(self) -> None:
        above = self._above()
        object.__setattr__(self, "background", above.background)
        waves.check_number("delay", self.delay, above=0)
        if int(self.delay) != self.delay:
            raise ValueError(f"delay={self.delay!r}: write a whole number of samples")
        waves.check_number("fraction", self.fraction, above=0, to=1)

    def _above(self) -> Hits:
        return Hits(
            threshold=self.threshold,
            in_sigma=self.in_sigma,
            background=self.background,
            most=self.most,
            negative=self.negative,
            name=self.name,
        )

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check window and delay against the waveform."""
        (spec,) = inputs
        if spec.kind == "ragged":
            return of_any_length(self.prepare, spec)
        shape = waves.channels_and_samples(spec, f"cfd {self.name!r}")
        if self.delay >= shape[1]:
            raise ValueError(
                f"delay={self.delay}: the waveform has {shape[1]} samples; write fewer"
            )
        good = waves.good_samples(spec, shape)
        count = count_spec(spec)
        fields = {name: FIELDS[name] for name in FOUND}
        fields["time"] = (
            np.float64,
            "samples",
            f"risen to {self.fraction:g} of the height",
        )
        cut, delay, fraction = (
            cut_of(self._above(), shape[1]),
            int(self.delay),
            float(self.fraction),
        )
        return PerEvent(
            outputs={"nHits": count, **ragged_specs(fields, spec)},
            compute=partial(_compute, good, cut, delay, fraction, count),
        )


def _compute(
    good: Mask, cut: Cut, delay: int, fraction: float, declared: Spec, values: Values
) -> Mapping[str, Values]:
    counts = np.empty((len(values), len(good)), np.int32)
    stacks = list(pixels.stacks(values, good.shape))
    none = _arrays(0)
    for which, some in stacks:
        discriminate(some, good, cut, delay, fraction, counts[which], *none)
    offsets = offsets_of(counts)
    found = _arrays(int(offsets[-1]))
    for which, some in stacks:
        part = slice(offsets[which.start], offsets[which.stop])
        if part.stop > part.start:
            arrays = [array[part] for array in found]
            discriminate(some, good, cut, delay, fraction, counts[which], *arrays)
    return {
        "nHits": waves.as_declared(counts, declared),
        **{n: Ragged(a, offsets) for n, a in zip(FOUND, found, strict=True)},
    }


def _arrays(length: int) -> list[Array]:
    return [np.empty(length, FIELDS[name][0]) for name in FOUND]
