"""Azimuthal integration: pixels added up in bins of q and phi."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]
Floats = NDArray[np.float64]
Lanes = tuple[Floats, Floats, Floats, Floats]

STEP = 1024
"""Pixels between which a span may begin or end: a multiple of the four added at once.

Many short spans would cost more than the pixels that they leave out.
"""

BLOCK = 128
"""Parts of pixels whose bins are looked at together."""


def spans_of(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Stretches of pixels in which some are in a bin: ``(n, 2)``, first and after the last.

    >>> spans_of(np.arange(3000) > 2100).tolist()
    [[2048, 3000]]
    """
    padded = np.zeros(-(-inside.size // STEP) * STEP, bool)
    padded[: inside.size] = inside
    some = padded.reshape(-1, STEP).any(axis=1)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], some, [False]]).astype(int)))
    spans: NDArray[np.int64] = STEP * ends.reshape(-1, 2).astype(np.int64)
    return spans.clip(0, inside.size)


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


# Unsigned indices: a signed one may be negative, and would be looked at for that.
@compiled
def _add(
    first: int,
    last: int,
    frame: Array,
    bins: Any,
    dark: Any,
    factor: Any,
    low: Any,
    high: Any,
    sums: Lanes,
) -> None:
    a, b, c, d = sums
    for q in range(first // 4, last // 4):
        p = np.uint64(4) * np.uint64(q)
        p1, p2, p3 = p + np.uint64(1), p + np.uint64(2), p + np.uint64(3)
        a[bins[p]] += _value(frame, p, dark, factor, low, high)
        b[bins[p1]] += _value(frame, p1, dark, factor, low, high)
        c[bins[p2]] += _value(frame, p2, dark, factor, low, high)
        d[bins[p3]] += _value(frame, p3, dark, factor, low, high)
    for r in range(last // 4 * 4, last):
        a[bins[r]] += _value(frame, r, dark, factor, low, high)


@compiled
def add(
    frame: Array,
    spans: NDArray[np.int64],
    bins: NDArray[np.unsignedinteger[Any]],
    dark: Any,
    factor: Any,
    low: float | None,
    high: float | None,
    sums: Lanes,
) -> None:
    """Add each pixel to the sum of its bin.

    Parameters
    ----------
    frame
        ``(pixels,)``, numbers.
    spans
        ``(n, 2)``, see `spans_of`: other pixels are not looked at.
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

    >>> sums, all_of_it = np.zeros(3), np.array([[0, 5]])
    >>> add(np.array([1.0, 2, 4, 8, 16]), all_of_it, np.array([0, 1, 0, 2, 1], np.uint16),
    ...     None, None, None, None, (sums, sums, sums, sums))
    >>> sums.tolist()
    [5.0, 18.0, 8.0]
    """
    for k in range(len(spans)):
        first, last = spans[k, 0], spans[k, 1]
        _add(first, last, frame, bins, dark, factor, low, high, sums)


@compiled
def total(sums: Floats, out: Floats) -> bool:
    """Put the sums of ``sums``, ``(n, bins + 1)``, into ``out``, ``(bins,)``.

    Returns whether all of it is finite.

    >>> sums, out = np.array([[1.0, 2.0, 9.0], [3.0, 4.0, np.nan]]), np.empty(2)
    >>> total(sums, out), out.tolist()
    (True, [4.0, 6.0])
    """
    finite = True
    for k in range(out.size):
        s = sums[0, k]
        for n in range(1, len(sums)):
            s += sums[n, k]
        finite &= s - s == 0
        out[k] = s
    return finite


@compiled
def _add_spread(of: Floats, n: float, v: float) -> None:
    of[0] += v
    of[1] += v * v
    of[2] += n * v


@compiled
def _add_spreads(
    first: int,
    last: int,
    frame: Array,
    bins: Any,
    norm: Floats,
    dark: Any,
    factor: Any,
    low: Any,
    high: Any,
    sums: Floats,
) -> None:
    for q in range(first // 4, last // 4):
        for j in range(4):
            p = np.uint64(4) * np.uint64(q) + np.uint64(j)
            v = _value(frame, p, dark, factor, low, high)
            _add_spread(sums[bins[p], j], norm[p], v)
    for r in range(last // 4 * 4, last):
        v = _value(frame, r, dark, factor, low, high)
        _add_spread(sums[bins[r], 0], norm[r], v)


@compiled
def add_spread(
    frame: Array,
    spans: NDArray[np.int64],
    bins: NDArray[np.unsignedinteger[Any]],
    norm: Floats,
    dark: Any,
    factor: Any,
    low: float | None,
    high: float | None,
    sums: Floats,
    out: Floats,
) -> bool:
    """All that the spread of the pixels of a bin needs; whether all of it is finite.

    ``norm`` is ``(pixels,)``: what a pixel shows of an intensity of 1. ``out``, ``(3,
    bins)``, gets for each bin the sums of v, v2 and n v, of value v and norm n. ``sums`` is
    room, ``(bins + 1, 4, 4)``. The rest as in `add`.
    """
    sums[:] = 0.0
    for k in range(len(spans)):
        first, last = spans[k, 0], spans[k, 1]
        _add_spreads(first, last, frame, bins, norm, dark, factor, low, high, sums)
    finite = True
    for b in range(out.shape[1]):
        of = sums[b]
        for k in range(3):
            s = of[0, k] + of[1, k] + of[2, k] + of[3, k]
            finite &= s - s == 0
            out[k, b] = s
    return finite


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
    sums: Lanes,
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
def _range(bins: Any, zero: Any, none: Any) -> tuple[Any, Any]:
    """The least and the last of some bins, but for ``none``, which is the largest."""
    least, last = none, zero
    for k in range(bins.size):
        b = bins[k]
        least = b if b < least else least
        inside = b if b < none else zero
        last = inside if inside > last else last
    return least, last


@compiled
def _pixel(pixel: Any, part: int) -> Any:
    if pixel is None:
        return part
    else:  # noqa: RET505
        return pixel[part]


@compiled
def _weight(weight: Any, part: int) -> float:
    if weight is None:
        return 1.0
    else:  # noqa: RET505
        return np.float64(weight[part])


@compiled
def add_finite(
    frame: Array,
    pixel: NDArray[np.int32] | None,
    bins: NDArray[np.unsignedinteger[Any]],
    weight: NDArray[np.float32] | None,
    norm: Floats,
    dark: Any,
    factor: Any,
    low: float | None,
    high: float | None,
    asked: NDArray[np.bool_],
    totals: Floats,
) -> None:
    """Add parts of those pixels that are finite, and all that mean and spread need.

    ``pixel`` and ``weight`` may be None: parts are whole pixels. ``norm`` is ``(pixels,)``:
    what a pixel shows of an intensity of 1. ``asked`` is ``(bins + 1,)``: to which bins;
    the last is False. With weight w, norm n and value v, ``totals`` ``(3, bins)`` gets the
    sums of: w v, w, w n; if it is ``(6, bins)``, of w2 v2, w2 n v, w2 n2, too. The rest as
    in `add_parts`.
    """
    # How many bins before each are asked for: neighbours are mostly in near bins, and most
    # blocks have none of these.
    before = np.zeros(asked.size + 1, np.int64)
    for b in range(asked.size):
        before[b + 1] = before[b] + asked[b]
    zero, none = bins.dtype.type(0), bins.dtype.type(asked.size - 1)
    spread = len(totals) == 6
    for start in range(0, bins.size, BLOCK):
        stop = min(start + BLOCK, bins.size)
        least, last = _range(bins[start:stop], zero, none)
        if before[max(least, last) + 1] == before[least]:
            continue
        for i in range(start, stop):
            b = bins[i]
            if not asked[b]:
                continue
            p, w = _pixel(pixel, i), _weight(weight, i)
            v = _value(frame, p, dark, factor, low, high)
            if not np.isfinite(v):
                continue
            n = norm[p]
            totals[0, b] += w * v
            totals[1, b] += w
            totals[2, b] += w * n
            if spread:
                totals[3, b] += w * w * v * v
                totals[4, b] += w * w * n * v
                totals[5, b] += w * w * n * n
