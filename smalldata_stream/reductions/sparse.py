"""Frames as lists of their pixels, for each event, and lists as frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import index
from typing import Any, ClassVar

import numpy as np

from smalldata_stream.batch import Array, Mask, Ragged, Values
from smalldata_stream.kernels import sparse as kernels
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory

_PLACES = {
    "row": "row, from 0",
    "col": "column, from 0",
    "tile": "tile, from 0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsify:
    """The good pixels of each frame that are not 0, as lists.

    Outputs, per event, in the order of the pixels in the frame:

    ===========  ======================================================================
    ``nPixels``  how many there are, int64, whatever ``n_data``
    ``data``     their values, dtype of the data
    ``row``      their rows, int32, counted from 0 in what the word is chained to
    ``col``      their columns, int32
    ``tile``     their tiles, int32, 0 where the frame has no tiles
    ===========  ======================================================================

    The lists vary in length, ``/<det>/var_<name>/data``; with ``n_data`` they have that
    length, ``/<det>/<name>_data``, the rest filled with 0 or cut off. What is chained
    behind it works on ``data``, ``unsparsify`` on all of them.

    Parameters
    ----------
    threshold_adu
        ``x``: pixels below x count as 0; ``(low, high)``: pixels outside count as 0.
    n_data
        Length of the lists, where it shall be fixed.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the input is no frame.

    Notes
    -----
    The quantity is ``sparsifyFunc`` of smalldata_tools, except that dtypes do not depend on
    the event and the number of pixels is written.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype("u2"), shape=(2, 3))
    >>> frames = np.array([[[0, 7, 0], [2, 0, 9]]], "u2")
    >>> found = Sparsify(threshold_adu=5).prepare(spec).compute(frames)
    >>> {field: found[field][0].tolist() for field in ("data", "row", "col")}
    {'data': [7, 9], 'row': [0, 1], 'col': [1, 2]}
    """

    threshold_adu: pixels.Threshold = None
    n_data: int | None = None
    name: str = "sparse"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "sparse")
        limits = pixels.threshold(self.threshold_adu)
        object.__setattr__(self, "threshold_adu", limits)
        n = self.n_data
        if n is not None and not pixels.is_count(n):
            raise ValueError(f"n_data={n!r}: write a number of pixels, 1 or more, or None")

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check that the input has frames."""
        (spec,) = inputs
        what = f"sparsify {self.name!r}"
        shape = pixels.frame_shape(spec, what)
        good = pixels.good_pixels(spec, None, what)
        seen = ((1,) * (3 - len(shape)) + shape)[:3]
        mask = None if good is None else np.ascontiguousarray(good.reshape(seen))
        low, high = pixels.limits(spec.dtype, self.threshold_adu)
        list_ = Spec(dtype=spec.dtype, kind="ragged", found_in=spec)
        if self.n_data is not None:
            list_ = replace(list_, kind="dense", shape=(int(self.n_data),))
        outputs = {
            "nPixels": Spec(dtype=np.dtype(np.int64), long_name="pixels that are not 0"),
            "data": replace(list_, unit=spec.unit, long_name="value of the pixel"),
        }
        place = replace(list_, dtype=np.dtype(np.int32))
        for field, text in _PLACES.items():
            unit = "" if field == "tile" else "pixel"
            outputs[field] = replace(place, unit=unit, long_name=text)
        compute = partial(_lists, seen, mask, low, high, self.n_data, spec.dtype)
        # Under the name that the lists of droplets and peaks have, too.
        inner = {"adu": outputs["data"]}
        return PerEvent(outputs=outputs, compute=compute, chained="data", inner=inner)


