"""Line plot: waveforms and profiles, the last one and the average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Mask, Values, take
from smalldata_stream.protocols import Accumulated, Result, Spec
from smalldata_stream.reductions.plots.labels import (
    ALL,
    ON_OFF,
    Curve,
    curve_fields,
    curve_values,
)
from smalldata_stream.reductions.plots.shown import (
    TIMESTAMP,
    Floats,
    Input,
    Shown,
    check_by,
    check_input,
    check_numbers,
    check_same_number,
    label,
    numbers,
    stamps,
    truths,
)
from smalldata_stream.reductions.plots.sums import Sums, mean_and_error

AT_ONCE = 64
"""Events whose values are float64 at one time."""


@dataclass(frozen=True, slots=True)
class Line(Shown):
    """A waveform or a profile: the last one, the average and its standard error.

    Parameters
    ----------
    by
        A column that is true or false, such as ``lightStatus/laser``, by path or as a
        node: there is one average where it is true (on), one where it is false (off), and
        their difference. Events that do not have it are left out.
    x, x_label
        What stands along the axis, one increasing number for each point, and its label;
        the number of the point where it is left out.
    name, title, group, window_events, window_seconds
        As in `Shown`. Live it spans the last 60 s where nothing else is said.

    Notes
    -----
    Puts out ``x`` and ``last`` ``(points,)``; without ``by`` ``mean``, ``error`` and
    ``counts`` (events); with it ``on``, ``on_error``, ``on_counts``, the same for ``off``,
    and ``difference``, ``difference_error``. A point that was ever not finite is NaN.

    Examples
    --------
    >>> spec, when = Spec(dtype=np.dtype(float), shape=(2,)), Spec(dtype=np.dtype("u8"))
    >>> state = Line().prepare(spec, when).start()
    >>> state.add(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([5, 6], np.uint64))
    >>> totals = state.value()
    >>> totals["mean"].value.tolist(), totals["error"].value.tolist()
    ([2.0, 2.0], [1.0, 0.0])
    """

    KIND: ClassVar[str] = "line"

    by: Input | None = None
    x: Sequence[float] | NDArray[Any] | None = None
    x_label: str = ""

    def __post_init__(self) -> None:
        if self.by is not None:
            check_input("by", self.by)
        if self.x is not None:
            axis = np.asarray(self.x)
            if axis.ndim != 1 or axis.dtype.kind not in "iuf":
                raise ValueError(f"x={self.x!r}: write one number for each point")
            if not (np.isfinite(axis).all() and (np.diff(axis) > 0).all()):
                raise ValueError("x: write numbers that increase from point to point")
        Shown.__post_init__(self)

    @property
    def others(self) -> tuple[Input, ...]:
        """The timestamps, and what the curves are told apart by."""
        return (TIMESTAMP,) if self.by is None else (TIMESTAMP, self.by)

    def prepare(self, *inputs: Spec) -> Accumulated:
        """Check that the input has one axis, as long as ``x``."""
        spec = inputs[0]
        check_numbers(spec, "line")
        if self.by is not None:
            check_by(inputs[2])
        if spec.kind == "ragged" or spec.shape is None or len(spec.shape) != 1:
            raise ValueError(
                "line shows values along one axis whose length is known before the first "
                f"event; the input has {spec.shape if spec.kind != 'ragged' else 'none'}"
            )
        x = np.arange(float(*spec.shape)) if self.x is None else np.asarray(self.x, float)
        if x.shape != spec.shape:
            raise ValueError(f"x has {len(x)} points, the input {spec.shape[0]}")
        curve = Spec(dtype=np.dtype(np.float64), shape=spec.shape, unit=spec.unit)
        labels = ALL if self.by is None else ON_OFF
        axis = Spec(dtype=curve.dtype, shape=spec.shape, long_name=self.x_label)
        return Accumulated(
            outputs={
                "x": axis,
                "last": curve,
                **curve_fields(labels, curve, Spec(dtype=np.dtype(np.int64))),
            },
            start=partial(Curves, x, labels),
            plot=self.plot(
                "{0}" if self.by is None else "{0} by {2}",
                self.x_label or "point",
                label(0, spec),
            ),
            window=self.window(),
        )


class Curves:
    """The last curve, and exact sums of all, by label."""

    __slots__ = ("counts", "labels", "last", "newest", "squares", "sums", "x")

    def __init__(self, x: Floats, labels: Sequence[str]):
        self.x, self.labels = x, tuple(labels)
        self.last, self.newest = np.full(len(x), np.nan), -1
        self.counts = [0 for _ in labels]
        self.sums = [Sums(len(x)) for _ in labels]
        self.squares = [Sums(len(x)) for _ in labels]

    @property
    def count(self) -> int:
        """Events taken."""
        return sum(self.counts)

    @np.errstate(over="ignore")
    def add(self, *values: Values) -> None:
        """Take curves, timestamps and, with labels, the truths of some events."""
        curves, times = values[0], stamps(values[1])
        check_same_number(*values)
        numbers(take(curves, np.zeros(len(curves), bool)), self.x.shape)  # or ValueError
        which = self._which(values)
        for k, chosen in enumerate(which):
            here = np.flatnonzero(chosen)
            for start in range(0, len(here), AT_ONCE):
                some = np.zeros(len(chosen), bool)
                some[here[start : start + AT_ONCE]] = True
                rows = numbers(take(curves, some), self.x.shape)
                self.sums[k].add_rows(rows)
                self.squares[k].add_rows(rows * rows)
            self.counts[k] += len(here)
        if len(times) and int(times.max()) > self.newest:
            newest = int(times.argmax())
            self.last = np.array(curves[newest], np.float64)
            self.newest = int(times[newest])

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        if self.labels != other.labels or not np.array_equal(self.x, other.x):
            raise ValueError("curves of other labels or points cannot be merged")
        for k in range(len(self.labels)):
            self.sums[k].merge(other.sums[k])
            self.squares[k].merge(other.squares[k])
            self.counts[k] += other.counts[k]
        if other.newest > self.newest:
            self.last, self.newest = other.last, other.newest

    def value(self) -> Mapping[str, Result]:
        """The last curve, and by label mean, error and number of events."""
        fields: dict[str, Array] = {"x": self.x.copy(), "last": self.last.copy()}
        fields |= curve_values(
            {label: self._curve(k) for k, label in enumerate(self.labels)}
        )
        return {field: Result(value, self.count) for field, value in fields.items()}

    def _which(self, values: Sequence[Values]) -> list[Mask]:
        if self.labels == ALL:
            return [np.ones(len(values[0]), bool)]
        return [*truths(values[2])]

    def _curve(self, k: int) -> Curve:
        n = np.full(len(self.x), float(self.counts[k]))
        mean, error = mean_and_error(n, self.sums[k].value(), self.squares[k].value())
        return mean, error, np.asarray(self.counts[k], np.int64)
