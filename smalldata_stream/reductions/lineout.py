"""One line of a frame: at a given index, or through its brightest pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from smalldata_stream.batch import Array, Mask, Values
from smalldata_stream.kernels.lineout import brightest
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineout:
    """The pixels of a frame at one index of one axis, for each event.

    Outputs, per event:

    =========  ========================================================================
    ``data``   the shape of the input without that axis, dtype of the data; bad and
               non-finite pixels are 0
    ``index``  where the line is, int64; only with ``index=None``. -1, and a line of 0,
               when no pixel is good
    =========  ========================================================================

    What is chained behind it works on ``data``.

    Parameters
    ----------
    axis
        The axis that goes away, from 0; of a region of interest, counted without axes of
        length 1.
    index
        Where on that axis, from 0. None: where the brightest good pixel of the event is,
        the first of equal ones.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) the frame has no such line.

    Notes
    -----
    The quantity is ``lineoutFunc`` of smalldata_tools.

    Examples
    --------
    >>> spec = Spec(dtype=np.dtype("u2"), shape=(2, 3))
    >>> frames = np.array([[[0, 1, 2], [3, 9, 5]]], "u2")
    >>> Lineout(axis=0).prepare(spec).compute(frames)
    {'data': array([[3, 9, 5]], dtype=uint16), 'index': array([1])}
    """

    axis: int = 0
    index: int | None = None
    name: str = "lineout"

    def __post_init__(self) -> None:
        if self.axis not in (0, 1, 2):
            raise ValueError(f"axis={self.axis!r}: write 0, 1 or 2")
        whole = isinstance(self.index, (int, np.integer)) and self.index >= 0
        if self.index is not None and not whole:
            raise ValueError(f"index={self.index!r}: write a number from 0, or None")
        pixels.check_word("name", self.name, "lineout")

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check axis and index against the frame."""
        (spec,) = inputs
        what = f"lineout {self.name!r}"
        shape = pixels.frame_shape(spec, what)
        if len(shape) < 2 or self.axis >= len(shape):
            raise ValueError(
                f"{what}: no line along axis {self.axis} in {shape}; the frame needs two "
                f"axes or more, and axis is 0 to {len(shape) - 1}"
            )
        if self.index is not None and self.index >= shape[self.axis]:
            raise ValueError(
                f"{what}: index {self.index} on axis {self.axis} of {shape}; "
                f"the last is {shape[self.axis] - 1}"
            )
        good = pixels.good_pixels(spec, None, what)
        of_line: Mask | None = None
        if good is not None and self.index is not None:
            of_line = np.take(good, self.index, self.axis)
            of_line = None if of_line.all() else of_line
        data = pixels.pixel_spec(
            shape[: self.axis] + shape[self.axis + 1 :],
            spec.dtype,
            spec,
            mask=of_line,
            long_name=f"line at one index of axis {self.axis}",
        )
        outputs = {"data": data}
        if self.index is None:
            outputs["index"] = Spec(
                dtype=np.dtype(np.int64), unit="pixel", long_name="where the line is"
            )
        lines = partial(_lines, self.axis, self.index, shape, good, data)

        def chained(values: Values) -> Values:
            return lines(values)["data"]

        return PerEvent(outputs=outputs, compute=lines, chained=(data, chained))


def _lines(
    axis: int,
    index: int | None,
    shape: tuple[int, ...],
    good: Mask | None,
    data: Spec,
    values: Values,
) -> Mapping[str, Values]:
    mask = np.ones(shape, bool) if good is None else good
    flat = np.ascontiguousarray(mask.reshape(-1))
    lines: Array = np.zeros((len(values), *(data.shape or ())), data.dtype)
    found = np.empty(len(values), np.int64)
    kind = data.dtype.type
    lowest = kind(-np.inf if data.dtype.kind == "f" else np.iinfo(data.dtype).min)
    for which, frames in pixels.stacks(values, shape):
        if index is None:
            brightest(frames.reshape(len(frames), -1), flat, lowest, found[which])
        else:
            found[which] = index
        for frame, place, line in zip(frames, found[which], lines[which], strict=True):
            if index is None and place >= 0:
                place = np.unravel_index(place, shape)[axis]
            if place < 0:
                continue
            taken = np.take(frame, place, axis)
            clean = np.isfinite(taken) & np.take(mask, place, axis)
            line[clean] = taken[clean]
    results = {"data": pixels.packed(lines, data)}
    if index is None:
        some = found >= 0
        found[some] = np.unravel_index(found[some], shape)[axis]
        results["index"] = found
    return results
