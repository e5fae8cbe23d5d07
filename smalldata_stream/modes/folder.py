"""The hidden folder beside an output file that holds it while it is made, in parts."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from sinks.hdf5 import publish
from smalldata_stream.errors import OutputError
from smalldata_stream.modes.done import SUFFIX, keep

JOB, LOCK, PUBLISHING = "job.json", "lock", "publishing"
WHOLE = "is whole; there is nothing to resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The file of a run and how it is made.

    Attributes
    ----------
    path
        The file.
    compression
        As of `sinks.hdf5.Hdf5Sink`.
    overwrite
        Whether an existing file, and the parts of an unfinished job, are replaced.
    resume
        Whether an unfinished job is finished; where there is none, one is begun.
    """

    path: Path
    compression: Literal["bitshuffle-lz4", "gzip", "none"] = "bitshuffle-lz4"
    overwrite: bool = False
    resume: bool = False


def folder_of(path: Path) -> Path:
    """Where the parts of the file ``path`` are: on the same file system.

    >>> folder_of(Path("/data/run7.h5"))
    PosixPath('/data/.run7.h5.parts')
    """
    return path.with_name(f".{path.name}.parts")


class Folder:
    """The parts of one file, kept for one job at a time; for rank 0.

    Parameters
    ----------
    output
        The file.
    job
        What the file is made from, by name: a job that resumes another one must be the
        same in all of this.

    Raises
    ------
    OutputError
        If another job is at it, the file is there and should not, or an unfinished job is
        there that should not, or was another one.
    """

    def __init__(self, output: Output, job: Mapping[str, str]):
        self.output, self.path = output, folder_of(output.path)
        self._lock: IO[bytes] | None = None
        try:
            self._enter()
            self._begin(job)
        except BaseException:
            self.let_go()
            raise

    @property
    def done(self) -> list[str]:
        """Names of the files that say what was done before, oldest first."""
        return sorted(path.name for path in self.path.glob(f"*{SUFFIX}"))

    @property
    def attempt(self) -> int:
        """The number of this job among those that have worked here, from 1."""
        return 1 + max((int(name[1:4]) for name in self._attempts()), default=0)

    def publish(self, whole: Path) -> None:
        """Give the whole file its name and remove the folder."""
        self._keep(PUBLISHING, whole.name)
        publish(whole, self.output.path, overwrite=self.output.overwrite)
        self._remove()

    def leave(self) -> None:
        """End without the file; what is of no use to another job is removed."""
        if not self.done:
            self._remove()
        self.let_go()

    def let_go(self) -> None:
        """Let another job have it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _attempts(self) -> list[str]:
        return [path.name for path in self.path.glob("a[0-9][0-9][0-9]-*")]

    def _enter(self) -> None:
        """Make the folder, and take the lock in it, which a job that ends may remove."""
        while True:
            try:
                self.path.mkdir(exist_ok=True)
            except FileNotFoundError:
                raise OutputError(
                    f"there is no directory {self.output.path.parent}; make it first"
                ) from None
            except OSError as error:
                raise OutputError(
                    f"{self.path} cannot be made: {error.strerror}"
                ) from error
            with suppress(FileNotFoundError):
                self._take_lock()
                if self._lock is None or _same(self._lock, self.path / LOCK):
                    return
            self.let_go()

    def _take_lock(self) -> None:
        lock = (self.path / LOCK).open("ab+", buffering=0)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            who = lock.read().decode().strip()
            lock.close()
            raise OutputError(
                f"{self.output.path} is being made by another job ({who})"
            ) from None
        except OSError:  # a file system without locks
            lock.close()
            return
        self._lock = lock
        with suppress(OSError):  # a full disk is told when there is more to write
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def _begin(self, job: Mapping[str, str]) -> None:
        output = self.output
        if self._published():
            self._clear()
            if output.resume:
                self._remove()
                raise WholeAlreadyError(f"{output.path} {WHOLE}")
        unfinished = (self.path / JOB).exists() and bool(self.done)
        if output.overwrite and not output.resume:
            unfinished = False
        elif os.path.lexists(output.path) and not output.overwrite:
            if not unfinished:
                self._remove()
            if output.resume and not unfinished:
                raise WholeAlreadyError(f"{output.path} {WHOLE}")
            raise OutputError(f"{output.path} exists; --overwrite replaces it")
        if unfinished:
            self._compare(json.loads((self.path / JOB).read_text()), job)
        else:
            self._clear()
            self._keep(JOB, json.dumps(dict(job), indent=1))

    def _published(self) -> bool:
        """Whether the file got its name, and only the folder was not removed."""
        marker = self.path / PUBLISHING
        if not marker.exists():
            return False
        whole, output = self.path / marker.read_text(), self.output.path
        return not whole.exists() or (output.exists() and whole.samefile(output))

    def _compare(self, old: Mapping[str, str], job: Mapping[str, str]) -> None:
        if not self.output.resume:
            raise OutputError(
                f"an unfinished job of {self.output.path} is in {self.path}: --resume "
                "finishes it, --overwrite begins anew"
            )
        differ = [name for name in {**old, **job} if old.get(name) != job.get(name)]
        if differ:
            said = "; ".join(
                f"{name} was {_short(old.get(name))}, is {_short(job.get(name))}"
                for name in differ
            )
            raise OutputError(
                f"{self.output.path} was begun by another job: {said}. Begin anew with "
                "--overwrite, or write another file"
            )

    def _clear(self) -> None:
        for path in self.path.iterdir():
            if path.name != LOCK:
                path.unlink()

    def _keep(self, name: str, text: str) -> None:
        keep(self.path / name, lambda file: file.write(text.encode()))

    def _remove(self) -> None:
        """Remove the folder; what another job makes there meanwhile stays.

        The lock is removed before it is let go, and closed before the folder goes: NFS
        keeps a file that is open, under another name.
        """
        self._clear()
        (self.path / LOCK).unlink(missing_ok=True)
        self.let_go()
        with suppress(OSError):
            self.path.rmdir()


class WholeAlreadyError(Exception):
    """There is nothing to resume: the file is there."""


def _same(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is still the one of this name."""
    return os.path.samestat(os.fstat(file.fileno()), path.stat())


def _short(text: str | None, most: int = 60) -> str:
    """``text`` in one line.

    >>> _short("x" * 99, 5), _short(None)
    ("'xxxxx...'", 'not said')
    """
    if text is None:
        return "not said"
    return repr(text if len(text) <= most else text[:most] + "...")
