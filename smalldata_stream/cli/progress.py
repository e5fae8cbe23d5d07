"""Progress of a run: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Self

from smalldata_stream.counted import counted
from smalldata_stream.modes.batch import Progress

LINE_EVERY_SECONDS = 10.0


class PlainProgress:
    """A line with events, rate and time to go every few seconds."""

    def __init__(self) -> None:
        self._begun = self._last = time.monotonic()
        self._before: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def rate(self, read: int) -> float:
        """Events per second since the first call.

        What was read by then a job that is resumed has not read, or it was read while
        kernels were loaded: neither says how long the rest will take.
        """
        now = time.monotonic()
        if self._before is None:
            self._begun, self._before = now, read
        return (read - self._before) / max(1e-9, now - self._begun)

    def __call__(self, read: int, total: int | None) -> None:
        """Say how far it is, if it is time to."""
        first = self._before is None
        now, rate = time.monotonic(), self.rate(read)
        if now - self._last < LINE_EVERY_SECONDS:
            return
        self._last = now
        of = f" of {total:,}" if total else ""
        to_go = f", {(total - read) / rate:,.0f} s to go" if total and rate else ""
        speed = "" if first else f" ({rate:,.0f}/s)"
        line = f"{counted(read, 'event')}{of}{to_go}{speed}"
        print(line, file=sys.stderr, flush=True)


class BarProgress(PlainProgress):
    """A bar with rate and time to go, drawn by rich."""

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as TimeToGo

        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:,.0f} events/s"),
            TimeToGo(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("events", total=None, rate=0.0)
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, read: int, total: int | None) -> None:
        """Draw how far it is."""
        rate = self.rate(read)
        self._bar.update(self._task, completed=read, total=total, rate=rate)


def both(one: Progress, other: Progress) -> Progress:
    """Progress that is told to two."""

    def tell(read: int, total: int | None) -> None:
        one(read, total)
        other(read, total)

    return tell


def progress() -> PlainProgress:
    """The progress that fits where standard error goes."""
    return BarProgress() if sys.stderr.isatty() else PlainProgress()
