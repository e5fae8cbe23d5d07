"""A region of interest: its pixels, and its sum, mean, maximum and centre of mass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from smalldata_stream.batch import Array, Mask, Values, read_only
from smalldata_stream.kernels import roi as kernels
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory

Bounds = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Roi:
    """A box of a detector's own array, reduced for each event.

    Outputs, per event:

    ========  =========================================================================
    ``area``  the pixels of the box, axes of length 1 left out; only with ``area=True``.
              Bad pixels, NaN, infinities and pixels outside ``threshold_adu`` are 0
    ``sum``   sum of those pixels, float64
    ``mean``  ``sum`` / number of all pixels of the box, bad ones counted
    ``max``   maximum over the good pixels, dtype of the data. NaN (integers: 0) when no
              pixel is good
    ``com``   ``(2,)`` centre of mass on the first two axes of ``area``, in pixels from
              the first of the box; NaN when the sum is 0 or there are less than two axes
    ``nsat``  number of good pixels at or above ``saturation_adu``, whatever the
              threshold; only with ``saturation_adu``
    ========  =========================================================================

    What is chained behind it works on ``area``.

    Parameters
    ----------
    name
        The word in the output path: ``/<detector>/<name>_sum``.
    bounds
        Half-open ``[first, last]`` for each axis of the frame: tile, row, column for tiled
        detectors; row, column for cameras; one pair for waveforms. None is the whole frame.
    area
        Write the pixels, too.
    threshold_adu
        ``x``: pixels below x become 0; ``(low, high)``: pixels outside become 0. Both ends
        are inside.
    mask
        True = good pixel, of the shape of the frame; counts together with the detector's.
    saturation_adu
        From which value on a pixel is saturated.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the box is not in the frame.

    Notes
    -----
    The quantities are those of ``ROIFunc`` of smalldata_tools, except that bad pixels are 0
    in ``area``, too, and do not enter ``max``.

    Examples
    --------
    >>> roi = Roi("ROI_0", [[0, 1], [1, 3]])
    >>> spec = Spec(dtype=np.dtype("u2"), shape=(2, 4))
    >>> frames = np.arange(16, dtype="u2").reshape(2, 2, 4)
    >>> results = roi.prepare(spec).compute(frames)
    >>> {field: results[field].tolist() for field in ("sum", "mean", "max")}
    {'sum': [3.0, 19.0], 'mean': [1.5, 9.5], 'max': [2, 10]}
    """

    name: str = "full"
    bounds: Bounds | Sequence[Sequence[int]] | None = None
    _: KW_ONLY
    area: bool = False
    threshold_adu: pixels.Threshold = None
    mask: Mask | None = None
    saturation_adu: float | None = None

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "ROI_0")
        set_ = partial(object.__setattr__, self)
        set_("bounds", _bounds(self.bounds))
        set_("threshold_adu", pixels.threshold(self.threshold_adu))
        set_("mask", pixels.user_mask(self.mask))
        if self.saturation_adu is not None:
            pixels.check_number("saturation_adu", self.saturation_adu)

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check the box against the frame."""
        (spec,) = inputs
        cut = _cut(self, spec)
        outputs: dict[str, Spec] = {}
        if self.area:
            outputs["area"] = cut.area
        f8 = np.dtype(np.float64)
        outputs["sum"] = Spec(dtype=f8, unit=spec.unit, long_name="sum of the pixels")
        outputs["mean"] = Spec(
            dtype=f8, unit=spec.unit, long_name="sum / pixels of the box"
        )
        outputs["max"] = Spec(
            dtype=spec.dtype, unit=spec.unit, long_name="maximum of the good pixels"
        )
        outputs["com"] = Spec(
            dtype=f8, shape=(2,), unit="pixel", long_name="centre of mass in the box"
        )
        if self.saturation_adu is not None:
            outputs["nsat"] = Spec(
                dtype=np.dtype(np.int64), long_name="number of saturated pixels"
            )
        return PerEvent(
            outputs=outputs,
            compute=partial(_compute, cut, self.area, self.saturation_adu),
            chained=(cut.area, cut.pixels),
            config={"bounds": np.array(cut.bounds), "mask": cut.mask_of_area()},
        )


