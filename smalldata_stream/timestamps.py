"""Timestamps of events: seconds since 1990-01-01 UTC above, nanoseconds below."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

EPOCH = 631_152_000
"""1990-01-01 00:00 UTC in seconds of Unix time."""

SECOND = 1_000_000_000
"""Nanoseconds of a second."""

_LOW = 0xFFFF_FFFF


def nanoseconds(timestamps: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Nanoseconds since 1990 of timestamps, ``(n,)``.

    >>> nanoseconds(np.array([(5 << 32) + 7], np.uint64)).tolist()
    [5000000007]
    """
    seconds = (timestamps >> np.uint64(32)).astype(np.int64)
    return seconds * SECOND + (timestamps & np.uint64(_LOW)).astype(np.int64)


def unix_nanoseconds(timestamps: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Nanoseconds since 1970 of timestamps, ``(n,)``.

    >>> unix_nanoseconds(np.array([1 << 32 | 5], np.uint64)).tolist()
    [631152001000000005]
    """
    return nanoseconds(timestamps) + EPOCH * SECOND


def timestamp_at(nanoseconds: int) -> int:
    """The timestamp of a time in nanoseconds since 1990.

    >>> timestamp_at(5_000_000_007) == (5 << 32) + 7
    True
    """
    seconds, rest = divmod(nanoseconds, SECOND)
    return seconds << 32 | rest


def earlier(timestamp: int, ms: float) -> int:
    """The timestamp so many ms before another.

    >>> earlier((5 << 32) + 7, 0.5) == (4 << 32) + 999_500_007
    True
    """
    whole = (timestamp >> 32) * SECOND + (timestamp & _LOW)
    return timestamp_at(max(0, whole - round(ms * 1e6)))


def unix_seconds(timestamp: int) -> float:
    """Seconds since 1970 of a timestamp.

    >>> unix_seconds(1 << 32 | 500_000_000)
    631152001.5
    """
    return EPOCH + (timestamp >> 32) + (timestamp & _LOW) / SECOND


def calendar(timestamp: int) -> str:
    """A timestamp as people write it, to the second.

    >>> calendar((1_100_000_000 << 32) + 5)
    '2024-11-09 11:33:20 UTC'
    """
    when = datetime.fromtimestamp(EPOCH + (timestamp >> 32), UTC)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
