"""smalldata-stream live: a graph over shared memory or growing files, with live plots."""

from __future__ import annotations

import argparse
from pathlib import Path

from smalldata_stream.cli.numbers import (
    above_zero,
    address,
    at_least_one,
    place,
    place_of_two,
    tag,
)
from smalldata_stream.cli.source import source_arguments

DEFAULT_ADDRESS = "tcp://127.0.0.1:5556"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("graph", help="name of a graph in graphs/, or path of a graph file")
    parser.add_argument(
        "--shmem", type=tag, metavar="TAG", help="tag of the shared-memory server"
    )
    parser.add_argument(
        "--workers",
        type=at_least_one,
        default=1,
        metavar="N",
        help="processes that share the events of --shmem (default: %(default)s); the "
        "server needs a client slot (-c) for each",
    )
    source_arguments(parser)
    parser.add_argument(
        "--publish",
        type=address,
        default=DEFAULT_ADDRESS,
        metavar="ADDRESS",
        help="where plots and values are published (default: %(default)s)",
    )
    parser.add_argument(
        "--psplot",
        type=place_of_two,
        metavar="[HOST:]PORT",
        help="publish for psplot, too, at this port and the one after it; to this machine "
        "unless HOST is 0.0.0.0",
    )
    parser.add_argument(
        "--metrics",
        type=place,
        metavar="[HOST:]PORT",
        help="serve Prometheus metrics, to this machine unless HOST is 0.0.0.0",
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="write HDF5, too: one file per run"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument("--constants", metavar="FILE", help="constants file, or 'psana'")
    parser.add_argument(
        "--rate",
        type=above_zero,
        default=5.0,
        metavar="HZ",
        help="plots per second (default: %(default)g)",
    )


def run(options: argparse.Namespace) -> int:
    """Follow the source until it ends, or until Ctrl-C or SIGTERM."""
    from smalldata_stream.cli.follow import follow

    return follow(options)
