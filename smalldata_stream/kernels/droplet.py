"""Droplets: groups of neighbouring pixels above a threshold.

A first pass over the frame, in vector instructions, writes one byte for each pixel: above
which threshold it is. Only from a pixel above the high one a droplet is grown, neighbour
by neighbour, in that map, so that the rest of the cost is linear in the pixels of the
droplets. The first pass is a band of lines ahead of the second: of a frame of any size,
what is looked at is still in the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled
from smalldata_stream.kernels.good import is_good, row_of

Array = NDArray[Any]

AROUND = ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""Neighbours: the first 4 share an edge, the others a corner."""

SEED, BOTH = 2, np.uint64(0x0202020202020202)
"""In the map: 0 is below, 1 above the low threshold, 2 above the high one, too."""

BAND = 1 << 16
"""Pixels of the lines that are classified together, at least."""


# `else` stands where it need not, because numba then leaves out the other branch.
@compiled
def _at(limit: Any, limits: Any, c: int) -> Any:
    if limits is None:
        return limit
    else:  # noqa: RET505
        return limits[c]


@compiled
def _classify(
    row: Array,
    good: Any,
    high: Any,
    low: Any,
    highs: Any,
    lows: Any,
    top: Any,
    out: NDArray[np.uint8],
) -> None:
    for c in range(row.size):
        v = row[c]
        ok = (v <= top) & is_good(good, c)
        above = np.uint8((v >= _at(low, lows, c)) & ok)
        out[c] = np.uint8(above + np.uint8((v >= _at(high, highs, c)) & ok))


