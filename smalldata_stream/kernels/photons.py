"""Photons per pixel, where a photon's charge may be shared by two neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.good import is_good, row_of

Array = NDArray[Any]

PIECE = 64
"""Pixels of a row that are asked at once."""


# `else` stands where it need not, because numba then leaves out the other branch.
@compiled
def _divide(
    row: Array,
    good: Any,
    low: Any,
    top: Any,
    adu: Any,
    photons: NDArray[np.uint16],
    rest: Array,
) -> bool:
    """Photons and remainders of a row; whether one of these is a half or more."""
    kind = rest.dtype.type
    most, half = kind(65535), kind(0.5)
    # 32 bits, so that more pixels fit into a vector than with numba's own 64.
    count = np.int32(0)
    for c in range(row.size):
        x = row[c]
        v = kind(x) / adu
        v = v if (x >= low) & (x <= top) & (v > 0) & is_good(good, c) else kind(0)
        whole = np.floor(v)
        v = v - whole
        rest[c] = v
        count = np.int32(count + np.int32(v >= half))
        photons[c] = np.uint16(whole if whole < most else most)
    return bool(count > 0)


@compiled
def _any_half(rest: Array) -> bool:
    count = np.int32(0)
    for c in range(rest.size):
        count = np.int32(count + np.int32(rest[c] >= 0.5))
    return bool(count > 0)


@compiled
def _peaks(
    up: Array, left: Array, rest: Array, right: Array, down: Array, peak: NDArray[np.uint8]
) -> None:
    for c in range(rest.size):
        f = rest[c]
        is_peak = (f >= 0.5) & (f >= up[c]) & (f >= down[c])
        peak[c] = np.uint8(is_peak & (f >= left[c]) & (f >= right[c]))


@compiled
def _free(rest: Any, used: Any) -> Any:
    return rest if used == 0 else rest - rest


@compiled
def _pair(
    up: Array,
    rest: Array,
    down: Array,
    used_up: NDArray[np.uint8],
    used: NDArray[np.uint8],
    used_down: NDArray[np.uint8],
    fraction: Any,
    photons: NDArray[np.uint16],
) -> None:
    """One row: `rest` and its neighbours have an empty pixel at each end."""
    peak, peaks = np.empty(PIECE, np.uint8), np.empty(PIECE + 1, np.int64)
    for start in range(0, photons.size, PIECE):
        stop = min(start + PIECE, photons.size)
        if not _any_half(rest[start + 1 : stop + 1]):
            continue
        _peaks(
            up[start + 1 : stop + 1],
            rest[start:stop],
            rest[start + 1 : stop + 1],
            rest[start + 2 : stop + 2],
            down[start + 1 : stop + 1],
            peak,
        )
        # What the data decide at random is no branch: it would mostly be foreseen wrongly.
        n = 0
        for k in range(stop - start):
            peaks[np.uint64(n)] = start + 1 + k
            n += peak[k]
        for k in range(n):
            c = peaks[k]
            if used[c]:
                continue
            f = rest[c]
            a, b = _free(up[c], used_up[c]), _free(rest[c - 1], used[c - 1])
            d, e = _free(rest[c + 1], used[c + 1]), _free(down[c], used_down[c])
            best, where = a, np.uint8(a > 0)
            where, best = np.uint8(2) if b > best else where, b if b > best else best
            where, best = np.uint8(3) if d > best else where, d if d > best else best
            where, best = np.uint8(4) if e > best else where, e if e > best else best
            if f + best < fraction:
                continue
            if photons[c - 1] < 65535:
                photons[c - 1] += np.uint16(1)
            used[c] = 1
            used_up[c] |= np.uint8(where == 1)
            used[c - 1] |= np.uint8(where == 2)
            used[c + 1] |= np.uint8(where == 3)
            used_down[c] |= np.uint8(where == 4)


@compiled
def _total(photons: NDArray[np.uint16]) -> int:
    total = np.uint32(0)
    for c in range(photons.size):
        total = np.uint32(total + np.uint32(photons[c]))
    return int(total)


@compiled
def count_photons(
    frame: Array,
    rows: int,
    good: NDArray[np.bool_] | None,
    low: Any,
    top: Any,
    adu: Any,
    fraction: Any,
    photons: NDArray[np.uint16],
) -> int:
    """Photons in each pixel of one frame; returns their sum.

    Parameters
    ----------
    frame
        ``(lines, columns)``, C-contiguous: the rows of all tiles one below the other.
    rows
        Rows of a tile; charge is not shared by two tiles.
    good
        As ``frame``, True = good pixel; None when all are.
    low, top
        Pixels below low count as 0, and those above top as bad.
    adu
        Of one photon; its dtype is that of the arithmetic.
    fraction
        From which sum on two remainders are a photon; dtype of ``adu``.
    photons
        Out, as ``frame``; 65535 where there are more.

    Notes
    -----
    Each pixel has floor(v / adu) photons, and a remainder f. In the order of the rows, each
    pixel with f >= 0.5 that no neighbour along row or column exceeds, and that is not used,
    is looked at together with the largest of its four neighbours that are not used (the
    first of up, left, right, down): if their remainders add up to ``fraction``, it has one
    photon more, and both are used. This is the algorithm ``photons`` of psana (LCLS-I).

    >>> frame = np.array([[0, 60, 45, 0, 230]], np.float32)
    >>> photons = np.empty(frame.shape, np.uint16)
    >>> one, ninety = np.float32(100), np.float32(0.9)
    >>> count_photons(frame, 1, None, np.float32(0), np.float32(1e9), one, ninety, photons)
    3
    >>> photons.tolist()
    [[0, 1, 0, 0, 2]]
    """
    lines, columns = frame.shape
    rest = np.zeros((3, columns + 2), np.array(adu).dtype)
    used = np.zeros((3, columns + 2), np.uint8)
    any_half = np.zeros(3, np.bool_)
    total = 0
    for r0 in range(0, lines, rows):
        rest[:] = 0
        used[:] = 0
        for r in range(rows + 1):
            # Of three rows kept, this one is new, and the one above it is paired.
            new, middle, old = r % 3, (r + 2) % 3, (r + 1) % 3
            used[new] = 0
            if r < rows:
                line = r0 + r
                any_half[new] = _divide(
                    frame[line],
                    row_of(good, line),
                    low,
                    top,
                    adu,
                    photons[line],
                    rest[new, 1 : columns + 1],
                )
            else:
                rest[new] = 0
            if r > 0:
                line = r0 + r - 1
                if any_half[middle]:
                    _pair(
                        rest[old],
                        rest[middle],
                        rest[new],
                        used[old],
                        used[middle],
                        used[new],
                        fraction,
                        photons[line],
                    )
                total += _total(photons[line])
    return total
