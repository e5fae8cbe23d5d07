"""What the reductions of frames share: shapes, masks, thresholds, stacks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import index
from typing import Any, Literal, TypeAlias

import numpy as np

from smalldata_stream.batch import Array, Frames, Mask, Values, read_only
from smalldata_stream.protocols import Spec

Threshold: TypeAlias = float | tuple[float, float] | None

FRAME_BYTES = 65536
"""From this size on, values of one event are `Frames` and not stacked."""


def threshold(value: Any, name: str = "threshold_adu") -> Threshold:
    """``value`` as None, a number, or a pair of numbers (low, high); else ValueError."""
    if value is None:
        return None
    given = value if isinstance(value, (tuple, list)) else (value,)
    numbers = all(isinstance(x, (int, float, np.number)) for x in given)
    ends = tuple(float(x) for x in given) if numbers else ()
    if len(ends) not in (1, 2) or any(math.isnan(x) for x in ends) or ends[0] > ends[-1]:
        raise ValueError(
            f"{name}={value!r}: write one number (pixels below it become 0) or a pair "
            "(low, high) with low <= high (pixels outside it become 0)"
        )
    return ends[0] if len(ends) == 1 else (ends[0], ends[1])


def is_text(value: Any) -> bool:
    """Whether ``value`` is text, and not empty."""
    return isinstance(value, str) and value != ""


def is_count(value: Any) -> bool:
    """Whether ``value`` is a whole number from 1."""
    return isinstance(value, (int, np.integer)) and int(value) > 0


def check_word(parameter: str, value: Any, such_as: str) -> None:
    """Raise ValueError where ``value`` cannot be a word of an output path."""
    if not is_text(value) or "/" in value:
        raise ValueError(f"{parameter}={value!r}: write a word such as {such_as!r}")


def check_number(parameter: str, value: Any) -> None:
    """Raise ValueError where ``value`` is not one number; NaN is none."""
    if not isinstance(value, (int, float, np.number)) or math.isnan(value):
        raise ValueError(f"{parameter}={value!r}: write one number")


def check_positive(parameter: str, value: Any) -> None:
    """Raise ValueError where ``value`` is not a finite number above 0."""
    number = isinstance(value, (int, float, np.number))
    if not number or not 0 < float(value) < math.inf:
        raise ValueError(f"{parameter}={value!r}: write a number above 0")


def limits(dtype: np.dtype[Any], value: Threshold) -> tuple[Any, Any]:
    """(low, high) as scalars of ``dtype`` such that comparing with them is exact.

    Both are finite, so that NaN and infinities are outside. Nothing is inside when no
    finite value of the dtype is.

    >>> limits(np.dtype(np.uint16), 3.2)
    (np.uint16(4), np.uint16(65535))
    """
    low, high = value if isinstance(value, tuple) else (value, None)
    kind = dtype.type
    info: Any = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    least, most = kind(info.min), kind(info.max)
    if low is not None and low > float(most):
        return most, least
    if high is not None and high < float(least):
        return most, least
    first = least if low is None or low <= float(least) else _at_least(dtype, low)
    last = most if high is None or high >= float(most) else _at_most(dtype, high)
    return (first, last) if first <= last else (most, least)


def _at_least(dtype: np.dtype[Any], x: float) -> Any:
    """The smallest value of ``dtype`` that is not below ``x``."""
    kind = dtype.type
    if dtype.kind in "iu":
        return kind(math.ceil(x))
    near = kind(x)
    return near if float(near) >= x else np.nextafter(near, kind(np.inf))


def _at_most(dtype: np.dtype[Any], x: float) -> Any:
    """The largest value of ``dtype`` that is not above ``x``."""
    kind = dtype.type
    if dtype.kind in "iu":
        return kind(math.floor(x))
    near = kind(x)
    return near if float(near) <= x else np.nextafter(near, kind(-np.inf))


def frame_shape(spec: Spec, what: str) -> tuple[int, ...]:
    """The shape of one event's pixels; ValueError where they are none.

    Accepted are 1 to 3 axes (waveform, image, tiles of images) of integers, float32 or
    float64.
    """
    if spec.kind == "ragged" or spec.shape is None:
        lists = "the input is lists whose length varies from event to event"
        if spec.found_in is None:
            lists += (
                ". Of waveforms of an hsd, chain it to a part of one length: "
                "g.hsd(rois={'hsd_0': [first, last]})['full_hsd_0__ROI_wf']"
            )
        unknown = "that of the input is not known"
        raise ValueError(
            f"{what} needs frames of one shape that is known before the first event; "
            + (lists if spec.kind == "ragged" else unknown)
        )
    if spec.shape == ():
        raise ValueError(f"{what} needs pixels or samples; the input is one number")
    if not 1 <= len(spec.shape) <= 3 or 0 in spec.shape:
        raise ValueError(f"{what} needs 1 to 3 axes, none empty; the input is {spec.shape}")
    if spec.dtype.kind not in "iu" and spec.dtype not in (np.float32, np.float64):
        raise ValueError(f"{what} needs integers, float32 or float64; not {spec.dtype}")
    return spec.shape


def good_pixels(spec: Spec, mask: Mask | None, what: str) -> Mask | None:
    """Pixels good in the input and in the user's mask; None when all are."""
    if mask is not None and mask.shape != spec.shape:
        raise ValueError(
            f"{what}: the mask is {mask.shape}, the frame {spec.shape}; give one value "
            "for each pixel, True = good"
        )
    masks = [m for m in (spec.mask, mask) if m is not None]
    if not masks:
        return None
    good: Mask = np.logical_and.reduce(masks)
    return None if good.all() else good


