"""The command ``smalldata-stream``: parses, prints, calls modes.

Exit codes: 0 all is well; 1 an error, told in one line; 2 a wrong command line; 3 finished,
but the data were damaged or the ledger does not close; 130 interrupted; 141 nobody reads
what it prints.
"""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from smalldata_stream import __version__
from smalldata_stream.cli.parser import Parser
from smalldata_stream.cli.watched import watched
from smalldata_stream.errors import SmalldataError
from smalldata_stream.modes.shield import insisting
from smalldata_stream.packages import check_packages
from smalldata_stream.rank import launched

COMMANDS = {
    "run": "reduce runs with a graph into smallData HDF5 files",
    "submit": "reduce runs in SLURM jobs, a range of them or every new one",
    "check": "build a graph for a run and show what it would write",
    "describe": "show what a run holds",
    "constants": "fetch calibration constants, show them, make them from dark runs",
    "simulate": "write a simulated run as real xtc2 files, with its truth",
    "play": "hand a run out in psana's shared memory, as on the day it was taken",
    "live": "run a graph over shared memory or growing files, with live plots",
    "center": "find the centre of the rings in a mean image of a result file",
    "watch": "show what a live graph publishes: topics, rates, newest values",
    "dashboard": "serve the plots of a live graph as a web page",
    "basis": "make a basis for svd_fit of the waveforms of a run",
    "import-config": "turn a prod_config file of smalldata_tools into a graph file",
    "demo": "simulate a run, reduce it with the tutorial graph, draw a picture",
}
INTERRUPTED = 130
PIPE_CLOSED = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    >>> main(["--version"])
    Traceback (most recent call last):
    ...
    SystemExit: 0
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["run"] and launched():  # before anything starts a thread
        return watched(lambda: command_line(argv))
    return command_line(argv)


def command_line(argv: Sequence[str]) -> int:
    """Run one command in this process."""
    try:
        with insisting():
            return obeyed(argv)
    except KeyboardInterrupt:  # also one that comes while modules are still imported
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def obeyed(argv: Sequence[str]) -> int:
    """Do what a command line says, and tell its errors in one line."""
    parser = Parser(
        prog="smalldata-stream",
        description="One graph from X-ray pulse to plot and to file.",
        epilog="smalldata-stream COMMAND --help tells more of each command.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=text)
        # Only the command that is asked for is imported: --help must answer at once.
        if name in argv[:1]:
            module_of(name).arguments(subparser)
    options = parser.parse_args(argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    command = module_of(options.command)
    try:
        check_packages()
        code: int = command.run(options)
        sys.stdout.flush()
    except SmalldataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who reads the output has enough, as in "describe | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        where = error.filename
        if where is None and error.errno == errno.ENOSPC:  # as in "describe > full/disk"
            where = "what is printed cannot be written"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if where is None:
            raise
        print(f"error: {where}: {error.strerror}", file=sys.stderr)
        return 1
    return code


def module_of(command: str) -> Any:
    """The module that holds a command."""
    return importlib.import_module(f"smalldata_stream.cli.{command.replace('-', '_')}")
