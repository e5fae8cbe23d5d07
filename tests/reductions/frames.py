"""Frames that reductions may meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Frames, Mask, Values
from smalldata_stream.protocols import Spec

DTYPES = [np.dtype(t) for t in ("u2", "i4", "f4", "f8")]
"""For what compares pixels with limits of their own dtype."""

TO_FLOATS = [np.dtype(t) for t in ("u2", "f4", "f8")]
"""For what makes floats of all pixels first: each dtype is compiled for itself."""


def noisy(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> Array:
    """Positive and, where the dtype allows, negative values."""
    rng = np.random.default_rng(seed)
    values = rng.normal(60, 40, shape)
    dtype = np.dtype(dtype)
    if dtype.kind == "u":
        values = np.abs(values)
    return values.clip(-200, 200).astype(dtype)


def with_bad_values(array: Array, seed: int = 1) -> Array:
    """NaN and infinities here and there."""
    bad = array.copy()
    where = np.random.default_rng(seed).random(array.shape)
    bad[where < 0.05] = np.nan
    bad[where > 0.97] = np.inf
    bad[(where > 0.5) & (where < 0.52)] = -np.inf
    return bad


def random_mask(shape: tuple[int, ...], seed: int = 2) -> Mask:
    return np.random.default_rng(seed).random(shape) < 0.8


def unaligned(array: Array) -> Array:
    """The same values at an odd address, as in a mapped file."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view: Array = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned
    return view


def as_input(array: Array, *, frames: bool = False, mask: Mask | None = None) -> Any:
    """(Spec, values) of events ``(n, *shape)``."""
    values: Values = Frames(list(array)) if frames else array
    kind = "frames" if frames else "dense"
    shape = array.shape[1:]
    return Spec(dtype=array.dtype, shape=shape, kind=kind, mask=mask), values  # type: ignore[arg-type]
