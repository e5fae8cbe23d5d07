"""Projection of a frame or a region of interest onto its other axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Mask, Values
from smalldata_stream.kernels.projection import count_good, project
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Sum, or mean, of the good pixels along one axis, for each event, in float64.

    The output is ``data``: the shape of the input without that axis. Bad and non-finite
    pixels are left out; the mean is over the good ones, NaN where there is none.

    Parameters
    ----------
    axis
        The axis that goes away, from 0; of a region of interest, counted without axes of
        length 1. -1 means all axes: one number per event.
    mean
        The mean instead of the sum.
    threshold_adu
        ``x``: pixels below x count as 0; ``(low, high)``: pixels outside count as 0.
    threshold_sigma
        Pixels below so many times their noise count as 0; the noise is that of the
        detector's constants.
    single_photon
        Pixels above 0 count as 1 (after the thresholds), those below as 0: the number of
        pixels that were hit.
    name
        The word in the output path; without it ``pj_ax_<axis>``, and ``pj_ax_1`` for -1,
        the names of ``projectionFunc`` of smalldata_tools.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) there is no such axis.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype("u2"), shape=(2, 3))
    >>> frames = np.arange(6, dtype="u2").reshape(1, 2, 3)
    >>> Projection(axis=0).prepare(spec).compute(frames)["data"]
    array([[3., 5., 7.]])
    """

    axis: int = -1
    mean: bool = False
    threshold_adu: pixels.Threshold = None
    threshold_sigma: float | None = None
    single_photon: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.axis not in (-1, 0, 1, 2):
            raise ValueError(f"axis={self.axis!r}: write 0, 1 or 2, or -1 for all axes")
        limits = pixels.threshold(self.threshold_adu)
        object.__setattr__(self, "threshold_adu", limits)
        if self.threshold_sigma is not None:
            pixels.check_positive("threshold_sigma", self.threshold_sigma)
        if self.name == "":
            object.__setattr__(self, "name", f"pj_ax_{abs(self.axis)}")
        pixels.check_word("name", self.name, "pj_ax_0")

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check the axis against the frame."""
        (spec,) = inputs
        shape = pixels.frame_shape(spec, f"projection {self.name!r}")
        if self.axis >= len(shape):
            raise ValueError(
                f"projection {self.name!r}: no axis {self.axis} in {shape}; "
                f"write 0 to {len(shape) - 1}, or -1 for all"
            )
        rest = () if self.axis < 0 else shape[: self.axis] + shape[self.axis + 1 :]
        good = pixels.good_pixels(spec, None, f"projection {self.name!r}")
        levels = pixels.noise_levels(
            spec, self.threshold_sigma, f"projection {self.name!r}"
        )
        seen = _three_axes(shape, self.axis)
        levels = None if levels is None else levels.reshape(seen)
        mask = np.ones(seen, bool) if good is None else good.reshape(seen)
        data = pixels.pixel_spec(
            rest,
            np.dtype(np.float64),
            Spec(dtype=spec.dtype, unit="") if self.single_photon else spec,
            long_name=f"{'mean' if self.mean else 'sum'} over "
            + ("all axes" if self.axis < 0 else f"axis {self.axis}"),
        )
        low, high = pixels.limits(spec.dtype, self.threshold_adu)
        hit = partial(_hit, low, high) if self.single_photon else None
        if hit is not None:
            low, high = np.uint8(0), np.uint8(1)
        compute = partial(_compute, seen, mask, levels, hit, low, high, self.mean, data)
        return PerEvent(outputs={"data": data}, compute=compute)


def _hit(low: Any, high: Any, frames: Array) -> Array:
    """1 where a pixel is above 0 and within the thresholds, else 0."""
    hit: Array = (frames > 0) & (frames >= low) & (frames <= high)
    return hit.view(np.uint8)


def _three_axes(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """The shape as (axes before, axis, axes after)."""
    if axis < 0:
        return 1, math.prod(shape), 1
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def _compute(
    seen: tuple[int, int, int],
    mask: Mask,
    levels: Array | None,
    hit: Callable[[Array], Array] | None,
    low: Any,
    high: Any,
    mean: bool,
    data: Spec,
    values: Values,
) -> Mapping[str, Values]:
    before, _, after = seen
    out: Array = np.empty((len(values), before, after))
    for which, frames in pixels.stacks(values, seen):
        above = pixels.at_least(frames, levels)
        counted = above if hit is None else hit(above)
        project(counted, mask, low, high, out[which])
        if mean:
            counts = np.empty((len(frames), before, after), np.int64)
            count_good(frames, mask, counts)
            some = counts > 0
            out[which][some] /= counts[some]
            out[which][~some] = np.nan
    return {"data": pixels.packed(out, data)}
