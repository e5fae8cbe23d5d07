"""Frames with fewer, larger pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import index

import numpy as np

from smalldata_stream.batch import Mask, Values
from smalldata_stream.kernels.rebin import rebin
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebin:
    """The frame with fewer, larger pixels, float64, for each event: ``<name>_data``.

    A larger pixel is the mean of the good, finite pixels that it covers, each weighted with
    the part of it that is covered; NaN where no good one is.

    Parameters
    ----------
    shape
        The number of larger pixels on each axis of the input; need not divide those of
        the input. Tiles stay apart: their number stays as it is.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If the shape is not of this form, or (in ``prepare``) larger than the input's.

    Notes
    -----
    The quantity is ``rebinFunc`` of smalldata_tools, which interpolates first where the
    shape does not divide the frame's; here the total signal is kept.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype("u2"), shape=(2, 4))
    >>> frames = np.array([[[0, 2, 4, 6], [2, 4, 6, 8]]], "u2")
    >>> Rebin(shape=(1, 2)).prepare(spec).compute(frames)["data"]
    array([[[2., 6.]]])
    """

    shape: Sequence[int]
    name: str = "rebin"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "rebin")
        try:
            shape = tuple(index(size) for size in self.shape)
        except TypeError:
            shape = ()
        if not shape or min(shape) < 1:
            raise ValueError(
                f"shape={self.shape!r}: write the number of larger pixels on each axis, "
                "such as (64, 64)"
            )
        object.__setattr__(self, "shape", shape)

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check the shape against the frame."""
        (spec,) = inputs
        what = f"rebin {self.name!r}"
        have, want = pixels.frame_shape(spec, what), tuple(self.shape)
        fits = len(have) == len(want) and all(
            w <= h for w, h in zip(want, have, strict=True)
        )
        if not fits or (len(have) == 3 and want[0] != have[0]):
            first = f"{have[0]} tiles, then " if len(have) == 3 else ""
            raise ValueError(
                f"{what}: shape {want} for a frame of {have}; write {first}at most as many "
                "pixels as there are on each axis"
            )
        good = pixels.good_pixels(spec, None, what)
        ones = (1,) * (3 - len(have))
        seen = (*ones, *have)
        mask = np.ones(seen, bool) if good is None else good.reshape(seen)
        data = pixels.pixel_spec(
            want, np.dtype(np.float64), spec, long_name="mean of the good pixels"
        )
        compute = partial(_compute, seen, (*ones, *want), mask, data, Memory())
        return PerEvent(outputs={"data": data}, compute=compute)


def _compute(
    seen: tuple[int, ...],
    into: tuple[int, ...],
    mask: Mask,
    data: Spec,
    memory: Memory,
    values: Values,
) -> Mapping[str, Values]:
    out = memory.empty((len(values), *into), data.dtype)
    for which, frames in pixels.stacks(values, seen):
        rebin(frames, mask, out[which])
    return {"data": pixels.packed(out, data)}
