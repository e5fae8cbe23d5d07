"""Memory for results, taken again once nobody holds them."""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

import numpy as np

from smalldata_stream.batch import Array

KEPT = 2
"""Blocks kept per `Memory`; beyond, results have memory of their own."""

FEW = 1 << 16
"""Bytes below which ``numpy.empty`` is as fast."""


class Memory:
    """Arrays for the frames of one batch after the other, in the same memory.

    New memory costs a page fault for each 4 kB, several times the calibration of the pixels
    in it. A block is taken again only when no array refers to it any more: what is still
    held, in whole or in part, is never written.

    >>> memory = Memory()
    >>> first = memory.empty((100, 1000), np.dtype("f4"))
    >>> where = first.ctypes.data
    >>> part = first[3]
    >>> del first
    >>> memory.empty((100, 1000), np.dtype("f4")).ctypes.data == where  # part is still held
    False
    >>> del part
    >>> memory.empty((50, 1000), np.dtype("f4")).ctypes.data == where
    True
    """

    __slots__ = ("_blocks", "_lock")

    def __init__(self) -> None:
        self._blocks: list[tuple[Array, weakref.ref[Array]]] = []
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array of arbitrary content that nobody else holds."""
        size = math.prod(shape) * dtype.itemsize
        if size < FEW:
            return np.empty(shape, dtype)
        with self._lock:
            free = [i for i, (_, user) in enumerate(self._blocks) if user() is None]
            fits = [i for i in free if self._blocks[i][0].nbytes >= size]
            if fits:
                block = self._blocks.pop(fits[0])[0]
            else:
                if free:
                    del self._blocks[free[0]]
                block = np.empty(size, np.uint8)
            # Every view of `array` refers to `array` itself, because what it refers to is
            # no numpy array: it lives as long as any of them.
            array: Array = np.frombuffer(block.data, dtype, count=math.prod(shape))
            if len(self._blocks) < KEPT:
                self._blocks.append((block, weakref.ref(array)))
            shaped: Array = array.reshape(shape)
            return shaped
