"""Hits in waveforms: stretches above a threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Frames, Mask, Ragged, Values
from smalldata_stream.kernels.hits import Cut, count_hits, mark, measure_hits
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels, waves
from smalldata_stream.reductions.any_length import of_any_length

FIELDS = {
    "channel": (np.int16, "", "channel of the hit"),
    "time": (np.float64, "samples", "where the waveform crosses the threshold"),
    "height": (np.float64, "like samples", "largest sample over the background"),
    "width": (np.int32, "samples", "number of samples above the threshold"),
    "area": (np.float64, "like samples", "sum of the samples over the background"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Every stretch of consecutive samples above a threshold, and how many there are.

    Written are ``<name>_nHits`` (int32, per channel) and, in the order of channels and
    time, ``var_<name>/channel``, ``/time``, ``/height``, ``/width``, ``/area``, of variable
    length. The time is interpolated on the rise and counted in samples from 0. Words
    chained behind it work on the waveform of 1 (hit) and 0, uint8, whose run sum is the
    time-of-flight spectrum.

    Bad and non-finite samples are in no hit.

    Parameters
    ----------
    threshold
        A sample belongs to a hit from here on.
    in_sigma
        True: ``threshold`` is in standard deviations of the background.
    background
        ``[first, last]`` in samples, last not included, whose mean is taken off first;
        None takes nothing off, and ``threshold`` is then a value of the samples.
    most
        Samples above it belong to no hit.
    negative
        True for pulses that go down.
    name
        The word in the output path; ``hitfinder`` is that of smalldata_tools.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or the window is beyond the waveform.

    Examples
    --------
    >>> wave = np.array([[0, 0, 4, 6, 1, 0, 8]], "i2")
    >>> ready = Hits(threshold=2).prepare(Spec(dtype=wave.dtype, shape=(7,)))
    >>> found = ready.compute(wave)
    >>> found["nHits"], found["time"].values, found["area"].values
    (array([2], dtype=int32), array([1.5 , 5.25]), array([10.,  8.]))
    """

    threshold: float
    in_sigma: bool = False
    background: waves.Window = None
    most: float = math.inf
    negative: bool = False
    name: str = "hitfinder"

    def __post_init__(self) -> None:
        object.__setattr__(self, "background", waves.window("background", self.background))
        waves.check_number("threshold", self.threshold, above=-math.inf)
        # Of a threshold in standard deviations it is not known here what it is in samples.
        least = -math.inf if self.in_sigma else self.threshold
        most: Any = self.most
        if not isinstance(most, (int, float, np.number)) or not most >= least:
            raise ValueError(f"most={self.most!r}: write a number from the threshold on")
        if self.in_sigma and self.background is None:
            raise ValueError("in_sigma=True needs background=[first, last]")
        pixels.check_word("name", self.name, "hitfinder")

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check the window against the waveform."""
        (spec,) = inputs
        if spec.kind == "ragged":
            return of_any_length(self.prepare, spec)
        shape = waves.channels_and_samples(spec, f"hits {self.name!r}")
        good = waves.good_samples(spec, shape)
        cut = cut_of(self, shape[1])
        count = count_spec(spec)
        marked = Spec(
            dtype=np.dtype(np.uint8),
            shape=spec.shape,
            kind=spec.kind,
            long_name="1 in a hit, else 0",
            mask=spec.mask,
        )
        return PerEvent(
            outputs={"nHits": count, **ragged_specs(FIELDS, spec)},
            compute=partial(_compute, good, cut, count),
            chained=(marked, partial(_marked, good, cut, marked)),
        )


def cut_of(hits: Hits, samples: int) -> Cut:
    """The parameters as the kernels take them."""
    background = waves.window("background", hits.background)
    first, last = waves.inside("background", background, samples, (0, 0))
    sign = -1.0 if hits.negative else 1.0
    threshold = float(hits.threshold)
    return Cut(first, last, threshold, bool(hits.in_sigma), float(hits.most), sign)


def count_spec(spec: Spec) -> Spec:
    """The number of hits per channel."""
    return Spec(
        dtype=np.dtype(np.int32),
        shape=waves.per_channel(spec),
        long_name="number of hits",
    )


def ragged_specs(
    fields: Mapping[str, tuple[type, str, str]], spec: Spec
) -> dict[str, Spec]:
    """What is written of each hit."""
    return {
        name: Spec(
            dtype=np.dtype(kind),
            kind="ragged",
            unit=spec.unit if unit == "like samples" else unit,
            long_name=text,
        )
        for name, (kind, unit, text) in fields.items()
    }


def offsets_of(counts: Array) -> Array:
    """Where the hits of each event begin, from counts ``(n, channels)``."""
    total = np.cumsum(counts.sum(axis=1, dtype=np.int64))
    return np.concatenate([np.zeros(1, np.int64), total])


def _compute(good: Mask, cut: Cut, declared: Spec, values: Values) -> Mapping[str, Values]:
    counts = np.empty((len(values), len(good)), np.int32)
    stacks = list(pixels.stacks(values, good.shape))
    for which, some in stacks:
        count_hits(some, good, cut, counts[which])
    offsets = offsets_of(counts)
    found = {name: np.empty(offsets[-1], kind) for name, (kind, _, _) in FIELDS.items()}
    for which, some in stacks:
        part = slice(offsets[which.start], offsets[which.stop])
        measure_hits(some, good, cut, *(array[part] for array in found.values()))
    return {
        "nHits": waves.as_declared(counts, declared),
        **{name: Ragged(array, offsets) for name, array in found.items()},
    }


def _marked(good: Mask, cut: Cut, declared: Spec, values: Values) -> Values:
    out = np.empty((len(values), *good.shape), np.uint8)
    for which, some in pixels.stacks(values, good.shape):
        mark(some, good, cut, out[which])
    shaped = waves.as_declared(out, declared)
    if declared.kind == "frames":
        return Frames(list(shaped), shape=declared.shape, dtype=declared.dtype)
    return shaped
