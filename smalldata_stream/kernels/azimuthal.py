"""Azimuthal integration: pixels added up in bins of q and phi."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]
Floats = NDArray[np.float64]


# `else` stands where it need not, because numba then leaves out the other branch.
@compiled
def _value(frame: Any, p: Any, dark: Any, factor: Any, low: Any, high: Any) -> Any:
    v = np.float64(frame[p])
    if dark is not None:
        v = v - dark[p]
    if factor is not None:
        v = v * factor[p]
    if low is None:
        return v
    else:  # noqa: RET505
        # Outside is 0, but what is not finite stays so.
        return v if (v >= low) & (v <= high) else v * 0.0


@compiled
def add(
    frame: Array,
    bins: NDArray[np.unsignedinteger[Any]],
    dark: Any,
    factor: Any,
    low: float | None,
    high: float | None,
    sums: tuple[Floats, Floats, Floats, Floats],
) -> None:
    """Add each pixel to the sum of its bin.

    Parameters
    ----------
    frame
        ``(pixels,)``, numbers.
    bins
        ``(pixels,)``, the bin of each; one bin more than there are is for pixels in none.
    dark, factor
        As ``frame``: the value of a pixel is (frame - dark) * factor; or None.
    low, high
        Values outside count as 0; or None.
    sums
        Four of ``(bins + 1,)``, added to; together they are the sum. Neighbours are mostly
        in the same bin, and would wait for each other with only one. May be the same four
        times. A bin is not finite where one of its pixels is not.

    >>> sums = np.zeros(3)
    >>> add(np.array([1.0, 2, 4, 8, 16]), np.array([0, 1, 0, 2, 1], np.uint16), None, None,
    ...     None, None, (sums, sums, sums, sums))
    >>> sums.tolist()
    [5.0, 18.0, 8.0]
    """
    a, b, c, d = sums
    whole = frame.size // 4 * 4
    for p in range(0, whole, 4):
        a[bins[p]] += _value(frame, p, dark, factor, low, high)
        b[bins[p + 1]] += _value(frame, p + 1, dark, factor, low, high)
        c[bins[p + 2]] += _value(frame, p + 2, dark, factor, low, high)
        d[bins[p + 3]] += _value(frame, p + 3, dark, factor, low, high)
    for p in range(whole, frame.size):
        a[bins[p]] += _value(frame, p, dark, factor, low, high)


@compiled
def add_parts(
    frame: Array,
    pixel: NDArray[np.int32],
    bins: NDArray[np.unsignedinteger[Any]],
    weight: NDArray[np.float32],
    dark: Any,
    factor: Any,
    low: float | None,
    high: float | None,
    sums: tuple[Floats, Floats, Floats, Floats],
) -> None:
    """Add parts of pixels to the sums of their bins.

    ``pixel``, ``bins`` and ``weight`` are ``(parts,)``: of which pixel, to which bin, how
    much of it. The rest as in `add`.
    """
    a, b, c, d = sums
    whole = pixel.size // 4 * 4
    for i in range(0, whole, 4):
        a[bins[i]] += weight[i] * _value(frame, pixel[i], dark, factor, low, high)
        p = pixel[i + 1]
        b[bins[i + 1]] += weight[i + 1] * _value(frame, p, dark, factor, low, high)
        p = pixel[i + 2]
        c[bins[i + 2]] += weight[i + 2] * _value(frame, p, dark, factor, low, high)
        p = pixel[i + 3]
        d[bins[i + 3]] += weight[i + 3] * _value(frame, p, dark, factor, low, high)
    for i in range(whole, pixel.size):
        a[bins[i]] += weight[i] * _value(frame, pixel[i], dark, factor, low, high)


@compiled
def add_finite(
    frame: Array,
    pixel: NDArray[np.int32],
    bins: NDArray[np.unsignedinteger[Any]],
    weight: NDArray[np.float32],
    norm: Floats,
    dark: Any,
    factor: Any,
    low: float | None,
    high: float | None,
    totals: Floats,
) -> None:
    """Add parts of those pixels that are finite, and all that mean and spread need.

    ``norm`` is ``(pixels,)``: what a pixel shows of an intensity of 1. With weight w, norm
    n and value v, ``totals`` ``(6, bins + 1)`` gets the sums of: w v, w, w n, w2 v2,
    w2 n v, w2 n2. The rest as in `add_parts`.
    """
    for i in range(pixel.size):
        p, b, w = pixel[i], bins[i], np.float64(weight[i])
        v = _value(frame, p, dark, factor, low, high)
        if not np.isfinite(v):
            continue
        n = norm[p]
        totals[0, b] += w * v
        totals[1, b] += w
        totals[2, b] += w * n
        totals[3, b] += w * w * v * v
        totals[4, b] += w * w * n * v
        totals[5, b] += w * w * n * n
