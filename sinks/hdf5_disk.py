"""The bytes of the file on disk, written in an order that never leaves half an index.

HDF5 writes its index in order of address: a node before the nodes it points to, and the
size of the file last. A job killed, or a disk full, in the milliseconds of a flush then
leaves columns that cannot be read at all. Here a flush is collected first; then goes to the
disk what is new and nothing on disk points to, then the size, then what was there before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class OrderedFile:
    """What h5py takes for a file object; it never raises into HDF5.

    The first error of the system is kept for `check`, and from then on nothing is written.
    """

    def __init__(self, path: Path):
        """Make the file; FileExistsError if it is there."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        self._at = self._end = 0
        self._waiting: list[tuple[int, bytes]] | None = None
        self._known: set[int] = set()  # where blocks of the index are on disk
        self._error: OSError | None = None
        self._ignore = False

    @contextmanager
    def flush_in_order(self) -> Iterator[None]:
        """Collect what HDF5 writes in the block, then write it; raises OSError."""
        self._waiting = []
        try:
            yield
            self.check()
            self._write_in_order(self._waiting)
        finally:
            self._waiting = None

    def check(self) -> None:
        """Raise the first error met while writing."""
        if self._error is not None:
            raise self._error

    def ignore(self) -> None:
        """Write nothing from now on: the disk keeps what the last flush made."""
        self._ignore = True

    def sync(self) -> None:
        """Wait until the system has everything on the disk; raises OSError."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Give the file back to the system; whatever comes later is not written."""
        self._ignore = True
        if self._fd >= 0:
            fd, self._fd = self._fd, -1  # the number may soon be another file's
            os.close(fd)

    # What follows is called by HDF5.

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte."""
        self._at = offset + (self._end if whence == os.SEEK_END else 0)
        return self._at

    def tell(self) -> int:
        """The byte gone to."""
        return self._at

    def read(self, size: int) -> bytes:
        """``size`` bytes from here, with what waits to be written; zeros past the end."""
        block = bytearray(os.pread(self._fd, size, self._at).ljust(size, b"\0"))
        for offset, data in self._waiting or ():
            first, last = max(offset, self._at), min(offset + len(data), self._at + size)
            if first < last:
                block[first - self._at : last - self._at] = data[
                    first - offset : last - offset
                ]
        return bytes(block)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill ``buffer`` from here."""
        buffer[:] = self.read(len(buffer))
        return len(buffer)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write here, or collect."""
        size = len(data)
        self._end = max(self._end, self._at + size)
        if self._waiting is not None:
            self._waiting.append((self._at, bytes(data)))
        elif not self._ignore and self._error is None:
            try:
                self._put(self._at, memoryview(data))
            except OSError as error:
                self._error = error
        return size

    def truncate(self, size: int) -> int:
        """Set the size; done when a flush is written."""
        self._end = size
        return size

    def flush(self) -> None:
        """Nothing is held back here."""

    def _write_in_order(self, blocks: list[tuple[int, bytes]]) -> None:
        if self._ignore:
            return
        size = os.fstat(self._fd).st_size
        if self._end > size:
            os.ftruncate(self._fd, self._end)

        def turn(block: tuple[int, bytes]) -> int:
            return 0 if block[0] not in self._known else 1 if block[0] == 0 else 2

        for offset, data in sorted(blocks, key=turn):  # stable: else as HDF5 wrote them
            self._put(offset, memoryview(data))
        self._known.update(offset for offset, _ in blocks)
        if self._end < size:
            os.ftruncate(self._fd, self._end)

    def _put(self, offset: int, data: memoryview) -> None:
        while data:
            written = os.pwrite(self._fd, data, offset)
            offset, data = offset + written, data[written:]