class _Cut(NamedTuple):
    """A ROI made ready for its frames, which are seen as (tile, row, column)."""

    bounds: Bounds
    shape: tuple[int, int, int]
    box: kernels.Box
    mask: Mask | None
    low: Any
    high: Any
    area: Spec
    memory: Memory

    @property
    def box_shape(self) -> tuple[int, int, int]:
        t0, t1, r0, r1, c0, c1 = self.box
        return t1 - t0, r1 - r0, c1 - c0

    def mask_of_area(self) -> Mask:
        mask = np.ones(self.box_shape, bool) if self.mask is None else self.mask
        return mask.reshape(self.area.shape or ())

    def pixels(self, values: Values) -> Values:
        out = self.memory.empty((len(values), *self.box_shape), self.area.dtype)
        for which, frames in pixels.stacks(values, self.shape):
            kernels.cut(frames, self.box, self.mask, self.low, self.high, out[which])
        return pixels.packed(out, self.area)

    def statistics(
        self, values: Values, saturation_adu: float | None
    ) -> tuple[Array, Array, Array]:
        """Moments, maxima and numbers of saturated pixels, per event."""
        n, dtype = len(values), self.area.dtype
        lowest = dtype.type(-np.inf if dtype.kind == "f" else np.iinfo(dtype).min)
        limit, most = pixels.limits(dtype, saturation_adu)
        if saturation_adu is None:
            limit, most = dtype.type(1), dtype.type(0)
        moments, maxima, saturated = np.empty((n, 4)), np.empty(n, dtype), np.empty(n, int)
        for which, frames in pixels.stacks(values, self.shape):
            kernels.statistics(
                frames,
                self.box,
                self.mask,
                self.low,
                self.high,
                lowest,
                limit,
                most,
                moments[which],
                maxima[which],
                saturated[which],
            )
        if dtype.kind == "f":
            maxima[maxima == -np.inf] = np.nan
        elif self.mask is not None and not self.mask.any():
            maxima[:] = 0
        return moments, maxima, saturated


def _compute(
    cut: _Cut, area: bool, saturation_adu: float | None, values: Values
) -> Mapping[str, Values]:
    moments, maxima, saturated = cut.statistics(values, saturation_adu)
    total = moments[:, 0]
    of_axes = [1 + axis for axis, size in enumerate(cut.box_shape) if size > 1][:2]
    com = np.full((len(values), 2), np.nan)
    if len(of_axes) == 2:
        some = total != 0
        com[some] = moments[some][:, of_axes] / total[some, None]
    results: dict[str, Values] = {"area": cut.pixels(values)} if area else {}
    results |= {"sum": total.copy(), "mean": total / np.prod(cut.box_shape)}
    results |= {"max": maxima, "com": com}
    if saturation_adu is not None:
        results["nsat"] = saturated
    return results


def _cut(roi: Roi, spec: Spec) -> _Cut:
    shape = pixels.frame_shape(spec, f"roi {roi.name!r}")
    bounds = _inside(roi, shape)
    ones = 3 - len(shape)
    (t0, t1), (r0, r1), (c0, c1) = ((0, 1),) * ones + bounds
    part = tuple(slice(*pair) for pair in bounds)
    good = pixels.good_pixels(spec, roi.mask, f"roi {roi.name!r}")
    box_shape = (t1 - t0, r1 - r0, c1 - c0)
    mask: Mask | None = None
    if good is not None and not good[part].all():
        mask = np.ascontiguousarray(good[part].reshape(box_shape))
    squeezed = tuple(size for size in box_shape if size > 1)
    low, high = None, None
    if roi.threshold_adu is not None:
        low, high = pixels.limits(spec.dtype, roi.threshold_adu)
    area_mask = None if mask is None else mask.reshape(squeezed)
    noise, where = spec.noise, spec.positions
    area = pixels.pixel_spec(
        squeezed,
        spec.dtype,
        spec,
        mask=area_mask,
        noise=None if noise is None else read_only(noise[part].reshape(squeezed)),
        positions=None if where is None else where.cut(part, squeezed),
        long_name="pixels of the box",
    )
    full = ((1,) * ones + shape)[:3]
    return _Cut(
        bounds,
        (full[0], full[1], full[2]),
        (t0, t1, r0, r1, c0, c1),
        mask,
        low,
        high,
        area,
        Memory(),
    )


def _bounds(value: Any) -> Bounds | None:
    if value is None:
        return None
    pairs = pixels.box_of(value)
    if not pairs:
        raise ValueError(
            f"bounds={value!r}: write [first, last] for each axis, 0 <= first < last, "
            "such as [[0, 1], [10, 60], [100, 300]]; last is not part of the box"
        )
    return pairs


def _inside(roi: Roi, shape: tuple[int, ...]) -> Bounds:
    if roi.bounds is None:
        return tuple((0, size) for size in shape)
    bounds = tuple((int(first), int(last)) for first, last in roi.bounds)
    if len(bounds) != len(shape):
        raise ValueError(
            f"roi {roi.name!r} has bounds for {len(bounds)} axes, {list(map(list, bounds))}"
            f"; the frame has {len(shape)}, {shape}: write one [first, last] for each"
        )
    for axis, ((first, last), size) in enumerate(zip(bounds, shape, strict=True)):
        if last > size:
            raise ValueError(
                f"roi {roi.name!r} goes from {first} to {last} on axis {axis}; the frame "
                f"is {shape}: the last is at most {size}"
            )
    return bounds
