"""Jobs of the command, one or several at the same time, and where their time went."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.mpi_rank import Account

PYTHON = [sys.executable, "-m", "benchmarks.mpi_rank"]
MPIEXEC = str(Path(sys.executable).with_name("mpiexec"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # as nobody's job has it


class Job(NamedTuple):
    """What became of one job, or of several at the same time.

    ``rate`` is events per second, once all ranks have their kernels; ``cpu`` and ``waited``
    are seconds of all ranks per event, ``ready`` the part of their time in which other
    programs had the core.
    """

    rate: float
    cpu: float
    waited: float
    ready: float
    seconds: float

    @classmethod
    def of(cls, accounts: Iterable[Account], seconds: float) -> Job:
        ranks = list(accounts)
        begun = max(rank.begun for rank in ranks)
        ended = max(rank.ended for rank in ranks)
        # A block that ends within the time counts as far as it is within.
        within = 0.0
        for rank in ranks:
            since = rank.ends[0][0]
            for end, events in rank.ends[1:]:
                within += events * max(0.0, min(1.0, (end - begun) / (end - since)))
                since = end
        events = sum(n for rank in ranks for _, n in rank.ends[1:])
        cpu = sum(rank.cpu for rank in ranks)
        ready = sum(rank.ready for rank in ranks)
        wall = sum(rank.wall for rank in ranks)
        waited = max(0.0, wall - ready - sum(rank.worked for rank in ranks))
        return cls(
            within / (ended - begun), cpu / events, waited / events, ready / wall, seconds
        )


def run_jobs(graph: Path, data: Path, *ranks: int) -> Job:
    """Jobs of so many ranks at the same time; 0 is a process without MPI."""
    folder = Path(tempfile.mkdtemp(dir=graph.parent))
    jobs = []
    for number, size in enumerate(ranks):
        output = folder / f"{number}.h5"
        where = ("--exp", "xpptut26", "--run", "1", "--dir", str(data), "-o", str(output))
        launcher = [MPIEXEC, "-n", str(size)] if size else []
        command = [*launcher, *PYTHON, str(folder), "run", str(graph), *where]
        jobs.append(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=ENVIRONMENT,
            )
        )
    seconds = []
    for job in jobs:
        said, _ = job.communicate()
        found = re.search(r"([\d,]+) events in ([\d.]+) s", said)
        assert found is not None
        seconds.append(float(found[2]))
    accounts = [Account(**json.loads(p.read_text())) for p in folder.glob("*.json")]
    shutil.rmtree(folder)
    return Job.of(accounts, max(seconds))
