"""Autocorrelation of speckle images, for each event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from smalldata_stream.batch import Array, Mask, Values
from smalldata_stream.kernels import autocorrelation as kernels
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Autocorrelation:
    """Spatial autocorrelation of an image under one or several masks, for each event.

    In units of that of an even image: 1 where there is no structure, whatever the shape of
    the mask. Outputs, per event, with ``n`` masks (the first axis is left out for one):

    ==============  ====================================================================
    ``autocorr``    ``(n, 2 * rows, 2 * columns)`` of ``lags``, float64, lag 0 at
                    ``[rows, columns]``; NaN at lags of which no pair of pixels is good,
                    or by which all that is not 0 moves out of the mask
    ``lineout_h``   ``(n, 2 * columns)``, its row through lag 0; only with ``lineouts``
    ``lineout_v``   ``(n, 2 * rows)``, its column through lag 0; only with ``lineouts``
    ``cr``          ``(n,)`` mean of the good pixels, in the unit of the frame
    ==============  ====================================================================

    Parameters
    ----------
    lags
        How far, in rows and columns.
    mask
        True = good pixel, ``(rows, columns)``, or a stack of regions, ``(n, rows,
        columns)``, each correlated by itself; counts together with the detector's.
    threshold_adu
        ``x``: pixels below x count as 0; ``(low, high)``: pixels outside count as 0.
    lineouts
        Write the two lines instead of the whole autocorrelation.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the input is no image.

    Notes
    -----
    The quantity is ``Autocorrelation`` of smalldata_tools, but pairs of pixels on opposite
    edges of the region are not counted as neighbours. See
    `smalldata_stream.kernels.autocorrelation.normalised` for the formula.

    Examples
    --------
    >>> frames = np.ones((1, 8, 8))
    >>> found = Autocorrelation(lags=(2, 2)).prepare(Spec(dtype=frames.dtype, shape=(8, 8)))
    >>> found.compute(frames)["autocorr"].round(9).tolist()[0][2]
    [1.0, 1.0, 1.0, 1.0]
    """

    lags: Sequence[int] = (50, 50)
    mask: Array | None = None
    threshold_adu: pixels.Threshold = None
    lineouts: bool = False
    name: str = "autocorr"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "autocorr")
        object.__setattr__(self, "lags", checked_lags(self.lags))
        limits = pixels.threshold(self.threshold_adu)
        object.__setattr__(self, "threshold_adu", limits)
        object.__setattr__(self, "mask", pixels.user_mask(self.mask))

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check the masks against the frame, and transform them."""
        (spec,) = inputs
        what = f"autocorrelation {self.name!r}"
        regions = regions_of(spec, self.mask, tuple(self.lags), what)
        ones = self.mask is None or self.mask.ndim == 2
        n = () if ones else (len(regions),)
        rows, columns = self.lags
        f8 = np.dtype(np.float64)
        outputs = {}
        if self.lineouts:
            text = "autocorrelation, {} through lag 0"
            outputs["lineout_h"] = Spec(
                dtype=f8, shape=(*n, 2 * columns), long_name=text.format("row")
            )
            outputs["lineout_v"] = Spec(
                dtype=f8, shape=(*n, 2 * rows), long_name=text.format("column")
            )
        else:
            outputs["autocorr"] = pixels.pixel_spec(
                (*n, 2 * rows, 2 * columns),
                f8,
                Spec(dtype=f8),
                long_name="autocorrelation, 1 where there is no structure",
            )
        outputs["cr"] = Spec(
            dtype=f8, shape=n, unit=spec.unit, long_name="mean of the good pixels"
        )
        compute = partial(_compute, self, spec, regions, outputs)
        return PerEvent(
            outputs=outputs,
            compute=compute,
            chained=None if self.lineouts else "autocorr",
            config={"mask": np.stack([region.whole for region in regions])},
        )


class Region(NamedTuple):
    """A mask cut to the box around its good pixels, and its transform."""

    whole: Mask
    box: tuple[slice, slice]
    mask: Mask
    lags: kernels.Lags
    of_mask: Array
    number: Array


def regions_of(
    spec: Spec, mask: Mask | None, lags: tuple[int, ...], what: str
) -> list[Region]:
    """The regions of an image; ValueError where the input is none."""
    shape = pixels.frame_shape(spec, what)
    if len(shape) != 2:
        raise ValueError(
            f"{what} needs an image of rows and columns; the input is {shape}. Choose a "
            "tile with roi, or assemble the tiles first"
        )
    if mask is not None and (mask.ndim not in (2, 3) or mask.shape[-2:] != shape):
        raise ValueError(f"{what}: the mask is {mask.shape}, the image {shape}")
    each = [None] if mask is None else list(mask.reshape(-1, *shape))
    regions = []
    for one in each:
        good = pixels.good_pixels(spec, one, what)
        whole = np.ones(shape, bool) if good is None else good
        if not whole.any():
            raise ValueError(f"{what}: no pixel is good in a mask; leave it out")
        ends = [np.flatnonzero(whole.any(axis=1 - axis))[[0, -1]] for axis in (0, 1)]
        box = (slice(ends[0][0], ends[0][1] + 1), slice(ends[1][0], ends[1][1] + 1))
        part = np.ascontiguousarray(whole[box])
        sizes = kernels.lags_of((part.shape[0], part.shape[1]), (lags[0], lags[1]))
        regions.append(Region(whole, box, part, sizes, *kernels.pairs(part, sizes)))
    return regions


def checked_lags(value: Any) -> tuple[int, int]:
    """``value`` as two numbers of pixels; else ValueError."""
    given = tuple(value) if np.iterable(value) else ()
    if len(given) != 2 or not all(map(pixels.is_count, given)):
        raise ValueError(f"lags={value!r}: write (rows, columns) in pixels, each 1 or more")
    return int(given[0]), int(given[1])


def _compute(
    asked: Autocorrelation,
    spec: Spec,
    regions: list[Region],
    outputs: Mapping[str, Spec],
    values: Values,
) -> Mapping[str, Values]:
    rows, columns = asked.lags
    low, high = pixels.limits(spec.dtype, asked.threshold_adu)
    n = len(values)
    found: Array = np.empty((n, len(regions), 2 * rows, 2 * columns))
    means: Array = np.full((n, len(regions)), np.nan)
    event = 0
    for _, frames in pixels.stacks(values, spec.shape or ()):
        for frame in frames:
            for k, region in enumerate(regions):
                part = frame[region.box]
                good = region.mask & np.isfinite(part)
                taken = good & (part >= low) & (part <= high)
                image = np.where(taken, part, 0).astype(np.float64)
                of_mask, number = region.of_mask, region.number
                if np.count_nonzero(good) != np.count_nonzero(region.mask):
                    of_mask, number = kernels.pairs(good, region.lags)
                of_image = kernels.transform(image, region.lags)
                power = of_image.real**2 + of_image.imag**2
                found[event, k] = kernels.normalised(
                    power, of_image, of_mask, number, region.lags
                )
                if good.any():
                    means[event, k] = image.sum() / np.count_nonzero(good)
            event += 1
    fields = {
        "autocorr": found,
        "lineout_h": found[:, :, rows],
        "lineout_v": found[:, :, :, columns],
        "cr": means,
    }
    return {
        field: pixels.packed(np.ascontiguousarray(fields[field]), one)
        for field, one in outputs.items()
    }
