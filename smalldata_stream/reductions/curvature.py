"""Straight lines of a spectrometer whose image is curved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Mask, Values
from smalldata_stream.kernels.curvature import shift_columns
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Curvature:
    """Frames whose curved lines are made straight: ``<name>_corrected_image``, float32.

    A line of constant energy lies at ``p(c) = Σ coefficients[k] c^(n-1-k)`` along ``axis``,
    c the position on the other axis. Each column is moved by ``p(c) - min p``, so that the
    lines lie at ``min p``, where the lowest of them was. What comes from outside of the
    frame or from bad pixels is 0, from pixels that are not finite NaN; what is chained
    behind leaves both out.

    Parameters
    ----------
    coefficients
        Of the polynomial, highest power first, as `numpy.polyfit` gives them; in pixels.
    axis
        The axis along which is moved: 0 rows, 1 columns (energy runs along it).
    interpolate
        False: by whole pixels, the shift rounded. True: linearly between two pixels.
    area
        Write the corrected frames, too; what is chained behind works on them anyhow.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the input is no image, or
        the shift is larger than the image.

    Notes
    -----
    The quantity is ``PolynomialCurveCorrection`` of smalldata_tools with ``method="roll"``,
    whose rows that leave the frame at one end come in again at the other; here they are 0.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype("u2"), shape=(3, 3))
    >>> frame = np.array([[[5, 0, 0], [0, 6, 0], [0, 0, 7]]], "u2")
    >>> straight = Curvature(coefficients=(1, 0), area=True).prepare(spec).compute(frame)
    >>> straight["corrected_image"][0].tolist()
    [[5.0, 6.0, 7.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    coefficients: Sequence[float] | Array
    axis: int = 0
    interpolate: bool = False
    area: bool = False
    name: str = "curve_corr"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "curve_corr")
        if self.axis not in (0, 1):
            raise ValueError(f"axis={self.axis!r}: write 0 (rows) or 1 (columns)")
        given = np.asarray(self.coefficients)
        if given.ndim != 1 or given.dtype.kind not in "iuf" or not given.size:
            given = np.array([np.nan])
        if not np.isfinite(given).all():
            raise ValueError(
                f"coefficients={self.coefficients!r}: write those of a polynomial, the "
                "highest power first, such as (2e-4, -0.1, 30)"
            )
        fixed = tuple(float(c) for c in given)
        object.__setattr__(self, "coefficients", fixed)

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check the shift against the image."""
        (spec,) = inputs
        what = f"curvature {self.name!r}"
        shape = pixels.frame_shape(spec, what)
        if len(shape) != 2:
            raise ValueError(f"{what} needs rows and columns; the input is {shape}")
        along, across = shape[self.axis], shape[1 - self.axis]
        place = np.polyval(self.coefficients, np.arange(across))
        shift = place - place.min()
        if shift.max() > along - 1:
            raise ValueError(
                f"{what}: the polynomial moves by up to {shift.max():.1f} pixels, the "
                f"image {shape} has {along} on axis {self.axis}; see the coefficients"
            )
        if not self.interpolate:
            shift = np.round(shift)
        whole = np.floor(shift).astype(np.int64)
        part = shift - whole
        good = pixels.good_pixels(spec, None, what)
        lying = self.axis == 1
        mask = None if good is None else np.ascontiguousarray(good.T if lying else good)
        moved = np.zeros((1, along, across), np.float32)
        ones = np.ones((1, along, across), np.float32)
        shift_columns(ones, mask, whole, part, moved)
        inside: Mask = moved[0] > 0.5
        straight = pixels.pixel_spec(
            shape,
            np.dtype(np.float32),
            spec,
            mask=inside.T if lying else inside,
            long_name="frame with straight lines",
        )
        make = partial(_straight, shape, lying, mask, whole, part, straight, Memory())

        def compute(values: Values) -> Mapping[str, Values]:
            return {"corrected_image": make(values)} if self.area else {}

        return PerEvent(
            outputs={"corrected_image": straight} if self.area else {},
            compute=compute,
            chained=(straight, make),
            config={"shift": shift, "mask": straight.mask},
        )


def _straight(
    shape: tuple[int, int],
    lying: bool,
    mask: Mask | None,
    whole: NDArray[np.int64],
    part: NDArray[np.float64],
    straight: Spec,
    memory: Memory,
    values: Values,
) -> Values:
    out = memory.empty((len(values), *shape), straight.dtype)
    for which, frames in pixels.stacks(values, shape):
        if lying:
            turned = np.ascontiguousarray(frames.swapaxes(1, 2))
            moved = np.empty(turned.shape, straight.dtype)
            shift_columns(pixels.contiguous(turned), mask, whole, part, moved)
            out[which] = moved.swapaxes(1, 2)
        else:
            shift_columns(frames, mask, whole, part, out[which])
    return pixels.packed(out, straight)
