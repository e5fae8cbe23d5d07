"""Droplets: groups of neighbouring pixels above a threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from smalldata_stream.batch import Array, Mask, Ragged, Values, read_only
from smalldata_stream.kernels.droplet import droplets, map_size
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels

_LIST = {
    "adu": (np.float32, "sum of the pixels of the droplet"),
    "row": (np.float32, "centre of mass, row in the tile"),
    "col": (np.float32, "centre of mass, column in the tile"),
    "npix": (np.int32, "pixels of the droplet"),
    "tile": (np.int32, "tile, from 0"),
    "pixel": (np.int32, "pixels of all droplets, numbers in the flattened frame"),
    "pixel_adu": (np.float32, "their values"),
}
_WRITTEN = {"adu": "data", "row": "row", "col": "col", "npix": "npix", "tile": "tile"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Droplets:
    """The droplets of each frame: connected groups of pixels above a threshold.

    A pixel belongs to a droplet if it is at or above the low threshold, and it or one of
    its neighbours is at or above the high one. Outputs, per event:

    =================  ================================================================
    ``nDroplets_all``  number of droplets, int64
    ``nDroplets``      number of those with a sum within ``droplet_adu``, int64
    ``sparse/data``    their sums, float32, in the unit of the frame
    ``sparse/row``,    their centres of mass, float32, in pixels of the tile: the centre of
    ``sparse/col``     the first pixel is 0
    ``sparse/npix``    their numbers of pixels, int32
    ``sparse/tile``    their tiles, int32, 0 where the frame has no tiles
    =================  ================================================================

    The lists vary in length (``/<det>/var_droplet_sparse/data``); with ``n_data`` they are
    cut, or filled with 0, to that length (``/<det>/droplet_sparse_data``). What is chained
    behind it works on the sums, ``droplet2photon`` on the pixels of the droplets.

    Parameters
    ----------
    threshold_adu, threshold_low_adu
        High and low threshold, in the unit of the frame. Low is high where it is None.
    threshold_sigma, threshold_low_sigma
        The same in units of the noise of each pixel, instead.
    noise_adu
        Noise (rms) of each pixel in the unit of the frame, of the shape of the frame; left
        out, it is that of the detector's constants (``pixel_rms``, divided by the gain
        where the frame is). Where it is not a positive number the pixel is bad.
    connectivity
        4: pixels that share an edge are neighbours; 8: or a corner. Never over two tiles.
    droplet_adu
        ``x``: droplets with a smaller sum are left out; ``(low, high)``: also those with a
        larger one.
    pixel_max_adu
        Pixels above it are bad: they are in no droplet.
    mask
        True = good pixel, of the shape of the frame; counts together with the detector's.
    n_data
        Length of the lists, where it shall be fixed.
    sparse
        Write the lists. False: only the numbers are written; the lists can be chained to.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) does not fit the frame.

    Notes
    -----
    The definition is that of ``dropletFunc`` of smalldata_tools with ``relabel=True``.
    Lists cut by ``n_data`` keep their dtype, whatever the event.

    Examples
    --------
    >>> frame = np.array([[[0, 9, 4, 0, 0], [0, 0, 3, 0, 7]]], "f4")
    >>> spec = Spec(dtype=frame.dtype, shape=(2, 5))
    >>> found = Droplets(threshold_adu=5, threshold_low_adu=3).prepare(spec).compute(frame)
    >>> found["nDroplets"].tolist(), found["sparse/data"][0].tolist()
    ([2], [13.0, 7.0])
    """

    threshold_adu: float | None = None
    threshold_low_adu: float | None = None
    threshold_sigma: float | None = None
    threshold_low_sigma: float | None = None
    noise_adu: Array | None = None
    connectivity: int = 4
    droplet_adu: pixels.Threshold = None
    pixel_max_adu: float | None = None
    mask: Mask | None = None
    n_data: int | None = None
    sparse: bool = True
    name: str = "droplet"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "droplet")
        _check_thresholds(self)
        if self.connectivity not in (4, 8):
            raise ValueError(f"connectivity={self.connectivity!r}: write 4 or 8")
        set_ = partial(object.__setattr__, self)
        set_("droplet_adu", pixels.threshold(self.droplet_adu, "droplet_adu"))
        set_("mask", pixels.user_mask(self.mask))
        if self.noise_adu is not None:
            set_("noise_adu", read_only(np.array(self.noise_adu, np.float32)))
        n: Any = self.n_data
        if n is not None and not (isinstance(n, (int, np.integer)) and n >= 1):
            raise ValueError(
                f"n_data={self.n_data!r}: write a number of droplets, 1 or more"
            )

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check mask and noise against the frame."""
        (spec,) = inputs
        finder = _finder(self, spec)
        number = Spec(dtype=np.dtype(np.int64), long_name="number of droplets")
        outputs = {"nDroplets_all": number, "nDroplets": number}
        good = None if finder.good is None else finder.mask_of(spec)
        frame = replace(spec, mask=good)
        inner = {field: _list_spec(field, frame) for field in _LIST}
        if self.sparse:
            for field, known_as in _WRITTEN.items():
                outputs[f"sparse/{known_as}"] = _written(inner[field], self.n_data)
        return PerEvent(
            outputs=outputs,
            compute=partial(_compute, finder, list(outputs), self.n_data),
            chained="adu",
            inner=inner,
            config={"mask": finder.mask_of(spec)},
        )


