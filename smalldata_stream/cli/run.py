"""smalldata-stream run: reduce runs into smallData HDF5 files, one for each."""

from __future__ import annotations

import argparse
from pathlib import Path

from smalldata_stream.cli.numbers import share
from smalldata_stream.cli.source import source_arguments
from smalldata_stream.modes.limits import MAX_FAILURES


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("graph", help="name of a graph in graphs/, or path of a graph file")
    source_arguments(parser, several=True)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="the file to write, or a directory (default: <exp>_RunNNNN.h5)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="finish what an earlier job of this output has begun, if there was one",
    )
    parser.add_argument(
        "--constants",
        metavar="FILE",
        help="constants file, or 'psana' for its database (default: beside the data, "
        "then psana's database)",
    )
    parser.add_argument(
        "--compression",
        choices=["bitshuffle-lz4", "gzip", "none"],
        default="bitshuffle-lz4",
        help="of frames (default: %(default)s)",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="draw the plots of the graph into an HTML file beside the output",
    )
    parser.add_argument(
        "--metrics-textfile",
        type=Path,
        metavar="FILE.prom",
        help="write metrics for the textfile collector of Prometheus' node exporter",
    )
    parser.add_argument(
        "--max-failures",
        type=share,
        default=MAX_FAILURES,
        metavar="SHARE",
        help="give up when a node fails on more than this share of the events "
        "(default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Reduce every run that was asked for, with all ranks of the job."""
    from smalldata_stream.cli.reduce import reduce_all

    return reduce_all(options)
