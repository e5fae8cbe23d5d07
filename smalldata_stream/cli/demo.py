"""smalldata-stream demo: the main job on a simulated run, and a picture of it."""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from smalldata_stream.cli.numbers import above_zero, at_least_one
from smalldata_stream.errors import OutputError, SmalldataError

if TYPE_CHECKING:
    from smalldata_stream.simulate import SimulatedFiles, Simulation

EVENTS, STEPS, LEAST_EVENTS = 360, 12, 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument(
        "directory",
        type=Path,
        nargs="?",
        default=Path("demo"),
        help="where to put it all (default: demo)",
    )
    parser.add_argument(
        "--events",
        type=at_least_one,
        default=EVENTS,
        metavar="N",
        help="how many are simulated (default: %(default)s)",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="play the run through psana's shared memory instead, with plots that move, "
        "until Ctrl-C",
    )
    parser.add_argument(
        "--rate",
        type=above_zero,
        default=30.0,
        metavar="HZ",
        help="events per second, with --live (default: %(default)g)",
    )


def run(options: argparse.Namespace) -> int:
    """Simulate, reduce, say what was written, draw; or play it live."""
    missing = [name for name in ("bokeh", "matplotlib") if find_spec(name) is None]
    if missing:
        raise OutputError(
            f"the demo draws pictures, and {' and '.join(missing)} is not installed; "
            "install smalldata_stream with its extras demo and plots"
        )
    if options.events < LEAST_EVENTS:
        raise SmalldataError(
            f"the demo needs {LEAST_EVENTS} events or more, so that every detector is there"
        )
    from smalldata_stream.simulate import Simulation, remove_run, simulate

    directory: Path = options.directory
    simulation = Simulation(events=options.events, steps=min(STEPS, options.events))
    xtc = directory / "xtc"
    remove_run(xtc, simulation)  # and no more: an experiment's folder has an xtc, too
    print(f"Simulating {simulation.events} events of a pump-probe run ...", flush=True)
    started = time.monotonic()
    files = simulate(xtc, simulation)
    if options.live:
        from smalldata_stream.cli.demo_live import play_live

        play_live(simulation, files, options.rate)
    size = sum(path.stat().st_size for path in files.xtc2) / 1e6
    print(f"{size:.0f} MB of xtc2 in {xtc}, {time.monotonic() - started:.1f} s")
    reduce_and_draw(directory, simulation, files)
    return 0


def reduce_and_draw(directory: Path, simulation: Simulation, files: SimulatedFiles) -> None:
    """Run the tutorial graph over a simulated run; leave its file, plots and a picture."""
    from sinks.hdf5 import Hdf5Sink
    from smalldata_stream.cli.progress import progress
    from smalldata_stream.cli.reduce import tell
    from smalldata_stream.cli.tables import outputs_table
    from smalldata_stream.loading import load_graph
    from smalldata_stream.modes.batch import Options, reduce_run
    from smalldata_stream.modes.calibration import find_constants
    from smalldata_stream.modes.picture import draw_tutorial
    from smalldata_stream.modes.report import report_of
    from smalldata_stream.sources.files import FilesSource

    print("Running graphs/tutorial.py over it ...", flush=True)
    output = directory / f"{simulation.exp}_Run{simulation.run:04d}.h5"
    graph = load_graph("tutorial")
    source = FilesSource.from_run(simulation.exp, simulation.run, files.directory)
    for a_run in source.runs():
        sink = Hdf5Sink(output, overwrite=True)
        constants = find_constants(str(files.constants), a_run.info, files.directory)
        with progress() as show:
            chosen = Options(progress=show, command="smalldata-stream demo")
            report = reduce_run(a_run, graph, sink, constants, chosen)
        print(outputs_table(report.declaration.outputs, report.declaration.totals))
        print()
        tell(report, output)
        report_of(report, output.with_suffix(".html"))
    picture = output.with_suffix(".png")
    draw_tutorial(output, picture)
    print(f"\nA picture of it: {picture}")
    print(f"Its plots:       {output.with_suffix('.html')}")
    print(f"Open the file:   python -c \"import h5py; h5py.File('{output}').visit(print)\"")
