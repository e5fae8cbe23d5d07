"""psana's shared-memory server, started on a pipe and cleaned up after."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import importlib.util
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Self

from smalldata_stream.errors import PsanaError, SourceError
from smalldata_stream.last_words import how_it_ended, last_words

PROGRAM = "shmemServer"
MOST_BUFFERS = 10
"""Linux lets a message queue of an unprivileged process hold so many."""

MOST_CLIENTS = 29
"""The server polls no more sockets than that."""

_PIPE_BYTES = 1 << 20
_PAGE = 4096
_END_SECONDS = 2.0
_SET_TIMER_SLACK, _GET_TIMER_SLACK = 29, 30
"""Of prctl(2)."""


def server_program() -> Path:
    """psana's ``shmemServer``: in psana's wheel, else on the path; raises PsanaError."""
    spec = importlib.util.find_spec("psana")
    for place in (spec and spec.submodule_search_locations) or ():
        program = Path(place).parent / "bin" / PROGRAM
        if program.exists():
            return program
    found = shutil.which(PROGRAM)
    if found is None:
        raise PsanaError(f"{PROGRAM} is not there; it comes with psana")
    return Path(found)


def clean(tag: str, clients: int = MOST_CLIENTS) -> None:
    """Remove what a server of this tag has left: shared memory and message queues.

    Raises
    ------
    SourceError
        If a server of this tag is still running.
    """
    pid = running(tag)
    if pid is not None:
        raise SourceError(
            f"a {PROGRAM} with the tag {tag!r} is running (process {pid}); "
            "give another --tag, or end it"
        )
    with suppress(FileNotFoundError):
        Path(f"/dev/shm/PdsMonitorSharedMemory_{tag}").unlink()
    names = [f"/Pds{name}_{tag}" for name in ("RequestQueue", "ShuffleQueue")]
    names += [f"/PdsFromMonitorDiscovery_{tag}"]
    names += [f"/PdsToMonitorEvQueue_{tag}_{i}" for i in range(clients + 1)]
    library = ctypes.CDLL(None)
    for name in names:
        library.mq_unlink(name.encode())


def running(tag: str) -> int | None:
    """The process id of a server of this tag."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = entry.read_bytes().split(b"\0")
            after_p = words[words.index(b"-p") + 1 :][:1] if b"-p" in words else []
            if Path(os.fsdecode(words[0])).name == PROGRAM and after_p == [tag.encode()]:
                return int(entry.parent.name)
    return None


@contextmanager
def exact_sleeps() -> Iterator[None]:
    """What is started meanwhile sleeps for as long as it says.

    Linux lets a sleep take 50 µs more than was asked for. The server sleeps after each
    event, so that it could hand out no more than about 11,000 events per second.
    """
    prctl = ctypes.CDLL(None).prctl
    before = prctl(_GET_TIMER_SLACK)
    prctl(_SET_TIMER_SLACK, ctypes.c_ulong(1))
    try:
        yield
    finally:
        prctl(_SET_TIMER_SLACK, ctypes.c_ulong(before))


class ShmemServer:
    """``shmemServer`` reading from a pipe; a context that leaves nothing behind.

    The server hands out nothing before its first client is there. It listens on a TCP port
    (32768 or above, of the loopback interface) for its clients.
    """

    def __init__(
        self, tag: str, *, buffer_bytes: int, clients: int, buffers: int, most_hz: float
    ) -> None:
        """``most_hz`` is the rate at which the server goes on when data wait for it."""
        if not 1 <= clients <= min(buffers, MOST_CLIENTS) or buffers > MOST_BUFFERS:
            raise SourceError(
                f"a server has 1 to {MOST_BUFFERS} buffers and no more clients than "
                f"buffers, not {buffers} and {clients}"
            )
        self.tag = tag
        program = server_program()
        clean(tag)
        self._folder = Path(tempfile.mkdtemp(prefix="smalldata_stream_"))
        self._path = self._folder / "run.xtc2"
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
        self._pipe: int | None = None
        os.mkfifo(self._path, 0o600)
        size = -(-buffer_bytes // _PAGE) * _PAGE
        with exact_sleeps():
            self._process = subprocess.Popen(
                [program, "-p", tag, "-n", f"{buffers}", "-s", hex(size),
                 "-c", f"{clients}", "-r", f"{max(2, round(most_hz))}", "-f", self._path],
                stdin=subprocess.DEVNULL, stdout=self._said, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def wait_for_client(self, stopped: Callable[[], bool]) -> bool:
        """Return True when the first client is there, False when ``stopped`` says so.

        Raises `PsanaError` if the server ends instead.
        """
        while not stopped():
            try:
                self._pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                if self._process.poll() is not None:
                    raise PsanaError(self._obituary()) from None
                time.sleep(0.05)
                continue
            os.set_blocking(self._pipe, True)
            with suppress(PermissionError):
                fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            return True
        return False

    def send(self, raw: bytes) -> None:
        """Give the server one datagram; raises `PsanaError` if it has died.

        The server takes the header with one read, so it must be there as a whole: the
        system never splits a write of ``PIPE_BUF`` bytes or less, as the first one is.
        """
        assert self._pipe is not None
        try:
            rest = memoryview(raw)
            os.write(self._pipe, rest[: select.PIPE_BUF])
            rest = rest[select.PIPE_BUF :]
            while rest:
                rest = rest[os.write(self._pipe, rest) :]
        except BrokenPipeError:
            raise PsanaError(self._obituary()) from None

    def _obituary(self) -> str:
        how = how_it_ended(self._process)
        return f"{PROGRAM} {how}; it said last: {last_words(self._said)}"

    def close(self) -> None:
        """End of the data: the server exits, and what it leaves is removed."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
        self._process.kill()
        self._process.wait()
        self._said.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        clean(self.tag)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
