"""submit --watch: a job for every new run, and a file that remembers which have one."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smalldata_stream.cli.run_list import as_text
from smalldata_stream.counted import counted
from smalldata_stream.errors import OutputError, SmalldataError, because
from smalldata_stream.slurm import SlurmError, queued

BEGUN = "being submitted"
OLD = "there before"

Jobs = dict[int, str]
"""Run number to number of its job, or one of the two words above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Looks for runs and submits each once, over restarts too.

    ``state`` is the file that remembers. A run is noted there before it is submitted and
    again after, so that a watch that was killed in between asks SLURM whether it has the
    job. Runs that are there when a watch begins for the first time are not submitted,
    unless ``runs`` names them; with ``runs``, no others are.
    """

    exp: str
    directory: Path
    state: Path
    runs: Sequence[int] | None
    every_seconds: float
    name: Callable[[int], str]
    give: Callable[[int], str]

    def follow(self) -> int:
        """Look until Ctrl-C."""
        with alone(self.state):
            try:
                self._follow(self._begin())
            except KeyboardInterrupt:
                print(f"\nno longer watching; what was submitted goes on ({self.state})")
        return 0

    def _follow(self, jobs: Jobs) -> None:
        told: str | None = None
        while True:
            try:
                self.look(jobs)
                told = None
            except (SlurmError, OutputError, OSError) as error:
                # Tried again at the next look: controllers and disks come back.
                if str(error) != told:
                    print(f"warning: {error}; trying again", file=sys.stderr, flush=True)
                told = str(error)
            time.sleep(self.every_seconds)

    def look(self, jobs: Jobs) -> None:
        """Submit what is there and has no job yet."""
        wanted = self._there() if self.runs is None else set(self.runs) & self._there()
        for number in sorted(wanted):
            if jobs.get(number, BEGUN) != BEGUN:
                continue
            known = queued(self.name(number)) if number in jobs else None
            if known is None:
                jobs[number] = BEGUN
                remember(self.state, jobs)
                known = self.give(number)
            jobs[number] = known
            remember(self.state, jobs)

    def _begin(self) -> Jobs:
        jobs = recall(self.state)
        if jobs is None:
            there = self._there()
            jobs = {n: OLD for n in there if self.runs is None}
            if jobs:
                print(f"there before, not submitted: run {as_text(sorted(jobs))}")
            remember(self.state, jobs)
        else:
            print(f"known from before: {counted(len(jobs), 'run')} ({self.state})")
        print(f"watching {self.directory} for runs of {self.exp}; Ctrl-C ends", flush=True)
        return jobs

    def _there(self) -> set[int]:
        from smalldata_stream.sources.files_find import runs_in

        return {number for exp, number in runs_in(self.directory) if exp == self.exp}


def recall(state: Path) -> Jobs | None:
    """What the file remembers; None where there is no file."""
    try:
        text = state.read_text(encoding="utf-8")
        return {int(run): str(job) for run, job in json.loads(text).items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise SmalldataError(
            f"{state}: does not say which runs were submitted ({error}); remove it to "
            "begin anew from the runs that are there now"
        ) from error


def remember(state: Path, jobs: Jobs) -> None:
    """Write the file; at any moment there is the old one or the new one, whole."""
    new = state.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(dict(sorted(jobs.items())), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(state)


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Keep a second watch of the same runs from submitting them again."""
    path = state.with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {because(error)}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SmalldataError(
                f"another watch submits these runs already ({path} is locked)"
            ) from None
        yield
