"""The values of events: arrays, frames, and what varies in length.

The values of those events that have them are one of

* an array ``(n, *shape)``: scalars and small arrays,
* `Frames`: references to n frames, read-only and not stacked (stacking copies a megabyte
  per event for nothing); they may be views of a mapped file and live no longer than their
  batch,
* `Ragged`: variable length, all values back to back and where each event begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Mask: TypeAlias = NDArray[np.bool_]

STRING = np.dtypes.StringDType()
"""dtype of text values (EPICS strings, docstrings of steps)."""


def read_only(array: Array) -> Array:
    """A view of ``array`` that cannot be written."""
    view = array.view()
    view.flags.writeable = False
    return view


class Frames(Sequence[Array]):
    """References to frames of one shape and dtype, one per event that has one.

    >>> frames = Frames([np.zeros((2, 3)), np.ones((2, 3))])
    >>> len(frames), frames.shape, frames[1].sum()
    (2, (2, 3), np.float64(6.0))
    """

    __slots__ = ("_frames", "dtype", "shape")

    def __init__(
        self,
        frames: Sequence[Array],
        *,
        shape: tuple[int, ...] | None = None,
        dtype: np.dtype[Any] | None = None,
    ):
        """``shape`` and ``dtype`` are needed only where there may be no frame at all."""
        self._frames = tuple(map(read_only, frames))
        self.shape: tuple[int, ...] = self._frames[0].shape if frames else shape or ()
        self.dtype: np.dtype[Any] = (
            self._frames[0].dtype if frames else np.dtype(dtype or np.float32)
        )
        for frame in self._frames:
            if frame.shape != self.shape or frame.dtype != self.dtype:
                raise ValueError(
                    f"frames of one column differ: {frame.dtype}{frame.shape} beside "
                    f"{self.dtype}{self.shape}"
                )

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, i: int) -> Array: ...
    @overload
    def __getitem__(self, i: slice) -> Frames: ...
    def __getitem__(self, i: int | slice) -> Array | Frames:
        if isinstance(i, slice):
            return Frames(self._frames[i], shape=self.shape, dtype=self.dtype)
        return self._frames[i]

    def __iter__(self) -> Iterator[Array]:
        return iter(self._frames)

    def __repr__(self) -> str:
        return f"Frames({len(self)} x {self.dtype}{self.shape})"

    @property
    def nbytes(self) -> int:
        """Bytes that the frames refer to."""
        return sum(frame.nbytes for frame in self._frames)

    def stack(self) -> Array:
        """All frames in one new array ``(n, *shape)``; a copy."""
        if not self._frames:
            return np.empty((0, *self.shape), self.dtype)
        return np.stack(self._frames)


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Values of variable length: event i has ``values[offsets[i]:offsets[i + 1]]``.

    ``values`` is ``(total, *rest)``, ``offsets`` is ``(n + 1,)`` int64 from 0.

    >>> Ragged.of([np.array([1, 2]), np.array([], int), np.array([3])]).lengths.tolist()
    [2, 0, 1]
    """

    values: Array
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", read_only(self.values))
        object.__setattr__(self, "offsets", read_only(self.offsets))

    @classmethod
    def of(cls, parts: Sequence[Array], dtype: np.dtype[Any] | None = None) -> Ragged:
        """From one array per event; ``dtype`` is needed only where there may be none."""
        lengths = [len(part) for part in parts]
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        values = np.concatenate(parts) if parts else np.empty(0, dtype)
        return cls(values, offsets.astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> Array:
        if not -len(self) <= i < len(self):
            raise IndexError(f"event {i} of {len(self)}")
        i %= len(self)
        part: Array = self.values[self.offsets[i] : self.offsets[i + 1]]
        return part

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

    @property
    def dtype(self) -> np.dtype[Any]:
        """dtype of the values."""
        dtype: np.dtype[Any] = self.values.dtype
        return dtype

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of values of each event, ``(n,)``."""
        return np.diff(self.offsets)

    @property
    def nbytes(self) -> int:
        """Bytes of the values and offsets."""
        return int(self.values.nbytes + self.offsets.nbytes)


Values: TypeAlias = Array | Frames | Ragged
"""The values of the events that have them; ``len()`` is their number."""


def take(values: Values, keep: Mask) -> Values:
    """The values at which ``keep``, a mask ``(len(values),)``, is true.

    Values of which all are kept are not copied; but arrays that are not packed become so,
    as the bits of numpy's sums may depend on how an array lies in memory.
    """
    flags = values.flags if isinstance(values, np.ndarray) else None
    packed = flags is None or (flags.c_contiguous and flags.aligned)
    if packed and keep.all():
        return values
    if isinstance(values, Frames):
        kept = [frame for frame, k in zip(values, keep, strict=True) if k]
        return Frames(kept, shape=values.shape, dtype=values.dtype)
    if isinstance(values, Ragged):
        inside = np.repeat(keep, values.lengths)
        offsets = np.concatenate([[0], np.cumsum(values.lengths[keep])])
        return Ragged(values.values[inside], offsets.astype(np.int64))
    kept_array: Array = values[keep]
    return kept_array


def concatenate(parts: Sequence[Values]) -> Values:
    """The values of consecutive batches as one; all of one kind.

    Raises
    ------
    ValueError
        If there is nothing to concatenate, or the kinds or shapes differ.
    """
    if not parts:
        raise ValueError("nothing to concatenate")
    first = parts[0]
    if isinstance(first, Frames):
        frames = [frame for part in parts for frame in part]
        return Frames(frames, shape=first.shape, dtype=first.dtype)
    if isinstance(first, Ragged):
        ragged = [part for part in parts if isinstance(part, Ragged)]
        if len(ragged) < len(parts):
            raise ValueError("lists of variable length beside values of one shape")
        lengths = np.concatenate([part.lengths for part in ragged])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Ragged(np.concatenate([part.values for part in ragged]), offsets)
    return np.concatenate([np.asarray(part) for part in parts])