def user_mask(value: Any) -> Mask | None:
    """A read-only copy of a mask of booleans or of 0 and 1; else ValueError."""
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"mask holds {array.dtype} other than 0 and 1: write True for good pixels "
            "and False for bad ones"
        )
    return read_only(array.astype(bool))


def box_of(value: Any) -> tuple[tuple[int, int], ...]:
    """``value`` as half-open (first, last) for each axis; empty where it is none.

    >>> box_of([[0, 1], [10, 60]]), box_of([0, 1])
    (((0, 1), (10, 60)), ())
    """
    try:
        pairs = tuple((index(first), index(last)) for first, last in value)
    except (TypeError, ValueError):
        return ()
    return pairs if all(0 <= first < last for first, last in pairs) else ()


def boxes_of(rois: Any) -> tuple[tuple[tuple[int, int], ...], ...] | None:
    """``rois`` as boxes, or None where it is None; else ValueError."""
    if rois is None:
        return None
    boxes = tuple(map(box_of, rois)) if np.iterable(rois) else ()
    if not boxes or not all(boxes):
        raise ValueError(
            f"rois={rois!r}: write a list of regions, each of them [first, last] for each "
            "axis, such as [[[10, 60], [100, 300]]] for one region of an image"
        )
    return boxes


def regions(rois: Any, good: Mask, what: str) -> list[Mask]:
    """The good pixels of each box of ``rois``, or of the frame where it is None.

    >>> [r.sum().item() for r in regions([[[0, 1], [0, 2]]], np.ones((3, 4), bool), "it")]
    [2]
    """
    if rois is None:
        return [good]
    found = []
    for box in boxes_of(rois) or ():
        fits = len(box) == good.ndim and all(
            last <= n for (_, last), n in zip(box, good.shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"{what}: the region {box} is not in the frame {good.shape}; write "
                "[first, last] for each axis, half-open"
            )
        inside = np.zeros(good.shape, bool)
        inside[tuple(slice(first, last) for first, last in box)] = True
        found.append(inside & good)
    return found


def noise_levels(spec: Spec, sigma: float | None, what: str) -> Array | None:
    """``sigma`` times the noise of each pixel; None without ``sigma``."""
    if sigma is None:
        return None
    if spec.noise is None:
        raise ValueError(
            f"{what}: threshold_sigma needs the noise of each pixel, which is not known "
            "here: the frames of a detector have it whose constants have pixel_rms, and "
            "regions of interest and images of them; write threshold_adu"
        )
    return read_only(np.float32(sigma) * spec.noise)


def at_least(frames: Array, levels: Array | None) -> Array:
    """Frames ``(n, *shape)`` in which pixels below their level are 0; NaN stays.

    >>> at_least(np.array([[1.0, 5.0, np.nan]]), np.array([2.0, 2.0, 2.0]))
    array([[ 0.,  5., nan]])
    """
    if levels is None:
        return frames
    above: Array = np.where(frames < levels, frames.dtype.type(0), frames)
    return above


def stacks(values: Values, shape: tuple[int, ...]) -> Iterator[tuple[slice, Array]]:
    """The events as read-only C-contiguous arrays ``(n, *shape)``, and which they are.

    Frames come one at a time, without a copy where they are contiguous; stacked values
    come as they are.
    """
    if isinstance(values, Frames):
        for i, frame in enumerate(values):
            yield slice(i, i + 1), contiguous(frame).reshape(1, *shape)
    elif len(values):
        array = np.asarray(values)
        yield slice(0, len(array)), contiguous(array).reshape(len(array), *shape)


def contiguous(array: Array) -> Array:
    """``array`` read-only, C-contiguous, in native byte order; a copy where it is not.

    Compiled kernels then meet one type of array per dtype, and are compiled once for it;
    floats of a size that they do not know (16 bits, 80 bits) become float64. Frames in a
    mapped file may begin at an odd address; numba takes them as they are.
    """
    native = array.dtype.newbyteorder("=")
    if native.kind == "f" and native.itemsize not in (4, 8):
        native = np.dtype(np.float64)
    return read_only(np.asarray(array, dtype=native, order="C"))


def pixel_spec(
    shape: tuple[int, ...], dtype: np.dtype[Any], like: Spec, **more: Any
) -> Spec:
    """Spec of an array of pixels cut from ``like``: frames from 64 kB on, else dense."""
    large = math.prod(shape) * dtype.itemsize >= FRAME_BYTES
    kind: Literal["frames", "dense"] = "frames" if large else "dense"
    return Spec(dtype=dtype, shape=shape, kind=kind, unit=like.unit, **more)


def packed(array: Array, spec: Spec) -> Values:
    """``(n, ...)`` as the values that ``spec`` says."""
    array = array.reshape(len(array), *(spec.shape or ()))
    if spec.kind == "frames":
        return Frames(list(array), shape=spec.shape, dtype=spec.dtype)
    return read_only(array)