class _Finder(NamedTuple):
    """What the kernel needs beside a frame, which it sees as the rows of all tiles."""

    shape: tuple[int, int]
    rows: int
    good: Mask | None
    high: Any
    low: Any
    highs: Array | None
    lows: Array | None
    top: Any
    neighbours: int
    least: float
    most: float

    def mask_of(self, spec: Spec) -> Mask:
        good = np.ones(self.shape, bool) if self.good is None else self.good
        return good.reshape(spec.shape or ())


def _finder(asked: Droplets, spec: Spec) -> _Finder:
    what = f"droplets {asked.name!r}"
    shape = pixels.frame_shape(spec, what)
    if len(shape) < 2:
        raise ValueError(f"{what} needs rows and columns; the input is {shape}")
    lines = (math.prod(shape[:-1]), shape[-1])
    if math.prod(shape) > np.iinfo(np.int32).max:
        raise ValueError(f"{what}: {shape} is more than 2^31 pixels; cut it with roi first")
    good = pixels.good_pixels(spec, asked.mask, what)
    top = pixels.limits(spec.dtype, (-math.inf, _or(asked.pixel_max_adu, math.inf)))[1]
    noise = _noise(asked, spec, what)
    high = _or(asked.threshold_adu, asked.threshold_sigma)
    low = _or(_or(asked.threshold_low_adu, asked.threshold_low_sigma), high)
    highs: Array | None = None
    lows: Array | None = None
    if noise is None:
        (first, last), (second, _) = (
            pixels.limits(spec.dtype, (limit, math.inf)) for limit in (high, low)
        )
        top = min(top, last)  # no pixel reaches a threshold above what the dtype holds
    else:
        first, second = high, low
        noise = np.where(noise > 0, noise, np.float32(np.inf)).reshape(lines)
        highs, lows = np.float32(high) * noise, np.float32(low) * noise
    least, most = -math.inf, math.inf
    if asked.droplet_adu is not None:
        veto = asked.droplet_adu
        least, most = veto if isinstance(veto, tuple) else (veto, math.inf)
    return _Finder(
        lines,
        shape[-2],
        None if good is None else np.ascontiguousarray(good).reshape(lines),
        first,
        second,
        highs,
        lows,
        top,
        asked.connectivity,
        least,
        most,
    )


def _noise(asked: Droplets, spec: Spec, what: str) -> Array | None:
    """Noise of each pixel, where the thresholds are in units of it."""
    if asked.threshold_sigma is None:
        return None
    noise = spec.noise if asked.noise_adu is None else asked.noise_adu
    if noise is None:
        raise ValueError(
            f"{what}: threshold_sigma needs the noise of each pixel, which is not known "
            "here: the frames of a detector have it whose constants have pixel_rms, and "
            "regions of interest and images of them; give noise_adu, or write threshold_adu"
        )
    if noise.shape != spec.shape:
        raise ValueError(
            f"{what}: noise_adu is {noise.shape}, the frame {spec.shape}; give one value "
            "for each pixel"
        )
    return noise


