"""The centre of the rings in the mean image of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self, get_args

import numpy as np

from smalldata_stream.batch import Array, Mask, Values
from smalldata_stream.kernels.center import Method, find_center, no_center
from smalldata_stream.protocols import Accumulated, Result, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.state import ExactSum


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RingCenter:
    """Where the rings in the mean image of the run have their centre.

    Totals, under ``/Sums/<detector>_<name>_...``: ``xCen``, ``yCen`` (along columns and
    rows), ``R``, ``(rings,)`` or a number for one, and ``residu``, the root of the mean
    square distance of the points from their rings; in pixels, or in the unit of ``x`` and
    ``y``. NaN where no ring was found.

    Parameters
    ----------
    method, rings, percentile, tolerance, radius_range, x, y
        As in `smalldata_stream.kernels.center.find_center`, which is also there for images
        in notebooks. ``x`` and ``y`` need another method than ``"hough"``.
    mask
        True = good pixel, of the shape of the frame; counts together with the detector's.
    where
        Path of a column of the record: only events in which it is true are added.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) does not fit the frame.

    Notes
    -----
    The names are those of ``fitCenter`` of smalldata_tools, which fits every event, and of
    which masked pixels count for the percentile.
    """

    method: Method = "hough"
    rings: int = 1
    percentile: float = 95.0
    tolerance: float = 3.0
    radius_range: tuple[float, float] = (0.0, math.inf)
    x: Array | None = None
    y: Array | None = None
    mask: Array | None = None
    where: str | None = None
    name: str = "center"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "center")
        if self.method not in get_args(Method):
            raise ValueError(f"method={self.method!r}: write one of {get_args(Method)}")
        if not pixels.is_count(self.rings):
            raise ValueError(f"rings={self.rings!r}: write 1 or more")
        if self.method == "threshold" and self.rings > 1:
            raise ValueError("method='threshold' fits one ring; write 'hough' or 'ransac'")
        if not 0 <= self.percentile < 100:
            raise ValueError(f"percentile={self.percentile!r}: write 0 to below 100")
        if not 0 < self.tolerance < np.inf:
            raise ValueError(f"tolerance={self.tolerance!r}: write a distance above 0")
        between = self.radius_range
        if np.shape(between) != (2,) or not 0 <= between[0] < between[1]:
            raise ValueError(f"radius_range={between!r}: write (least, largest)")
        if (self.x is None) != (self.y is None):
            raise ValueError("x and y: write both, or none of them")
        if self.x is not None and self.method == "hough":
            raise ValueError(
                "method='hough' knows rows and columns only: with x and y write 'ransac' "
                "or 'threshold'"
            )
        object.__setattr__(self, "mask", pixels.user_mask(self.mask))
        if self.where is not None and not pixels.is_text(self.where):
            raise ValueError(f"where={self.where!r}: write the path of a column")

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Check coordinates and mask against the frame."""
        (spec,) = inputs
        what = f"center {self.name!r}"
        shape = pixels.frame_shape(spec, what)
        good = pixels.good_pixels(spec, self.mask, what)
        if self.x is None and len(shape) != 2:
            raise ValueError(
                f"{what} needs an image of rows and columns, or x and y of each pixel; the "
                f"input is {shape}"
            )
        for axis in (self.x, self.y):
            if axis is not None and np.shape(axis) != shape:
                raise ValueError(f"{what}: x or y is {np.shape(axis)}, the frame {shape}")
        unit = "pixel" if self.x is None else ""
        rings = () if self.rings == 1 else (self.rings,)
        f8 = np.dtype(np.float64)
        outputs = {
            "xCen": Spec(dtype=f8, unit=unit, long_name="centre along columns"),
            "yCen": Spec(dtype=f8, unit=unit, long_name="centre along rows"),
            "R": Spec(dtype=f8, shape=rings, unit=unit, long_name="radius of the rings"),
            "residu": Spec(dtype=f8, unit=unit, long_name="rms distance from the rings"),
        }
        return Accumulated(
            outputs={f"{self.name}_{field}": one for field, one in outputs.items()},
            start=partial(CenterState, self, shape, spec.dtype, good),
            where=None if self.where is None else (self.where, True),
            config={} if good is None else {"mask": good},
        )


class CenterState:
    """The exact sum of the frames, and the rings in it."""

    __slots__ = ("asked", "good", "image")

    def __init__(
        self,
        asked: RingCenter,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        good: Mask | None,
    ) -> None:
        self.asked, self.good = asked, good
        self.image = ExactSum("image", shape, dtype)

    def add(self, *values: Values) -> None:
        """Take frames of the declared shape and dtype."""
        self.image.add(*values)

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        self.image.merge(other.image)

    def value(self) -> Mapping[str, Result]:
        """The rings in what was added so far."""
        total = self.image.value()["image"]
        asked = self.asked
        found = no_center(asked.rings)
        if total.count:
            found = find_center(
                total.value / total.count,
                self.good,
                method=asked.method,
                rings=asked.rings,
                percentile=asked.percentile,
                tolerance=asked.tolerance,
                radius_range=asked.radius_range,
                x=asked.x,
                y=asked.y,
            )
        values = {
            "xCen": np.float64(found.x),
            "yCen": np.float64(found.y),
            "R": found.radii if asked.rings > 1 else np.float64(found.radii[0]),
            "residu": np.float64(found.residual),
        }
        return {
            f"{asked.name}_{field}": Result(np.asarray(value), total.count)
            for field, value in values.items()
        }
