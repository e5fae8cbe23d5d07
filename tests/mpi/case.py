"""A run, a graph with all that is hard, and what one process makes of it."""

from __future__ import annotations

from pathlib import Path

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.loading import load_graph
from smalldata_stream.metrics import Metrics
from smalldata_stream.modes.batch import Options, reduce_run
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.modes.session import Report
from smalldata_stream.simulate import simulate
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from tests.mpi.compare import differences
from tests.mpi.jobs import GRAPH, SIMULATION


class Case:
    """A simulated run, a graph, and the file that one process makes without blocks."""

    def __init__(self, folder: Path):
        self.files = simulate(folder / "xtc", SIMULATION)
        self.graph = folder / "my_graph.py"
        self.graph.write_text(GRAPH)
        self.folder, self.serial = folder, folder / "native.h5"
        self.report = self.reduce(FilesSource)

    def reduce(self, source: type[FilesSource] | type[PsanaSource]) -> Report:
        """What one process makes of the run, batch by batch, without blocks."""
        native = source is FilesSource
        path = self.folder / ("native.h5" if native else "psana.h5")
        (run,) = source.from_run(SIMULATION.exp, 1, self.files.directory).runs()
        constants = find_constants(None, run.info, self.files.directory)
        metrics = Metrics("batch")
        metrics.textfile(path.with_suffix(".prom"))
        options = Options(max_failures=0.9, metrics=metrics)
        graph = load_graph(str(self.graph))
        return reduce_run(run, graph, Hdf5Sink(path), constants, options)

    def arguments(
        self, output: Path, *more: object, data: Path | None = None
    ) -> tuple[object, ...]:
        """For the command; ``data`` is where the run is, if elsewhere."""
        data = data or self.files.directory
        where = ("--exp", SIMULATION.exp, "--run", 1, "--dir", data)
        return (self.graph, *where, "-o", output, "--max-failures", 0.9, *more)


def check(case: Case, output: Path) -> None:
    """The file is that of one process, and nothing else is left."""
    assert differences(case.serial, output) == []
    assert [path.name for path in output.parent.iterdir()] == [output.name]
