"""smalldata-stream simulate: a simulated run as real xtc2 files."""

from __future__ import annotations

import argparse
from pathlib import Path

from smalldata_stream.errors import SmalldataError
from smalldata_stream.simulate import DETECTORS, ON_REQUEST, Simulation, simulate


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    default = Simulation()
    parser.add_argument("directory", type=Path, help="where to write the run")
    parser.add_argument("--events", type=int, default=default.events)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument(
        "--rate", type=float, default=default.rate_hz, help="events per second"
    )
    parser.add_argument("--exp", default=default.exp)
    parser.add_argument("--run", type=int, default=default.run)
    parser.add_argument(
        "--steps", type=int, default=default.steps, help="steps of the scan"
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
    print(f"{simulation.events} events of {simulation.exp} run {simulation.run}")
    for path in files.xtc2:
        print(f"  {path}  {path.stat().st_size / 1e6:,.1f} MB")
    print(f"constants: {files.constants}\ntruth:     {files.truth}")
    print(
        f"read it:   smalldata-stream describe --exp {simulation.exp} "
        f"--run {simulation.run} --dir {options.directory}"
    )
    return 0