@compiled
def _classify_lines(
    frame: Array,
    rows: int,
    good: Any,
    high: Any,
    low: Any,
    highs: Any,
    lows: Any,
    top: Any,
    first: int,
    last: int,
    level: NDArray[np.uint8],
) -> None:
    columns = frame.shape[1]
    for r in range(first, last):
        at = (r + r // rows + 1) * (columns + 1) + 1
        _classify(
            frame[r],
            row_of(good, r),
            high,
            low,
            row_of(highs, r),
            row_of(lows, r),
            top,
            level[at : at + columns],
        )


@compiled
def _first_word(line: int, rows: int, stride: int) -> int:
    """The first word of the map with a pixel of ``line``."""
    return ((line + line // rows + 1) * stride + 1) // 8


def map_size(lines: int, rows: int, columns: int) -> int:
    """Bytes of the map: an empty line around every tile, an empty column between lines."""
    size = (lines + lines // rows + 1) * (columns + 1) + 1
    return -(-size // 8) * 8


@compiled
def droplets(
    frame: Array,
    rows: int,
    good: NDArray[np.bool_] | None,
    high: Any,
    low: Any,
    highs: Array | None,
    lows: Array | None,
    top: Any,
    neighbours: int,
    level: NDArray[np.uint8],
    line: NDArray[np.int32],
    pixel: NDArray[np.int32],
    value: Array,
    adu: NDArray[np.float64],
    row: NDArray[np.float64],
    column: NDArray[np.float64],
    npix: NDArray[np.int32],
    tile: NDArray[np.int32],
) -> tuple[int, int]:
    """Find the droplets of one frame; returns their number and that of their pixels.

    A pixel belongs to a droplet if it is at or above the low threshold and it, or one of
    its neighbours, is at or above the high one. Droplets are the connected groups of such
    pixels, in the order of their first pixel above the high threshold, row by row.

    Parameters
    ----------
    frame
        ``(lines, columns)``, C-contiguous: the rows of all tiles one below the other.
    rows
        Rows of a tile; droplets do not reach from one tile into the next.
    good
        As ``frame``, True = good pixel; None when all are. Bad pixels and NaN are in no
        droplet.
    high, low
        Thresholds, low <= high.
    highs, lows
        As ``frame``: thresholds for each pixel instead; else None.
    top
        Pixels above it are bad: saturated, or infinite.
    neighbours
        4, or 8 with those that share a corner.
    level
        The map, ``(map_size,)``, 0 outside the pixels of the tiles.
    line
        Room for the line of each pixel that is found.
    pixel
        Out, the numbers of the pixels in the flattened frame, droplet by droplet.
    value
        Out, the pixels themselves, dtype of the frame.
    adu, row, column, npix, tile
        Out: sum of the droplet, centre of mass in its tile, number of pixels, and tile.
        All these have room for as many as there are pixels.

    Notes
    -----
    Sums are in float64, over the pixels in the order in which they are found, which
    depends on the droplet alone.

    >>> frame = np.array([[0, 9, 4, 0, 0], [0, 0, 3, 0, 7]], np.float32)
    >>> adu, row, column = np.empty((3, frame.size))
    >>> line, pixel, npix, tile = np.empty((4, frame.size), np.int32)
    >>> value, level = np.empty(frame.size, "f4"), np.zeros(map_size(2, 2, 5), np.uint8)
    >>> droplets(frame, 2, None, np.float32(5), np.float32(3), None, None, np.float32(1e9),
    ...          4, level, line, pixel, value, adu, row, column, npix, tile)
    (2, 3)
    >>> adu[:2].tolist(), npix[:2].tolist(), pixel[:3].tolist(), value[:3].tolist()
    ([13.0, 7.0], [2, 1], [1, 2, 9], [9.0, 4.0, 7.0])
    """
    lines, columns = frame.shape
    stride = columns + 1
    step_map, step_pixel, step_line = np.empty((3, 8), np.int64)
    for k in range(8):
        step_line[k] = AROUND[k][0]
        step_map[k] = AROUND[k][0] * stride + AROUND[k][1]
        step_pixel[k] = AROUND[k][0] * columns + AROUND[k][1]
    band = BAND // columns + 2
    # Lines that are in the map, and the first word that may have parts of others.
    known, next_word = 0, 0
    values = frame.reshape(-1)
    words = level.view(np.uint64)
    found, filled = 0, 0
    for word in range(words.size):
        while word >= next_word:
            more = min(known + band, lines)
            _classify_lines(
                frame, rows, good, high, low, highs, lows, top, known, more, level
            )
            known = more
            next_word = _first_word(known, rows, stride) if known < lines else words.size
        if not words[word] & BOTH:
            continue
        for first in range(8 * word, 8 * word + 8):
            if level[first] != SEED:
                continue
            mapped = first // stride - 1
            t = mapped // (rows + 1)
            r0, c0 = mapped - t, first % stride - 1
            shift = (t + 1) * stride + 1
            total, by_row, by_column = 0.0, 0.0, 0.0
            begin, head = filled, filled
            level[first] = 0
            pixel[filled], line[filled] = r0 * columns + c0, r0
            filled += 1
            # The one that is looked at: whether it is a seed is told by its value.
            while head < filled:
                p, r = int(pixel[head]), int(line[head])
                head += 1
                if r + 2 >= known and known < lines:
                    # Neighbours, and theirs, have to be in the map.
                    more = min(known + band, lines)
                    _classify_lines(
                        frame, rows, good, high, low, highs, lows, top, known, more, level
                    )
                    known = more
                    next_word = _first_word(known, rows, stride)
                    next_word = next_word if known < lines else words.size
                v = values[p]
                value[head - 1] = v
                c = p - r * columns
                x = np.float64(v)
                total += x
                by_row += x * (r - r0)
                by_column += x * (c - c0)
                is_seed = v >= _at(high, row_of(highs, r), c)
                m = p + r + shift
                for k in range(neighbours):
                    n = m + step_map[k]
                    above = level[n]
                    if above == 0:
                        continue
                    taken = is_seed or above == SEED
                    if not taken:
                        # Seeds that were found already will find it themselves.
                        for j in range(neighbours):
                            taken |= level[n + step_map[j]] == SEED
                    if taken:
                        level[n] = 0
                        pixel[filled] = p + step_pixel[k]
                        line[filled] = r + step_line[k]
                        filled += 1
            adu[found] = total
            row[found] = (r0 - t * rows) + by_row / total
            column[found] = c0 + by_column / total
            npix[found] = filled - begin
            tile[found] = t
            found += 1
    return found, filled
