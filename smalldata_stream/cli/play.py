"""smalldata-stream play: a run in psana's shared memory, as on the day it was taken."""

from __future__ import annotations

import argparse
from pathlib import Path

from smalldata_stream.cli.numbers import above_zero, at_least_one, run_number
from smalldata_stream.errors import SmalldataError
from smalldata_stream.modes.shield import Shield
from smalldata_stream.play import Play, Progress, play
from smalldata_stream.sources.files import FilesSource


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    default = Play(tag="play")
    parser.add_argument(
        "--files", nargs="+", type=Path, metavar="XTC2", help="the files of the run"
    )
    parser.add_argument("--exp", help="experiment, as in xpptut26")
    parser.add_argument("--run", type=run_number, metavar="N", help="run number")
    parser.add_argument("--dir", type=Path, help="directory of the xtc2 files")
    parser.add_argument("--tag", required=True, help="partition tag that clients ask for")
    parser.add_argument(
        "--rate",
        type=above_zero,
        default=default.rate_hz,
        metavar="HZ",
        help="events per second (default: %(default)g)",
    )
    parser.add_argument(
        "--loops",
        type=int,
        default=default.loops,
        metavar="N",
        help="how often; 0 means until Ctrl-C (default: %(default)s)",
    )
    parser.add_argument(
        "--run-per-loop",
        action="store_true",
        help="begin a new run with each loop (default: one long run)",
    )
    parser.add_argument(
        "--clients",
        type=at_least_one,
        default=default.clients,
        metavar="N",
        help="clients at the same time; events go to one of them each "
        "(default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Play until the end, Ctrl-C or SIGTERM."""
    source = _source(options)
    try:
        how = Play(
            tag=options.tag,
            rate_hz=options.rate,
            loops=options.loops,
            run_per_loop=options.run_per_loop,
            clients=options.clients,
        )
    except ValueError as error:
        raise SmalldataError(str(error)) from error
    print(
        f"playing at {how.rate_hz:g} Hz under the tag {how.tag!r}, once a client is there"
    )
    progress = Progress()
    with Shield().armed():
        try:
            play(source, how, progress=progress)
        finally:
            print(
                f"played {progress.events:,} events, {progress.transitions:,} transitions"
            )
    return 0


def _source(options: argparse.Namespace) -> FilesSource:
    by_run = (options.exp, options.run, options.dir)
    if options.files and by_run == (None, None, None):
        return FilesSource.from_files(options.files)
    if options.files or None in by_run:
        raise SmalldataError("say which run: --exp, --run and --dir, or --files")
    return FilesSource.from_run(options.exp, options.run, options.dir)
