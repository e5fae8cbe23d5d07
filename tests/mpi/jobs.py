"""Jobs of several ranks as a user starts them, and the run that they reduce."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from smalldata_stream.simulate import Simulation

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]

GRAPH = """
import numpy as np
from smalldata_stream.detectors.ghost import Ghost

def graph(g, run):
    light = g.light_status(xray_excluded=[162], laser_required=[90])
    g.keep(light["xray"], why="no X-rays")
    g.scan()
    g.epics()
    energy = g.detector("gmd")["energy"]
    g.detector("encoder")
    jungfrau = g.detector("jungfrau", ghost=Ghost())
    roi = jungfrau.roi("ROI_0", [[0, 1], [2, 60], [5, 60]], area=True)
    roi.projection(axis=0)
    jungfrau.droplets(threshold_adu=5)
    jungfrau.sum("calib")
    jungfrau.sum("calib_max")
    jungfrau.plot.image()
    roi["sum"].plot.histogram(bins=(0, 5000, 50))

    def picky(e):
        if int(e * 1e6) % 4 == 0:
            raise ValueError("a multiple of four")
        return e

    g.function(picky, energy, name="gmd/picky")

    def rare(e):
        return np.array([e, 2 * e]) if int(e * 1e6) % 41 == 0 else None

    g.function(rare, energy, name="gmd/rare", shape=(2,))
"""

SIMULATION = Simulation(
    events=120,
    detectors=("timing", "gmd", "encoder", "jungfrau"),
    jungfrau_shape=(1, 64, 64),
    jungfrau_ghost=0.005,
)
"""15 blocks of 8 events, as `tests.mpi.program` cuts them."""


def environment() -> dict[str, str]:
    """Ours, with one thread per rank."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def words(ranks: int, *arguments: object, mpiexec: str = str(BIN / "mpiexec")) -> list[str]:
    """The command line; without mpiexec for 0 ranks."""
    launcher = [mpiexec, "-n", str(ranks)] if ranks else []
    program = [sys.executable, "-m", "tests.mpi.program"]
    return [*launcher, *program, "run", *map(str, arguments)]


def job(
    ranks: int,
    *arguments: object,
    more: dict[str, str] | None = None,
    mpiexec: str = str(BIN / "mpiexec"),
) -> subprocess.CompletedProcess[str]:
    """Run a job to its end."""
    return subprocess.run(
        words(ranks, *arguments, mpiexec=mpiexec),
        env=environment() | (more or {}),
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
        check=False,
    )
