"""SLURM jobs: the script of a job that reduces runs, and the commands that take it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smalldata_stream.errors import SmalldataError

LARGEST_INDEX = 1000
"""What an index of a job array may be where the cluster does not say otherwise."""

PATIENCE_SECONDS = 60.0
"""A controller that has not answered by then is taken to be down."""


class SlurmError(SmalldataError):
    """SLURM is not there, or refused the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job that reduces one run, or an array of jobs that reduce one run each.

    Attributes
    ----------
    name
        As the queue shows it.
    command
        ``smalldata-stream run`` and its options, without ``--run``.
    overwrite
        Whether the first start may replace an older output.
    logs
        Directory of the log files: one per job, which its restarts continue.
    """

    name: str
    runs: Sequence[int]
    command: Sequence[str]
    logs: Path
    overwrite: bool = False
    nodes: int = 1
    tasks_per_node: int = 1
    account: str | None = None
    partition: str | None = None
    reservation: str | None = None
    time: str | None = None

    def script(self) -> str:
        """The text for sbatch.

        >>> job = Job(name="x", runs=[3], command=["run", "my graph.py"], logs=Path("/l"))
        >>> print(job.script().splitlines()[-1])
        exec run 'my graph.py' --run 3 $how
        """
        array = len(self.runs) > 1
        asked = {
            "job-name": self.name,
            "nodes": self.nodes,
            "ntasks-per-node": self.tasks_per_node,
            "account": self.account,
            "partition": self.partition,
            "reservation": self.reservation,
            "time": self.time,
            "array": ",".join(map(str, self.runs)) if array else None,
            # A % of a directory is doubled, as SLURM puts numbers where it finds one.
            "output": f"{self.logs}/".replace("%", "%%")
            + ("%x-%A_%a.log" if array else "%x-%j.log"),
            "open-mode": "append",
        }
        lines = ["#!/bin/bash"]
        lines += [
            f"#SBATCH --{key}={shlex.quote(str(value))}"
            for key, value in asked.items()
            if value is not None
        ]
        lines += ["#SBATCH --requeue", "", "set -eu"]
        lines += [
            "# Put back into the queue (preempted, or its node died), the job finishes the",
            "# file that it began. By hand: scontrol requeue JOBID",
            f"how={'--overwrite' if self.overwrite else ''}",
            'if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then how="$how --resume"; fi',
        ]
        run = '"$SLURM_ARRAY_TASK_ID"' if array else str(self.runs[0])
        words = shlex.join(self.command)
        if self.nodes * self.tasks_per_node > 1:
            words = f'{shlex.quote(mpiexec())} -n "$SLURM_NTASKS" {words}'
        lines += [f"exec {words} --run {run} $how"]
        return "\n".join(lines) + "\n"


def mpiexec() -> str:
    """The launcher that belongs to this Python's MPI: the one beside it, if any."""
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else "mpiexec"


def in_arrays(runs: Sequence[int]) -> list[Sequence[int]]:
    """Runs that can be one job array, whose index is the run number; others by themselves.

    >>> in_arrays([7, 8, 1001, 1002])
    [[7, 8], [1001], [1002]]
    """
    fit = [run for run in runs if run <= LARGEST_INDEX]
    return [*([fit] if fit else []), *([run] for run in runs if run > LARGEST_INDEX)]


def submit(script: Path) -> str:
    """Give a script to SLURM; returns the number of the job."""
    # --parsable prints "number", or "number;cluster".
    return ask(["sbatch", "--parsable", str(script)]).partition(";")[0].strip()


def queued(name: str) -> str | None:
    """The number of the job of this name that waits or runs, if there is one."""
    found = ask(["squeue", "--noheader", "--me", f"--name={name}", "--format=%i"]).split()
    return found[0] if found else None


def ask(command: Sequence[str]) -> str:
    """What a SLURM command prints; `SlurmError` where it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except FileNotFoundError:
        raise SlurmError(
            f"there is no {command[0]} on this machine; log in to a node that submits to "
            "SLURM, or look at the script with --dry-run"
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmError(
            f"{command[0]} has not answered for {PATIENCE_SECONDS:.0f} s"
        ) from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise SlurmError(f"SLURM refused: {said}")
    return done.stdout
