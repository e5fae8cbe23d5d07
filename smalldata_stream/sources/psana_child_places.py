"""Where in which file the arrays are that psana gives."""

# ruff: noqa: SLF001 (psana has no public way to these)
from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.sources.psana_child_open import Opened
from smalldata_stream.sources.psana_wire import InFile

_HEADER = 24


class Places:
    """Finds the arrays of an event in the files that psana reads.

    An array of psana's is a view of its datagram. Where that is in the file psana knows,
    if not in public: so the header there is compared before it is believed.
    """

    def __init__(self, opened: Opened):
        self._opened = opened
        self._dgrams: Sequence[Any] = ()
        self._found: list[tuple[int, int, InFile]] | None = None

    def next(self, dgrams: Sequence[Any]) -> None:
        """Go on to the event with these datagrams."""
        self._dgrams, self._found = dgrams, None

    def find(self, array: Array) -> InFile | Array:
        """Where ``array`` is; a copy of it where that cannot be said."""
        if self._found is None:
            self._found = list(filter(None, map(self._place, range(len(self._dgrams)))))
        at = _address(array)
        for start, size, place in self._found:
            if (
                start <= at
                and at + array.nbytes <= start + size
                and array.flags.c_contiguous
            ):
                return InFile(place.path, place.offset + at - start)
        return array.copy()

    def _place(self, stream: int) -> tuple[int, int, InFile] | None:
        """Address and size of a datagram in memory, and where it is in the file."""
        dgram = self._dgrams[stream]
        if dgram is None:
            return None
        raw = np.frombuffer(dgram, np.uint8)
        manager = self._opened.run.dm
        file = int(manager.fds[stream])
        offset = self._offset(stream, file, raw.nbytes)
        if os.pread(file, _HEADER, offset) != raw[:_HEADER].tobytes():
            return None
        path = _real_path(str(manager.xtc_files[stream]))
        return _address(raw), raw.nbytes, InFile(path, offset)

    def _offset(self, stream: int, file: int, size: int) -> int:
        events: Any = self._opened.run._evt_iter._evt_man
        if hasattr(events, "bd_offset_array"):  # read by the small-data file
            return int(events.bd_offset_array[events.i_evt - 1, stream])
        return os.lseek(file, 0, os.SEEK_CUR) - size  # read one after the other


_real_path = lru_cache(os.path.realpath)
"""The file behind a link: the directory that psana reads may be gone before the frame."""


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
