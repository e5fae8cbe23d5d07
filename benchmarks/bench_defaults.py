"""What default detectors cost beside reading what they are made of.

A run of small detectors is read from files, once as columns alone and once through a graph
of 60 default scalars; the ratio of the two is what counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

from smalldata_stream.batch import BatchLimits
from smalldata_stream.graph import Graph, build
from smalldata_stream.protocols import Run
from smalldata_stream.run import RunInfo
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.sources.files import FilesSource

EVENTS, ROUNDS, LIMIT = 60_000, 15, 0.10
DETECTORS = ("timing", "gmd", "ebeam", "ipm2", "encoder", "fim0")


def graph(g: Graph, run: RunInfo) -> None:
    """Light status, scan, EPICS, and monitors: 60 scalars, most handed on."""
    g.light_status(xray_excluded=[162], laser_required=[90])
    g.scan()
    g.epics("sample_x", "temperature")
    g.gmd()
    g.ebeam()
    g.ipm("ipm2", name="ipm")
    g.encoder(scale=1.0, offset=0.5)
    g.wave8("fim0")


def opened(files: list[Path]) -> tuple[Run, Graph]:
    """The run and its graph, afresh."""
    (run,) = FilesSource.from_files(files[:1]).runs()
    return run, build(graph, run.info)


def seconds(files: list[Path], work: Callable[[Graph], Callable[..., None]]) -> float:
    """Processor time to take all batches; that of the clock is not ours alone."""
    run, g = opened(files)
    take = work(g)
    started = process_time()
    for batch in run.batches(list(g.plan.signals), BatchLimits()):
        take(batch)
    return process_time() - started


def main() -> None:
    """Print the two rates and what the graph adds."""
    with tempfile.TemporaryDirectory() as folder:
        files = simulate(folder, Simulation(events=EVENTS, detectors=DETECTORS))
        paths = list(files.xtc2)
        _, g = opened(paths)
        outputs = g.plan.outputs()
        scalars = sum(spec.shape == () for spec in outputs.values())
        reading, through = [], []
        for _ in range(ROUNDS):
            reading.append(seconds(paths, lambda g: lambda batch: None))
            through.append(seconds(paths, lambda g: g.plan.push))
    best, with_graph = min(reading), min(through)
    added = with_graph / best - 1
    nodes = len(g.plan.nodes)
    print(f"{EVENTS} events, {scalars} scalars in {nodes} nodes, best of {ROUNDS}")
    print(f"  read as columns      {1e6 * best / EVENTS:8.2f} us per event")
    print(f"  through the graph    {1e6 * with_graph / EVENTS:8.2f} us per event")
    print(
        f"  the graph adds       {100 * added:8.1f} %  (asked for: < {100 * LIMIT:.0f} %)"
    )


if __name__ == "__main__":
    main()
