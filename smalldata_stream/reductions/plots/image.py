"""Image plot: the last frame and the average of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from smalldata_stream.batch import Mask, Values
from smalldata_stream.protocols import Accumulated, Result, Spec, Window
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.plots.shown import (
    TIMESTAMP,
    Shown,
    check_same_number,
    label,
    stamps,
)
from smalldata_stream.reductions.state import ExactSum


@dataclass(frozen=True, slots=True)
class Image(Shown):
    """A frame: the last one, and the average of all.

    Parameters
    ----------
    name, title, group, window_events, window_seconds
        As in `Shown`. Live it spans the last 60 s where nothing else is said.

    Notes
    -----
    Puts out ``last`` (dtype of the frames; 0 before the first) and ``mean`` (float64),
    both in full. Bad pixels are NaN in ``mean``, and in ``last`` where it holds floats.
    What is drawn is made smaller, see `smalldata_stream.message`. A live window moves in
    quarters, and keeps up to six times 16 bytes per pixel and a frame: five parts, and
    what the older ones add up to.

    Raises
    ------
    ValueError
        If the input has no frames of two axes, or of three (tiles of an image).

    Examples
    --------
    >>> spec, when = Spec(dtype=np.dtype("u2"), shape=(1, 2)), Spec(dtype=np.dtype("u8"))
    >>> state = Image().prepare(spec, when).start()
    >>> state.add(np.array([[[1, 2]], [[3, 2]]], "u2"), np.array([5, 6], np.uint64))
    >>> state.value()["mean"].value.tolist()
    [[2.0, 2.0]]
    """

    KIND: ClassVar[str] = "image"
    WINDOW: ClassVar[Window | None] = Window(seconds=60, panes=4)
    PANES: ClassVar[int] = 4

    @property
    def others(self) -> tuple[str, ...]:
        """The timestamps."""
        return (TIMESTAMP,)

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Check that the input has frames of two or three axes."""
        spec = inputs[0]
        shape = pixels.frame_shape(spec, "image")
        if len(shape) < 2:
            raise ValueError(f"image shows frames of 2 or 3 axes, not {shape}; write line")
        return Accumulated(
            outputs={
                "last": Spec(dtype=spec.dtype, shape=shape, unit=spec.unit),
                "mean": Spec(dtype=np.dtype(np.float64), shape=shape, unit=spec.unit),
            },
            start=partial(LastAndMean, shape, spec.dtype, spec.mask),
            plot=self.plot(label(0, spec), "column", "row"),
            window=self.window(),
        )


class LastAndMean:
    """The newest frame, and the exact mean of all."""

    __slots__ = ("last", "mask", "newest", "sum")

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], mask: Mask | None = None
    ):
        self.sum, self.mask = ExactSum("mean", shape, dtype), mask
        self.last, self.newest = np.zeros(shape, dtype), -1

    @property
    def count(self) -> int:
        """Frames taken."""
        return self.sum.count

    def add(self, *values: Values) -> None:
        """Take frames and timestamps of some events."""
        frames, times = values[0], stamps(values[1])
        check_same_number(*values)
        self.sum.add(frames)
        if len(times) and int(times.max()) > self.newest:
            newest = int(times.argmax())
            self.last, self.newest = np.array(frames[newest]), int(times[newest])

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        self.sum.merge(other.sum)
        if other.newest > self.newest:
            self.last, self.newest = other.last, other.newest

    def value(self) -> Mapping[str, Result]:
        """The newest frame and the mean."""
        last, mean = self.last.copy(), self.sum.value()["mean"].value
        np.divide(mean, self.count or np.nan, out=mean)
        if self.mask is not None:
            bad = ~self.mask
            np.copyto(mean, np.nan, where=bad)
            if last.dtype.kind == "f":
                np.copyto(last, np.nan, where=bad)
        return {"last": Result(last, self.count), "mean": Result(mean, self.count)}