def _lists(
    seen: tuple[int, ...],
    mask: Mask | None,
    low: Any,
    high: Any,
    n_data: int | None,
    dtype: np.dtype[Any],
    values: Values,
) -> Mapping[str, Values]:
    flat = None if mask is None else mask.reshape(-1)
    numbers: Array = np.empty(len(values), np.int64)
    for which, frames in pixels.stacks(values, seen):
        for i, frame in enumerate(frames):
            numbers[which][i] = kernels.count_pixels(frame.reshape(-1), flat, low, high)
    offsets = np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64)
    if n_data is not None:
        offsets = np.arange(len(values) + 1) * n_data
    taken = int(offsets[-1])
    data, places = np.zeros(taken, dtype), np.zeros((3, taken), np.int32)
    event = 0
    for _, frames in pixels.stacks(values, seen):
        for frame in frames:
            part = slice(offsets[event], offsets[event + 1])
            tile, row, col = places[:, part]
            kernels.list_pixels(frame, mask, low, high, data[part], tile, row, col)
            event += 1
    lists = {"data": data, "row": places[1], "col": places[2], "tile": places[0]}
    results: dict[str, Values] = {"nPixels": numbers}
    for field, one in lists.items():
        fixed = None if n_data is None else one.reshape(-1, n_data)
        results[field] = Ragged(one, offsets) if fixed is None else fixed
    return results | {"adu": results["data"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsparsify:
    """A frame of the lists that ``sparsify``, ``droplets`` or ``peaks`` have, per event.

    Every value is added to the pixel nearest to its position; all other pixels are 0. What
    is chained behind it works on that frame: ``area``, written only with ``area=True``.

    Parameters
    ----------
    shape
        Shape of the frame; None: that of the frame in which the pixels were found.
    area
        Write the frame, too.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the shape is not known. An
        event of which a pixel lies outside of the frame fails.

    Notes
    -----
    The quantity is ``unsparsifyFunc`` of smalldata_tools.

    Examples
    --------
    >>> lists = [np.array([x]) for x in ([7, 9], [0, 1], [1, 2], [0, 0])]
    >>> specs = [Spec(dtype=x.dtype, shape=(2,)) for x in lists]
    >>> Unsparsify(shape=(2, 3), area=True).prepare(*specs).compute(*lists)["area"]
    array([[[0, 7, 0],
            [0, 0, 9]]])
    """

    takes: ClassVar = ("adu", "row", "col", "tile")
    behind: ClassVar = ("sparsify", "droplets", "peaks")

    shape: Sequence[int] | None = None
    area: bool = False
    name: str = "dense"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "dense")
        if self.shape is None:
            return
        try:
            shape = tuple(index(size) for size in self.shape)
        except TypeError:
            shape = ()
        if not 1 <= len(shape) <= 3 or min(shape) < 1:
            raise ValueError(
                f"shape={self.shape!r}: write that of the frame, as (512, 1024)"
            )
        object.__setattr__(self, "shape", shape)

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check that the shape is known."""
        data = inputs[0]
        found_in = data.found_in
        shape = self.shape
        if shape is None and found_in is not None:
            shape = found_in.shape
        if shape is None:
            raise ValueError(
                f"unsparsify {self.name!r}: the frame is not known; write shape=(rows, "
                "columns) or (tiles, rows, columns)"
            )
        same = found_in is not None and found_in.shape == tuple(shape)
        frame = pixels.pixel_spec(
            tuple(shape),
            data.dtype,
            data,
            mask=found_in.mask if found_in is not None and same else None,
            long_name="the lists as a frame",
        )
        make = partial(_frames, ((1,) * (3 - len(shape)) + tuple(shape)), frame, Memory())

        def compute(*lists: Values) -> Mapping[str, Values]:
            return {"area": make(*lists)} if self.area else {}

        outputs = {"area": frame} if self.area else {}
        return PerEvent(outputs=outputs, compute=compute, chained=(frame, make))


def _frames(seen: tuple[int, ...], frame: Spec, memory: Memory, *lists: Values) -> Values:
    out = memory.empty((len(lists[0]), *seen), frame.dtype)
    out[...] = 0
    for event, (data, row, col, tile) in enumerate(zip(*lists, strict=True)):
        one = [pixels.contiguous(x) for x in (data, tile, row, col)]
        outside = kernels.put_pixels(one[0], one[1], one[2], one[3], out[event])
        if outside:
            raise ValueError(f"{outside} pixels of an event lie outside of {seen}")
    return pixels.packed(out, frame)
