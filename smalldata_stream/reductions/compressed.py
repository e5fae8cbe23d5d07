"""What a lossy compressor would do to the frames, and to all that is made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np

from smalldata_stream import h5
from smalldata_stream.batch import Array, Mask, Values
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels

Codec = Literal["zfp", "sz3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """Frames as a lossy compressor gives them back, to see what becomes of the results.

    Outputs, per event:

    =============  ====================================================================
    ``ratio``      bytes of the frame / bytes when it is compressed, float64
    ``max_error``  largest difference of a good pixel, float64, in the unit of the frame
    ``rms_error``  root of the mean square of the differences, float64; NaN when no pixel
                   is good
    ``area``       the frames that come back; only with ``area=True``
    =============  ====================================================================

    What is chained behind it works on the frames that come back: write the same words
    behind the detector and behind this one, and compare their results event by event. Bad
    and non-finite pixels are compressed as 0, and are 0 afterwards.

    Parameters
    ----------
    codec
        ``"zfp"`` or ``"sz3"``, as the HDF5 filters of hdf5plugin have them.
    error_adu
        The largest difference of a pixel that is allowed, in the unit of the frame.
    area
        Write the frames, too.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the input is no frame.

    Notes
    -----
    Frames of integers are compressed as float32. Sources: Lindstrom, IEEE TVCG 20, 2674
    (2014), for zfp; Liang et al., IEEE Trans. Big Data 9, 485 (2023), for SZ3.

    Examples
    --------
    >>> frames = np.arange(4096, dtype="f4").reshape(1, 64, 64)
    >>> check = Compressed(codec="sz3", error_adu=0.5)
    >>> found = check.prepare(Spec(dtype=frames.dtype, shape=(64, 64))).compute(frames)
    >>> bool(found["ratio"][0] > 4), bool(found["max_error"][0] <= 0.5)
    (True, True)
    """

    codec: Codec = "zfp"
    error_adu: float = 1.0
    area: bool = False
    name: str = "compressed"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "compressed")
        if self.codec not in get_args(Codec):
            raise ValueError(f"codec={self.codec!r}: write one of {get_args(Codec)}")
        number = isinstance(self.error_adu, (int, float, np.number))
        if not number or not 0 < self.error_adu < math.inf:
            raise ValueError(f"error_adu={self.error_adu!r}: write a number above 0")

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check that the input has frames."""
        (spec,) = inputs
        what = f"compressed {self.name!r}"
        shape = pixels.frame_shape(spec, what)
        good = pixels.good_pixels(spec, None, what)
        dtype = spec.dtype if spec.dtype.kind == "f" else np.dtype(np.float32)
        back = pixels.pixel_spec(
            shape,
            dtype,
            spec,
            mask=good,
            positions=spec.positions,
            long_name="frame after a lossy compressor",
        )
        f8 = np.dtype(np.float64)
        outputs = {
            "ratio": Spec(dtype=f8, long_name="bytes before / bytes compressed"),
            "max_error": Spec(dtype=f8, unit=spec.unit, long_name="largest difference"),
            "rms_error": Spec(dtype=f8, unit=spec.unit, long_name="rms of the difference"),
        }
        if self.area:
            outputs["area"] = back
        mask = np.ones(shape, bool) if good is None else good
        compute = partial(_compute, self, mask, back)
        # What is chained is of the same work: not done twice.
        inner = {} if self.area else {"area": back}
        return PerEvent(outputs=outputs, compute=compute, chained="area", inner=inner)


def _compute(
    asked: Compressed, mask: Mask, back: Spec, values: Values
) -> Mapping[str, Values]:
    n = len(values)
    frames: Array = np.empty((n, *mask.shape), back.dtype)
    ratio, most, rms = np.empty(n), np.zeros(n), np.full(n, np.nan)
    event = 0
    for _, stack in pixels.stacks(values, mask.shape):
        for frame in stack:
            good = mask & np.isfinite(frame)
            clean = np.where(good, frame, 0).astype(back.dtype)
            frames[event], size = h5.lossy(clean, asked.codec, float(asked.error_adu))
            frames[event][~good] = 0
            ratio[event] = frame.nbytes / size
            # From the frame itself: large integers are no float32.
            difference = frames[event][good].astype(float) - frame[good].astype(float)
            if difference.size:
                most[event] = abs(difference).max()
                rms[event] = math.sqrt((difference**2).mean())
            event += 1
    return {
        "ratio": ratio,
        "max_error": most,
        "rms_error": rms,
        "area": pixels.packed(frames, back),
    }
