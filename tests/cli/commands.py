"""The command in a process of its own, and the small run that its tests share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from smalldata_stream.simulate import SimulatedFiles, Simulation
from tests.processes import PATIENCE

COMMAND = [sys.executable, "-m", "smalldata_stream.cli"]
SMALL = Simulation(events=60, detectors=("timing", "gmd", "encoder"))

GRAPH = """
def graph(g, run):
    light = g.light_status(xray_excluded=[162], laser_required=[90])
    gmd = g.detector("gmd")
    g.scan()
    g.keep(light["xray"], why="no X-rays")
    g.function(lambda e: 2 * e, gmd["energy"], name="gmd/twice", unit="mJ")
"""


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    words = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def where(run: SimulatedFiles) -> tuple[object, ...]:
    return ("--exp", SMALL.exp, "--run", SMALL.run, "--dir", run.directory)


def graph(folder: Path, text: str = GRAPH) -> Path:
    path = folder / "my_graph.py"
    path.write_text(text)
    return path
