"""The mean autocorrelation of a run, and the size of its speckles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from smalldata_stream.batch import Array, Values
from smalldata_stream.kernels import autocorrelation as kernels
from smalldata_stream.protocols import Accumulated, Result, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.autocorrelation import Region, checked_lags, regions_of
from smalldata_stream.reductions.state import ExactSum, checked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeckleSize:
    """Autocorrelation of all images of the run, from the mean of their power spectra.

    Totals, under ``/Sums/<detector>_<name>_...``:

    ==============  ====================================================================
    ``autocorr``    ``(2 * rows, 2 * columns)`` of ``lags``, as `Autocorrelation` has it,
                    with the means of |F(I)|² and of F(I) over the events
    ``sigma``       ``(2,)`` width of its peak along rows and columns (down, across), in
                    pixels: a Gaussian on a constant, lag 0 left out
    ``contrast``    ``(2,)`` height of these Gaussians
    ==============  ====================================================================

    Parameters
    ----------
    lags, mask, threshold_adu
        As in `Autocorrelation`; one mask.
    where
        Path of a column of the record: only events in which it is true are added.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the input is no image. An
        event with a good pixel that is not finite fails: put it into the mask.

    Notes
    -----
    Sums of power spectra add up exactly, in any order, and one inverse transform at the end
    makes the autocorrelation: half the work of one per event. Dividing by the mean image
    takes the illumination out of it, which the mean of the autocorrelations of events does
    not; what is the same in all images, as a shadow, is not counted as speckle.
    """

    lags: Sequence[int] = (50, 50)
    mask: Array | None = None
    threshold_adu: pixels.Threshold = None
    where: str | None = None
    name: str = "speckle"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "speckle")
        object.__setattr__(self, "lags", checked_lags(self.lags))
        limits = pixels.threshold(self.threshold_adu)
        object.__setattr__(self, "threshold_adu", limits)
        object.__setattr__(self, "mask", pixels.user_mask(self.mask))
        if self.where is not None and not pixels.is_text(self.where):
            raise ValueError(f"where={self.where!r}: write the path of a column")

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Check the mask against the frame, and transform it."""
        (spec,) = inputs
        what = f"speckle_size {self.name!r}"
        if self.mask is not None and self.mask.ndim != 2:
            raise ValueError(f"{what}: one mask of rows and columns, not {self.mask.shape}")
        (region,) = regions_of(spec, self.mask, tuple(self.lags), what)
        f8 = np.dtype(np.float64)
        rows, columns = self.lags
        outputs = {
            "autocorr": Spec(
                dtype=f8,
                shape=(2 * rows, 2 * columns),
                long_name="autocorrelation, 1 where there is no structure",
            ),
            "sigma": Spec(
                dtype=f8, shape=(2,), unit="pixel", long_name="width of the peak"
            ),
            "contrast": Spec(dtype=f8, shape=(2,), long_name="height of the peak"),
        }
        outputs = {f"{self.name}_{field}": one for field, one in outputs.items()}
        return Accumulated(
            outputs=outputs,
            start=partial(SpeckleState, self.name, spec, region, self.threshold_adu),
            where=None if self.where is None else (self.where, True),
            config={"mask": region.whole},
        )


LARGE = 2.0**32
"""Power spectra are split at multiples of it: an `ExactSum` ends at 2^62, which is reached
by a bright image of a megapixel, and must not begin later for one of few photons."""


class SpeckleState:
    """Exact sums of power spectra and of images."""

    __slots__ = ("image", "large", "limits", "name", "power", "region", "spec")

    def __init__(
        self, name: str, spec: Spec, region: Region, threshold: pixels.Threshold
    ) -> None:
        self.name, self.spec, self.region = name, spec, region
        self.limits = pixels.limits(spec.dtype, threshold)
        rows, columns = region.lags.size
        f8 = np.dtype(np.float64)
        self.power = ExactSum("power", (rows, columns // 2 + 1), f8)
        self.large = ExactSum("large", self.power.shape, f8)
        self.image = ExactSum("image", region.lags.box, f8)

    def add(self, *values: Values) -> None:
        """Take images of the declared shape."""
        shape = self.spec.shape or ()
        given = checked(values[0], shape, self.spec.dtype)
        low, high = self.limits
        images, powers = [], []
        for _, frames in pixels.stacks(given, shape):
            for frame in frames:
                part = frame[self.region.box]
                if not np.isfinite(part[self.region.mask]).all():
                    raise ValueError("a good pixel is not finite: put it into the mask")
                taken = self.region.mask & (part >= low) & (part <= high)
                image = np.where(taken, part, 0).astype(np.float64)
                of_image = kernels.transform(image, self.region.lags)
                images.append(image)
                powers.append(of_image.real**2 + of_image.imag**2)
        if images:
            power = np.stack(powers)
            large = np.rint(power / LARGE)
            if large.any():
                self.large.add(large)
            self.power.add(power - large * LARGE)
            self.image.add(np.stack(images))

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        self.power.merge(other.power)
        self.large.merge(other.large)
        self.image.merge(other.image)

    def value(self) -> Mapping[str, Result]:
        """The autocorrelation so far, and the Gaussians fitted to it."""
        power, large = self.power.value()["power"].value, self.large.value()["large"].value
        image = self.image.value()["image"]
        n, lags = image.count, self.region.lags
        rows, columns = lags.lags
        found: Array = np.full((2 * rows, 2 * columns), np.nan)
        if n:
            found = kernels.normalised(
                (large * LARGE + power) / n,
                kernels.transform(image.value / n, lags),
                self.region.of_mask,
                self.region.number,
                lags,
            )
        fits = [kernels.fit_speckle(line) for line in (found[:, columns], found[rows])]
        values = {
            "autocorr": found,
            "sigma": np.array([fit.sigma for fit in fits]),
            "contrast": np.array([fit.contrast for fit in fits]),
        }
        return {f"{self.name}_{field}": Result(v, n) for field, v in values.items()}
