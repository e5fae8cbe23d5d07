"""States that add up over events and over ranks, exactly, in any order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from smalldata_stream.batch import Array, Frames, Ragged, Values
from smalldata_stream.kernels import exact_rounding, exact_sum
from smalldata_stream.protocols import Result
from smalldata_stream.reductions import pixels


class ExactSum:
    """Sum of frames, pixel by pixel, with the same bits for any order of the events.

    Each addend is rounded to a multiple of 2^-32 (an error of at most 2^-33; none for
    integers and for float32 of magnitude 2^-8 and more), the sum is exact, and its value is
    rounded once. A pixel that ever got NaN, an infinity or a magnitude of 2^62 and more is
    NaN. Without events the sum is 0.

    Parameters
    ----------
    field
        Name of the total.
    shape, dtype
        Of the frames to come; others are refused with ValueError.
    floor
        Pixels below count as 0.
    operation
        `IDENTITY`, `SQUARE` or `HIT` of `smalldata_stream.kernels.exact_sum`.

    >>> total = ExactSum("calib", (2,), np.dtype(np.uint16))
    >>> total.add(np.array([[30000, 1], [30000, 2], [30000, 3]], np.uint16))
    >>> total.value()["calib"]
    Result(value=array([9.e+04, 6.e+00]), count=3)
    """

    __slots__ = ("count", "dtype", "field", "floor", "high", "low", "operation", "shape")

    def __init__(
        self,
        field: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        floor: float = -math.inf,
        operation: int = exact_sum.IDENTITY,
    ):
        self.field, self.shape, self.dtype = field, shape, dtype
        self.floor, self.operation = floor, operation
        size = math.prod(shape)
        self.high, self.low = np.zeros(size, np.int64), np.zeros(size, np.uint64)
        self.count = 0

    def add(self, *values: Values) -> None:
        """Take frames of the declared shape and dtype."""
        (given,) = values
        frames = checked(given, self.shape, self.dtype)
        # All that may fail is done before the first addition.
        groups = list(_groups(frames, exact_sum.GROUP))
        floor = max(self.floor, -(2.0**63))
        for group, n in groups:
            if self.dtype.kind == "f":
                exact_sum.add_floats(group, n, floor, self.operation, self.high, self.low)
                continue
            integer_floor = math.ceil(min(floor, 2.0**62))
            narrow = self.dtype.itemsize <= 2
            exact_sum.add_integers(
                group, n, integer_floor, self.operation, narrow, self.high, self.low
            )
        self.count += len(frames)

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        mine = (self.field, self.shape, self.dtype, self.floor, self.operation)
        theirs = (other.field, other.shape, other.dtype, other.floor, other.operation)
        if mine != theirs:
            raise ValueError(f"a sum of {theirs} cannot be merged into one of {mine}")
        exact_sum.merge(self.high, self.low, other.high, other.low)
        self.count += other.count

    def value(self) -> Mapping[str, Result]:
        """The sum in float64 and the number of events."""
        total = exact_rounding.rounded(self.high, self.low).reshape(self.shape)
        return {self.field: Result(total, self.count)}


class Maximum:
    """Maximum of frames, pixel by pixel, with the same bits for any order of the events.

    A pixel that ever got NaN is NaN. Without events, which the count of 0 says, the value
    is NaN for floats and 0 for integers. Pixels below ``floor`` count as 0.

    >>> highest = Maximum("calib_max", (2,), np.dtype(np.uint16))
    >>> highest.add(np.array([[3, 1], [2, 4]], np.uint16))
    >>> highest.value()["calib_max"]
    Result(value=array([3, 4], dtype=uint16), count=2)
    """

    __slots__ = ("count", "dtype", "field", "floor", "highest", "shape")

    def __init__(
        self,
        field: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        floor: float = -math.inf,
    ):
        self.field, self.shape, self.dtype, self.floor = field, shape, dtype, floor
        least = -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
        self.highest = np.full(shape, least, dtype)
        self.count = 0

    def add(self, *values: Values) -> None:
        """Take frames of the declared shape and dtype."""
        (given,) = values
        frames = checked(given, self.shape, self.dtype)
        for frame in frames:
            taken = frame
            if self.floor > -math.inf:
                # In float64, as in a sum: a plain float would be rounded to float32.
                below = frame < np.float64(self.floor)
                taken = np.where(below, self.dtype.type(0), frame)
            np.maximum(self.highest, taken, out=self.highest)
        self.count += len(frames)

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        mine = (self.field, self.shape, self.dtype, self.floor)
        theirs = (other.field, other.shape, other.dtype, other.floor)
        if mine != theirs:
            raise ValueError(f"a maximum of {theirs} cannot be merged into one of {mine}")
        np.maximum(self.highest, other.highest, out=self.highest)
        self.count += other.count

    def value(self) -> Mapping[str, Result]:
        """The maximum in the dtype of the frames and the number of events."""
        if self.count == 0:
            nothing: Any = np.nan if self.dtype.kind == "f" else 0
            return {self.field: Result(np.full(self.shape, nothing, self.dtype), 0)}
        highest = self.highest.copy()
        if self.dtype.kind == "f":
            # One zero and one NaN: which of their kinds was met first must not show.
            highest += self.dtype.type(0)
            highest[np.isnan(highest)] = np.nan
        return {self.field: Result(highest, self.count)}


def checked(values: Values, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Frames | Array:
    """``values``, if they are of this shape and dtype; else ValueError.

    >>> checked(np.zeros((5, 2)), (2,), np.dtype(float)).shape
    (5, 2)
    """
    if isinstance(values, Ragged):
        raise ValueError(f"values of variable length where {dtype}{shape} was declared")
    got = values.shape if isinstance(values, Frames) else values.shape[1:]
    if (got, values.dtype) != (shape, dtype):
        raise ValueError(f"frames of {values.dtype}{got} where {dtype}{shape} was declared")
    return values


def _groups(values: Frames | Array, size: int) -> Iterator[tuple[tuple[Array, ...], int]]:
    """Flat frames, ``size`` at a time, and how many count: the last group is filled up.

    Groups of one length mean one compiled kernel.
    """
    for start in range(0, len(values), size):
        flat = [_taken(frame).reshape(-1) for frame in values[start : start + size]]
        yield tuple(flat + flat[:1] * (size - len(flat))), len(flat)


def _taken(frame: Array) -> Array:
    if frame.dtype == np.uint64:
        # The sum refuses 2^62 and more anyhow.
        frame = np.minimum(frame, np.uint64(2**62)).astype(np.int64)
    return pixels.contiguous(frame)
