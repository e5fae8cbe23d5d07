"""Single photons from droplets: how many are in each, and where they fell.

A droplet of n photons is taken apart greedily. The pixels are kept in a heap, so that a
droplet of many pixels costs n log n, and all droplets together grow linearly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@compiled
def _before(rest: Floats, pixel: Ints, i: int, j: int) -> bool:
    if rest[i] != rest[j]:
        return bool(rest[i] > rest[j])
    return bool(pixel[i] < pixel[j])


@compiled
def _push(rest: Floats, pixel: Ints, size: int, f: float, p: int) -> int:
    i = size
    rest[i], pixel[i] = f, p
    while i > 0:
        parent = (i - 1) // 2
        if not _before(rest, pixel, i, parent):
            break
        rest[i], rest[parent] = rest[parent], rest[i]
        pixel[i], pixel[parent] = pixel[parent], pixel[i]
        i = parent
    return size + 1


@compiled
def _pop(rest: Floats, pixel: Ints, size: int) -> int:
    """Take the first away; what is left begins at 0 again."""
    last = size - 1
    rest[0], pixel[0] = rest[last], pixel[last]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= last:
            break
        if child + 1 < last and _before(rest, pixel, child + 1, child):
            child += 1
        if not _before(rest, pixel, child, i):
            break
        rest[i], rest[child] = rest[child], rest[i]
        pixel[i], pixel[child] = pixel[child], pixel[i]
        i = child
    return last


@compiled
def photons_of(
    number: NDArray[np.int64],
    row: NDArray[np.float32],
    column: NDArray[np.float32],
    npix: Ints,
    tile: Ints,
    pixel: Ints,
    adu: NDArray[np.float32],
    adu_per_photon: float,
    rows: int,
    columns: int,
    left: Floats,
    heap_rest: Floats,
    heap_pixel: Ints,
    out_row: NDArray[np.float32],
    out_column: NDArray[np.float32],
    out_tile: Ints,
) -> int:
    """The photons of the droplets of a frame, or of several; returns how many.

    Parameters
    ----------
    number, row, column, npix, tile
        Per droplet: photons in it, centre of mass in its tile, number of pixels, tile.
    pixel, adu
        Numbers of the pixels of all droplets in the flattened frame, droplet by droplet,
        and their values.
    adu_per_photon
        Value of one photon.
    rows, columns
        Of a tile.
    left
        One for each pixel of the frame, all 0; all 0 again afterwards.
    heap_rest, heap_pixel
        Room for twice as many as there are pixels in droplets, and 1 more.
    out_row, out_column, out_tile
        Out, with room for the sum of ``number``.

    Notes
    -----
    One photon is at the centre of mass. Of more, each pixel first has its whole photons,
    floor(adu / adu_per_photon), at its own place. Then, one photon after the other: the
    pixel with the largest remainder f (the first in the order of rows where several have
    it) is taken; the rest of the photon, 1 - f, is taken from that of its four neighbours
    in the droplet that has most left (the first of up, down, left, right), and the photon
    is moved from the pixel by 1 - f towards it. Where no neighbour has anything left the
    photon stays at the pixel.

    >>> number, npix, tile = np.array([2]), np.array([2], "i4"), np.zeros(1, "i4")
    >>> center = np.zeros(1, "f4")
    >>> pixel, adu = np.array([5, 6], "i4"), np.array([160, 40], "f4")
    >>> row, column, where = np.empty(2, "f4"), np.empty(2, "f4"), np.empty(2, "i4")
    >>> photons_of(number, center, center, npix, tile, pixel, adu, 100.0, 3, 4,
    ...            np.zeros(12), np.empty(5), np.empty(5, "i4"), row, column, where)
    2
    >>> row.tolist(), column.round(3).tolist()
    ([1.0, 1.0], [1.0, 1.399999976158142])
    """
    n, begin = 0, 0
    for d in range(number.size):
        end = begin + npix[d]
        if number[d] == 1:
            out_row[n], out_column[n], out_tile[n] = row[d], column[d], tile[d]
            n += 1
        elif number[d] > 1:
            first_line = tile[d] * rows
            todo = number[d]
            size = 0
            for i in range(begin, end):
                p = int(pixel[i])
                f = adu[i] / adu_per_photon
                whole = min(int(np.floor(f)), todo)
                line = p // columns
                for _ in range(whole):
                    out_row[n], out_column[n] = line - first_line, p - line * columns
                    out_tile[n] = tile[d]
                    n += 1
                todo -= whole
                left[p] = f - np.floor(f)
                if left[p] > 0:
                    size = _push(heap_rest, heap_pixel, size, left[p], p)
            while todo > 0:
                while size > 0 and left[heap_pixel[0]] != heap_rest[0]:
                    # Part of it was taken since: it is in the heap a second time.
                    size = _pop(heap_rest, heap_pixel, size)
                out_tile[n] = tile[d]
                if size == 0:
                    out_row[n], out_column[n] = row[d], column[d]
                    n += 1
                    todo -= 1
                    continue
                p, f = int(heap_pixel[0]), heap_rest[0]
                size = _pop(heap_rest, heap_pixel, size)
                left[p] = 0.0
                line = p // columns
                c = p - line * columns
                best, to, dr, dc = 0.0, p, 0, 0
                if line > first_line and left[p - columns] > best:
                    best, to, dr, dc = left[p - columns], p - columns, -1, 0
                if line < first_line + rows - 1 and left[p + columns] > best:
                    best, to, dr, dc = left[p + columns], p + columns, 1, 0
                if c > 0 and left[p - 1] > best:
                    best, to, dr, dc = left[p - 1], p - 1, 0, -1
                if c < columns - 1 and left[p + 1] > best:
                    best, to, dr, dc = left[p + 1], p + 1, 0, 1
                missing = 1.0 - f
                out_row[n] = (line - first_line) + missing * dr
                out_column[n] = c + missing * dc
                n += 1
                todo -= 1
                if best > 0.0:
                    left[to] = max(best - missing, 0.0)
                    if left[to] > 0.0:
                        size = _push(heap_rest, heap_pixel, size, left[to], to)
            for i in range(begin, end):
                left[pixel[i]] = 0.0
        begin = end
    return n


@compiled
def _nearest(row: Any, column: Any, tile: Any, rows: int, columns: int) -> tuple[int, int]:
    """Line and column of the pixel that the place of a photon is nearest to."""
    r = min(max(int(np.floor(row + 0.5)), 0), rows - 1)
    c = min(max(int(np.floor(column + 0.5)), 0), columns - 1)
    return r + tile * rows, c


@compiled
def add_to_image(
    row: NDArray[np.float32],
    column: NDArray[np.float32],
    tile: Ints,
    offsets: NDArray[np.int64],
    rows: int,
    images: NDArray[np.uint16],
) -> None:
    """Count each photon in the pixel that its place is nearest to.

    ``images`` is ``(n, lines, columns)``, 65535 where there are more; the photons of event
    i are those from ``offsets[i]`` to before ``offsets[i + 1]``; ``rows`` is of a tile.

    >>> images = np.zeros((1, 2, 3), np.uint16)
    >>> places = np.array([0.4, 1.2], np.float32)
    >>> add_to_image(places, places, np.zeros(2, np.int32), np.array([0, 2]), 2, images)
    >>> images.tolist()
    [[[1, 0, 0], [0, 1, 0]]]
    """
    for event in range(offsets.size - 1):
        image = images[event]
        for i in range(offsets[event], offsets[event + 1]):
            r, c = _nearest(row[i], column[i], tile[i], rows, image.shape[1])
            if image[r, c] < 65535:
                image[r, c] += np.uint16(1)


@compiled
def photon_numbers(
    row: NDArray[np.float32],
    column: NDArray[np.float32],
    tile: Ints,
    offsets: NDArray[np.int64],
    rows: int,
    regions: NDArray[np.bool_],
    image: NDArray[np.uint16],
    counts: NDArray[np.int64],
    photons: NDArray[np.int64],
) -> None:
    """How many good pixels have 1, 2, 3 ... photons, and the photons in them.

    ``regions`` is ``(regions, lines, columns)``, True = good pixel; ``image``, ``(lines,
    columns)``, all 0, and 0 again afterwards. The rest as in `add_to_image`.
    ``counts[event, region, k]`` is added to for k photons, its last for as many and more;
    ``counts[..., 0]`` is left alone. ``photons`` is ``(events, regions)``, added to.
    """
    most = counts.shape[2] - 1
    columns = image.shape[1]
    for event in range(offsets.size - 1):
        first, last = offsets[event], offsets[event + 1]
        for region in range(len(regions)):
            good = regions[region]
            for i in range(first, last):
                r, c = _nearest(row[i], column[i], tile[i], rows, columns)
                if image[r, c] < 65535:
                    image[r, c] += np.uint16(1)
            for i in range(first, last):
                r, c = _nearest(row[i], column[i], tile[i], rows, columns)
                # A pixel of k photons comes k times: it counts at the first, which is
                # told by the image, taken down meanwhile.
                k = int(image[r, c])
                image[r, c] = 0
                if good[r, c]:
                    photons[event, region] += 1
                    if k > 0:
                        counts[event, region, min(k, most)] += 1
