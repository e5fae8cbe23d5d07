"""Processes that tests start, how they are waited for, and what is left of them.

How long a thing takes says nothing on a busy machine: a test waits until it is so, and only
what never happens is a failure.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds after which what must happen counts as what does not happen."""


def until(ask: Callable[[], T | None], every: float = 0.02) -> T:
    """What ``ask`` gives once it is true."""
    ends = time.monotonic() + PATIENCE
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < ends, f"it did not happen within {PATIENCE:.0f} s"
        time.sleep(every)


@contextmanager
def started(words: Sequence[object], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is over at the end of the context, whatever the test came to.

    One that a failed test left behind would fail the tests after it, too.
    """
    command = [str(word) for word in words]
    with subprocess.Popen(command, text=True, **more) as process:
        try:
            yield process
        finally:
            process.kill()


def alive(pid: int) -> bool:
    """Whether a process is there and is not only waiting to be buried."""
    return _status(pid)[:1] not in ([], ["Z"])


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for entry in Path("/proc").glob("[0-9]*"):
        if _status(int(entry.name))[1:2] == [str(pid)]:
            found += family(int(entry.name))
    return found


def child_of(pid: int, module: str = "psana_child_shmem") -> int:
    """The process that ``pid`` has started with this module."""
    for child in family(pid)[1:]:
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:  # it has gone meanwhile
            continue
        if module.encode() in words:
            return child
    raise AssertionError(f"process {pid} has no child with {module}")


def _status(pid: int) -> list[str]:
    """State, parent and so on of a process; nothing where it has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # also between open and read
        return []
    return text.rpartition(")")[2].split()