def _compute(
    finder: _Finder, outputs: list[str], n_data: int | None, values: Values
) -> Mapping[str, Values]:
    every: list[int] = []
    kept: list[int] = []
    parts: list[list[Array]] = []
    kinds = list(_LIST.values())
    # Memory that is never touched costs nothing: room for all pixels is no memory used.
    size = math.prod(finder.shape)
    level = np.zeros(map_size(finder.shape[0], finder.rows, finder.shape[1]), np.uint8)
    line, pixel, npix, tile = (np.empty(size, np.int32) for _ in range(4))
    adu, row, column = (np.empty(size) for _ in range(3))
    value: Array = np.empty(size, values.dtype)
    for _, frames in pixels.stacks(values, finder.shape):
        for frame in frames:
            f = finder
            n, m = droplets(
                frame,
                f.rows,
                f.good,
                f.high,
                f.low,
                f.highs,
                f.lows,
                f.top,
                f.neighbours,
                level,
                line,
                pixel,
                value,
                adu,
                row,
                column,
                npix,
                tile,
            )
            lists: tuple[Array, ...] = (
                adu[:n],
                row[:n],
                column[:n],
                npix[:n],
                tile[:n],
                pixel[:m],
                value[:m],
            )
            keep = (adu[:n] >= f.least) & (adu[:n] <= f.most)
            if not keep.all():
                of_pixel = np.repeat(keep, npix[:n])
                lists = (
                    *(one[keep] for one in lists[:-2]),
                    *(one[of_pixel] for one in lists[-2:]),
                )
            parts.append([a.astype(d) for a, (d, _) in zip(lists, kinds, strict=True)])
            every.append(n)
            kept.append(len(lists[0]))
    ragged = {
        field: Ragged.of([part[k] for part in parts], np.dtype(dtype))
        for k, (field, (dtype, _)) in enumerate(_LIST.items())
    }
    results: dict[str, Values] = {
        "nDroplets_all": np.array(every, np.int64),
        "nDroplets": np.array(kept, np.int64),
    }
    for field, known_as in _WRITTEN.items():
        if f"sparse/{known_as}" in outputs:
            whole = ragged[field]
            written = whole if n_data is None else of_length(whole, n_data)
            results[f"sparse/{known_as}"] = written
    return results | ragged


def of_length(ragged: Ragged, n: int) -> Array:
    """Each event's list cut, or filled with 0, to ``n`` values: ``(events, n)``.

    >>> of_length(Ragged.of([np.array([1, 2, 3]), np.array([4])]), 2).tolist()
    [[1, 2], [4, 0]]
    """
    out = np.zeros((len(ragged), n), ragged.dtype)
    for event, part in enumerate(ragged):
        out[event, : len(part)] = part[:n]
    return read_only(out)


def _list_spec(field: str, frame: Spec) -> Spec:
    dtype, long_name = _LIST[field]
    unit = (
        frame.unit if field.endswith("adu") else "pixel" if field in ("row", "col") else ""
    )
    kind = np.dtype(dtype)
    return Spec(dtype=kind, kind="ragged", unit=unit, long_name=long_name, found_in=frame)


def _written(spec: Spec, n_data: int | None) -> Spec:
    if n_data is None:
        return spec
    text = f"{spec.long_name}; 0 after the last"
    return replace(spec, kind="dense", shape=(int(n_data),), long_name=text)


def _or(value: float | None, other: Any) -> Any:
    return other if value is None else value


def _check_thresholds(asked: Droplets) -> None:
    adu = (asked.threshold_adu, asked.threshold_low_adu)
    sigma = (asked.threshold_sigma, asked.threshold_low_sigma)
    in_noise = sigma[0] is not None
    if (adu[0] is None) == (not in_noise) or (sigma if adu[0] is not None else adu)[1]:
        raise ValueError(
            "write threshold_adu, or threshold_sigma, and the low threshold "
            f"in the same unit; given are threshold_adu={adu[0]}, threshold_low_adu="
            f"{adu[1]}, threshold_sigma={sigma[0]}, threshold_low_sigma={sigma[1]}"
        )
    if asked.noise_adu is not None and not in_noise:
        raise ValueError(
            "noise_adu is for threshold_sigma: write that instead of threshold_adu"
        )
    high, low = sigma if in_noise else adu
    low = high if low is None else low
    numbers = all(isinstance(x, (int, float, np.number)) for x in (high, low))
    if not numbers or not 0 < float(low or 0) <= float(high or 0) < math.inf:
        raise ValueError(
            f"thresholds {high!r} and {low!r}: write numbers with 0 < low <= high, such as "
            "threshold_adu=10, threshold_low_adu=3"
        )
    if asked.pixel_max_adu is not None:
        pixels.check_number("pixel_max_adu", asked.pixel_max_adu)
