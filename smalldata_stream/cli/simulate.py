"""smalldata-stream simulate: a simulated run as real xtc2 files."""

from __future__ import annotations

import argparse
from pathlib import Path

from smalldata_stream.cli.numbers import run_number
from smalldata_stream.counted import counted
from smalldata_stream.errors import SmalldataError
from smalldata_stream.simulate import DETECTORS, ON_REQUEST, Simulation, simulate


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    default = Simulation()
    parser.add_argument("directory", type=Path, help="where to write the run")
    told = "(default: %(default)s)"
    parser.add_argument(
        "--events",
        type=int,
        default=default.events,
        metavar="N",
        help=f"how many in all {told}",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=default.seed,
        metavar="N",
        help=f"another one is another run {told}",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=default.rate_hz,
        metavar="HZ",
        help="events per second (default: %(default)g)",
    )
    parser.add_argument("--exp", default=default.exp, help=f"experiment {told}")
    parser.add_argument(
        "--run",
        type=run_number,
        default=default.run,
        metavar="N",
        help=f"run number {told}",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=default.steps,
        metavar="N",
        help=f"steps of the scan {told}",
    )
    parser.add_argument(
        "--detectors",
        nargs="+",
        metavar="NAME",
        help=f"some of: {', '.join(DETECTORS + ON_REQUEST)}",
    )


def run(options: argparse.Namespace) -> int:
    """Write the run and say where it is."""
    try:
        simulation = Simulation(
            events=options.events,
            seed=options.seed,
            rate_hz=options.rate,
            exp=options.exp,
            run=options.run,
            steps=options.steps,
            detectors=tuple(options.detectors or DETECTORS),
        )
    except ValueError as error:
        raise SmalldataError(str(error)) from error
    files = simulate(options.directory, simulation)
    print(f"{counted(simulation.events, 'event')} of {simulation.exp} run {simulation.run}")
    for path in files.xtc2:
        print(f"  {path}  {path.stat().st_size / 1e6:,.1f} MB")
    print(f"constants: {files.constants}\ntruth:     {files.truth}")
    print(
        f"read it:   smalldata-stream describe --exp {simulation.exp} "
        f"--run {simulation.run} --dir {options.directory}"
    )
    return 0
