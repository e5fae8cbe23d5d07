"""What the reductions of waveforms share: channels, samples, and stretches of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from smalldata_stream.batch import Array, Mask
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions import pixels

Window: TypeAlias = Sequence[int] | None
"""[first sample, the one after the last], or None."""


def window(name: str, value: Any) -> tuple[int, int] | None:
    """``value`` as (first, after last), or None; else ValueError.

    >>> window("signal", [10, 20])
    (10, 20)
    """
    if value is None:
        return None
    try:
        first, last = value
        whole = int(first) == first and int(last) == last
    except (TypeError, ValueError):
        first, last, whole = 0, 0, False
    if not whole or not 0 <= first < last:
        raise ValueError(
            f"{name}={value!r}: write [first, last] in samples, with 0 <= first < last; "
            "last is not part of it"
        )
    return int(first), int(last)


def channels_and_samples(spec: Spec, what: str) -> tuple[int, int]:
    """The two axes of one event's waveforms; ValueError where they are none.

    >>> channels_and_samples(Spec(dtype=np.dtype("u2"), shape=(200,)), "integral")
    (1, 200)
    """
    shape = pixels.frame_shape(spec, what)
    if len(shape) > 2:
        raise ValueError(
            f"{what} needs waveforms, (samples) or (channels, samples); these are {shape}"
        )
    return (1, *shape) if len(shape) == 1 else (shape[0], shape[1])


def inside(
    name: str, given: tuple[int, int] | None, samples: int, if_none: tuple[int, int]
) -> tuple[int, int]:
    """``given``, if the waveform is that long; ``if_none`` where it is None."""
    if given is not None and given[1] > samples:
        raise ValueError(
            f"{name}={list(given)} is beyond the waveform, which has {samples} samples; "
            f"the last end is {samples}"
        )
    return if_none if given is None else given


def good_samples(spec: Spec, shape: tuple[int, int]) -> Mask:
    """True where a sample is good, ``(channels, samples)``."""
    if spec.mask is None:
        return np.ones(shape, bool)
    good: Mask = spec.mask.reshape(shape)
    return good


def per_channel(spec: Spec, *more: int) -> tuple[int, ...]:
    """Shape of one event's result: as the waveforms, ``more`` instead of the samples."""
    return ((spec.shape or ())[:-1]) + more


def as_declared(out: Array, spec: Spec) -> Array:
    """Results ``(n, channels, ...)`` in the shape that is declared for them."""
    return out.reshape(len(out), *(spec.shape or ()))


def check_one_of(name: str, value: Any, known: Sequence[str]) -> None:
    """Raise ValueError where ``value`` is none of the words that there are."""
    if value not in known:
        raise ValueError(f"{name}={value!r}: write {' or '.join(map(repr, known))}")


def check_number(name: str, value: Any, *, above: float, to: float = np.inf) -> None:
    """Raise ValueError where ``value`` is no number in ``above < value < to``."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not above < value < to:
        limits = "a number" if above == -np.inf else f"a number above {above:g}"
        upper = f" and below {to:g}" if to < np.inf else ""
        raise ValueError(f"{name}={value!r}: write {limits}{upper}")
