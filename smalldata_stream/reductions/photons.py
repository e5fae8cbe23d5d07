"""Photons per pixel, where a photon's charge may be shared by two neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from smalldata_stream.batch import Mask, Values
from smalldata_stream.kernels.photons import count_photons
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Photons:
    """The number of photons in each pixel of each frame.

    Outputs, per event:

    =========  ========================================================================
    ``nPhot``  number of photons, int64
    ``img``    photons in each pixel, uint16, of the shape of the frame; only with
               ``image=True``
    =========  ========================================================================

    What is chained behind it works on the image: ``spectrum`` makes the histogram of
    photons per pixel, ``roi`` those of a region, ``sum`` the total, ``contrast`` that of
    speckle. Bad pixels and pixels that are not finite have no photons.

    Parameters
    ----------
    adu_per_photon
        Value of a photon, in the unit of the frame (keV where frames are in keV).
    fraction
        From which sum on the remainders of two neighbours are a photon.
    threshold_adu
        Pixels below it count as 0.
    mask
        True = good pixel, of the shape of the frame; counts together with the detector's.
    image
        Write the image, too.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the frame has no columns.

    Notes
    -----
    The algorithm ``photons`` of psana (LCLS-I), which ``photonFunc`` of smalldata_tools
    calls; see `smalldata_stream.kernels.photons.count_photons`. Frames of float32 are
    divided in float32, others in float64.

    Examples
    --------
    >>> frame = np.array([[[0, 60, 45, 0, 230]]], "f4")
    >>> spec = Spec(dtype=frame.dtype, shape=(1, 5))
    >>> found = Photons(adu_per_photon=100).prepare(spec).compute(frame)
    >>> found["nPhot"].tolist(), found["image"].tolist()
    ([3], [[[0, 1, 0, 0, 2]]])
    """

    adu_per_photon: float
    fraction: float = 0.9
    threshold_adu: float | None = None
    mask: Mask | None = None
    image: bool = False
    name: str = "photon"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "photon")
        pixels.check_positive("adu_per_photon", self.adu_per_photon)
        if not 0.5 <= self.fraction <= 2:
            raise ValueError(f"fraction={self.fraction!r}: write a number from 0.5 to 2")
        if self.threshold_adu is not None:
            pixels.check_number("threshold_adu", self.threshold_adu)
        object.__setattr__(self, "mask", pixels.user_mask(self.mask))

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check mask and frame."""
        (spec,) = inputs
        what = f"photons {self.name!r}"
        shape = pixels.frame_shape(spec, what)
        good = pixels.good_pixels(spec, self.mask, what)
        image = pixels.pixel_spec(
            shape,
            np.dtype(np.uint16),
            Spec(dtype=spec.dtype, unit=""),
            mask=good,
            positions=spec.positions,
            long_name="photons in each pixel",
        )
        outputs = {"nPhot": Spec(dtype=np.dtype(np.int64), long_name="number of photons")}
        if self.image:
            outputs["img"] = image
        low, top = pixels.limits(spec.dtype, self.threshold_adu)
        kind = np.float32 if spec.dtype == np.float32 else np.float64
        lines = (math.prod(shape[:-1]), shape[-1])
        counter = _Counter(
            lines,
            1 if len(shape) == 1 else shape[-2],
            None if good is None else np.ascontiguousarray(good).reshape(lines),
            low,
            top,
            kind(self.adu_per_photon),
            kind(self.fraction),
            image,
            Memory(),
        )
        return PerEvent(
            outputs=outputs,
            compute=partial(_compute, counter, self.image),
            chained="image",
            inner={"image": image},
            config={"mask": np.ones(shape, bool) if good is None else good},
        )


class _Counter(NamedTuple):
    """What the kernel needs beside a frame, which it sees as the rows of all tiles."""

    shape: tuple[int, int]
    rows: int
    good: Mask | None
    low: Any
    top: Any
    adu: Any
    fraction: Any
    image: Spec
    memory: Memory


def _compute(counter: _Counter, write: bool, values: Values) -> Mapping[str, Values]:
    k = counter
    out = k.memory.empty((len(values), *k.shape), np.dtype(np.uint16))
    number = np.empty(len(values), np.int64)
    for which, frames in pixels.stacks(values, k.shape):
        for event, frame in zip(range(which.start, which.stop), frames, strict=True):
            number[event] = count_photons(
                frame, k.rows, k.good, k.low, k.top, k.adu, k.fraction, out[event]
            )
    image = pixels.packed(out, k.image)
    results: dict[str, Values] = {"nPhot": number}
    if write:
        results["img"] = image
    return results | {"image": image}
