"""The image of a detector of several segments, as it looks at the sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Values, read_only
from smalldata_stream.kernels.assemble import assemble
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """The assembled image, float32, for each event: ``<name>``, and for words behind it.

    Each pixel goes to the nearest place of the image, as the geometry of the detector says;
    where several good pixels are at one place it has the mean of those that are finite, NaN
    if none is. Gaps between segments and bad pixels are 0, and False in the mask that words
    behind this one see. Their noise is that of the pixels, of a mean √(Σ σ²) / n.

    Parameters
    ----------
    write
        Write the image for each event; otherwise it is there for words behind it only, as
        in ``jungfrau.image().sum("calib_img")``.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If (in ``prepare``) the positions of the pixels are not known.

    Notes
    -----
    psana's ``det.raw.image`` has the last of several pixels at one place (it means to take
    the largest, or the mean) and fills single places without one from their neighbours.

    Examples
    --------
    >>> from smalldata_stream.positions import Positions
    >>> x, y = np.array([[0.0, 0], [2, 2]]), np.array([[0.0, 1], [0, 1]])
    >>> where = Positions.of(x, y, 0 * x, pixel_um=1.0)
    >>> spec = Spec(dtype=np.dtype("u2"), shape=(2, 2), positions=where)
    >>> made = Assembled(write=True).prepare(spec)
    >>> made.compute(np.array([[[1, 2], [3, 4]]], "u2"))[""].tolist()
    [[[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]]
    """

    write: bool = False
    name: str = "image"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "image")

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Find the place of each good pixel."""
        (spec,) = inputs
        what = f"image {self.name!r}"
        shape = pixels.frame_shape(spec, what)
        where = spec.positions
        if where is None:
            raise ValueError(
                f"{what}: where the pixels are is not known. It comes with the frames of a "
                "detector whose constants have positions: `smalldata-stream constants "
                "fetch` makes them from its geometry"
            )
        good = pixels.good_pixels(spec, None, what)
        pixel = np.arange(math.prod(shape))
        rows, columns = where.image_shape
        place = where.row.reshape(-1).astype(np.int64) * columns + where.column.reshape(-1)
        if good is not None:
            chosen = good.reshape(-1)
            pixel, place = pixel[chosen], place[chosen]
        number = np.bincount(place, minlength=rows * columns)
        shared = np.flatnonzero(number > 1)
        noise = spec.noise
        if noise is not None:
            noise = _noise(noise, pixel, place, number).reshape(rows, columns)
        made = pixels.pixel_spec(
            (rows, columns),
            np.dtype(np.float32),
            spec,
            mask=read_only((number > 0).reshape(rows, columns)),
            noise=noise,
            long_name="assembled image",
        )
        share = (1 / number[shared]).astype(np.float32)
        compute = partial(_compute, (pixel, place, shared, share), made, Memory())
        config = {"imgShape": np.array([rows, columns])}
        if self.write:
            return PerEvent(outputs={"": made}, compute=compute, config=config)
        chained = (made, lambda values: compute(values)[""])
        return PerEvent(outputs={}, compute=_nothing, chained=chained, config=config)


Places = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def _noise(
    noise: Array, pixel: NDArray[np.int64], place: NDArray[np.int64], number: Array
) -> Array:
    """Noise of each place; NaN where that of one of its pixels is not known, 0 in gaps."""
    of_pixel = noise.reshape(-1)[pixel].astype(np.float64)
    of_pixel[~(of_pixel > 0)] = np.nan
    variance = np.bincount(place, of_pixel**2, len(number))
    return read_only((np.sqrt(variance) / np.maximum(number, 1)).astype(np.float32))


def _nothing(values: Values) -> Mapping[str, Values]:
    return {}


def _compute(
    places: Places, made: Spec, memory: Memory, values: Values
) -> Mapping[str, Values]:
    size = math.prod(made.shape or ())
    out = memory.empty((len(values), size), made.dtype)
    for i, frame in enumerate(values):
        assemble(pixels.contiguous(frame).reshape(-1), *places, out[i])
    return {"": pixels.packed(out, made)}
