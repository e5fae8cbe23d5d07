"""What a high-speed digitizer (hsd) sends for a channel: waveform and peaks, unpacked.

The data of a channel in an event are streams back to back, of which the first word of the
event header says in bits 20 and 21 which there are. A stream is four words of 32 bits and
16-bit samples: the number of samples in bits 0 to 30 of the first word, the stream's number
in bits 24 to 31 of the second. Stream 0 is the waveform as it was sampled. Stream 1 has the
samples of peaks alone, in groups of four; a group whose first sample has bit 15 set stands
for samples that were left out, as many as the other bits of its four samples add up to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.kernels.compiled import compiled

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

RAW, PEAKS = 0, 1
"""Numbers of the streams."""

HEADER, GROUP = 16, 4
"""Bytes of a stream's header, and samples that come together."""

ABSENT, BROKEN = -1, -2
"""Instead of a place: the event has no such stream; its data are no streams."""


@compiled
def word(data: Bytes, at: int) -> np.int64:
    """32 bits, little endian, from an address that need not be aligned."""
    return (
        np.int64(data[at])
        | np.int64(data[at + 1]) << 8
        | np.int64(data[at + 2]) << 16
        | np.int64(data[at + 3]) << 24
    )


@compiled
def sample(data: Bytes, at: int) -> np.int64:
    """16 bits, little endian.

    >>> int(sample(np.array([0, 1, 2], np.uint8), 1))
    513
    """
    return np.int64(data[at]) | np.int64(data[at + 1]) << 8


@compiled
def find_stream(
    data: Bytes,
    offsets: Integers,
    headers: NDArray[np.uint32],
    stream: int,
    start: Integers,
    samples: Integers,
) -> None:
    """Where the samples of a stream begin in ``data``, and how many there are, by event.

    The bytes of event i are those from ``offsets[i]`` to ``offsets[i + 1]``; ``headers``
    is ``(n,)``. ``start`` is `ABSENT` or `BROKEN` where there are none.

    >>> data = np.array([2, 0, 0, 0] + [0] * 12 + [7, 0, 8, 0], np.uint8)
    >>> start, samples = np.empty(1, np.int64), np.empty(1, np.int64)
    >>> header = np.array([1 << 20], np.uint32)
    >>> find_stream(data, np.array([0, 20]), header, RAW, start, samples)
    >>> start, samples
    (array([16]), array([2]))
    """
    for i in range(headers.size):
        left = (np.int64(headers[i]) >> 20) & 3
        at, end = offsets[i], offsets[i + 1]
        start[i], samples[i] = ABSENT, 0
        while left:
            if at + HEADER > end:
                start[i], samples[i] = BROKEN, 0
                break
            count = word(data, at) & 0x7FFFFFFF
            number = word(data, at + 4) >> 24
            at += HEADER
            if number > 1 or not left & (1 << number) or at + 2 * count > end:
                start[i], samples[i] = BROKEN, 0
                break
            if number == stream:
                start[i], samples[i] = at, count
            at += 2 * count
            left &= ~(1 << number)


@compiled
def count_peaks(
    data: Bytes, start: Integers, samples: Integers, peaks: Integers, inside: Integers
) -> None:
    """Number of peaks of each event, and of samples in them.

    A stream whose samples are not in groups of four has -1 of both.
    """
    for i in range(start.size):
        peaks[i], inside[i] = 0, 0
        if samples[i] % GROUP:
            peaks[i], inside[i] = -1, -1
            continue
        within = False
        for t in range(0, samples[i], GROUP):
            left_out = sample(data, start[i] + 2 * t) & 0x8000
            if not left_out:
                peaks[i] += not within
                inside[i] += GROUP
            within = not left_out


@compiled
def unpack_peaks(
    data: Bytes,
    start: Integers,
    samples: Integers,
    first: NDArray[np.int32],
    length: NDArray[np.int32],
    out: NDArray[np.uint16],
) -> None:
    """Each peak's first sample in the waveform, its length, and all samples, back to back.

    The arrays have the lengths that `count_peaks` says.

    >>> skip, peak = [8 | 0x8000, 0x8000, 0x8000, 0x8000], [5, 6, 7, 8]
    >>> data = np.array([*skip, *peak], "<u2").view(np.uint8)
    >>> first, length = np.empty(1, np.int32), np.empty(1, np.int32)
    >>> out = np.empty(4, np.uint16)
    >>> unpack_peaks(data, np.array([0]), np.array([8]), first, length, out)
    >>> first, length, out
    (array([8], dtype=int32), array([4], dtype=int32), array([5, 6, 7, 8], dtype=uint16))
    """
    peak, k = -1, 0
    for i in range(start.size):
        place, within = np.int64(0), False
        for t in range(0, samples[i], GROUP):
            at = start[i] + 2 * t
            if sample(data, at) & 0x8000:
                for j in range(GROUP):
                    place += sample(data, at + 2 * j) & 0x7FFF
                within = False
                continue
            if not within:
                peak += 1
                first[peak], length[peak] = place, 0
                within = True
            for j in range(GROUP):
                out[k] = sample(data, at + 2 * j)
                k += 1
            length[peak] += GROUP
            place += GROUP
