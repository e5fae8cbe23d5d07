"""Images turned about a point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from smalldata_stream.batch import Mask, Values
from smalldata_stream.kernels import rotation as kernels
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory

NEAR = 1e-9
"""Pixels by which a place may miss the frame: rounding, no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate:
    """Images turned about a point, float32, of the same shape: ``<name>_area``.

    Each pixel is interpolated between the four about the place where it comes from; bad
    pixels and those that are not finite are left out. Where the place is outside of the
    image, or the pixels that are not bad weigh less than a half, the pixel is 0; where only
    the finite ones of these do, it is NaN. What is chained behind leaves both out.

    Parameters
    ----------
    angle_deg
        From the first axis towards the second: positive turns rows into columns, as
        `scipy.ndimage.rotate` does.
    center
        (row, column) that stays where it is, in pixels; None: the middle of the image.
    area
        Write the images, too; what is chained behind works on them anyhow.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the input is no image.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype("f4"), shape=(3, 3))
    >>> frame = np.array([[[0, 7, 0], [0, 1, 0], [0, 0, 0]]], "f4")
    >>> turned = Rotate(angle_deg=90, area=True).prepare(spec).compute(frame)["area"]
    >>> turned[0].round(6).tolist()
    [[0.0, 0.0, 0.0], [7.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """

    angle_deg: float
    center: Sequence[float] | None = None
    area: bool = False
    name: str = "rotated"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "rotated")
        if not _finite(self.angle_deg):
            raise ValueError(f"angle_deg={self.angle_deg!r}: write an angle in degrees")
        if self.center is None:
            return
        given = tuple(self.center)
        if len(given) != 2 or not all(map(_finite, given)):
            raise ValueError(f"center={self.center!r}: write (row, column) in pixels")
        object.__setattr__(self, "center", given)

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Find where each pixel comes from."""
        (spec,) = inputs
        what = f"rotate {self.name!r}"
        shape = pixels.frame_shape(spec, what)
        if len(shape) != 2:
            raise ValueError(
                f"{what} needs an image of rows and columns; the input is {shape}. Choose "
                "a tile with roi, or assemble the tiles first"
            )
        good = pixels.good_pixels(spec, None, what)
        mask = None if good is None else np.ascontiguousarray(good).reshape(-1)
        turn = _turn((shape[0], shape[1]), self.angle_deg, self.center)
        seen = np.empty((1, *shape), np.float32)
        kernels.rotate(np.ones((1, *shape), np.float32), mask, turn, NEAR, seen)
        turned = pixels.pixel_spec(
            shape,
            np.dtype(np.float32),
            spec,
            mask=seen[0] > 0.5,
            long_name="turned image",
        )
        make = partial(_turned, shape, mask, turn, turned, Memory())

        def compute(values: Values) -> Mapping[str, Values]:
            return {"area": make(values)} if self.area else {}

        return PerEvent(
            outputs={"area": turned} if self.area else {},
            compute=compute,
            chained=(turned, make),
            config={"mask": turned.mask},
        )


def _finite(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isfinite(float(value))


def _turn(
    shape: tuple[int, int], angle_deg: float, center: Sequence[float] | None
) -> kernels.Turn:
    rows, columns = shape
    r0, c0 = center if center is not None else ((rows - 1) / 2, (columns - 1) / 2)
    quarters, rest = divmod(angle_deg, 90)
    # Exact for right angles: cos 90° is not quite 0.
    angle = math.radians(rest)
    cosine, sine = math.cos(angle), math.sin(angle)
    for _ in range(int(quarters) % 4):
        cosine, sine = -sine, cosine
    return cosine, sine, float(r0), float(c0)


def _turned(
    shape: tuple[int, ...],
    mask: Mask | None,
    turn: kernels.Turn,
    turned: Spec,
    memory: Memory,
    values: Values,
) -> Values:
    out = memory.empty((len(values), *shape), turned.dtype)
    for which, frames in pixels.stacks(values, shape):
        kernels.rotate(frames, mask, turn, NEAR, out[which])
        if turned.mask is not None:
            np.copyto(out[which], 0, where=~turned.mask)
    return pixels.packed(out, turned)
