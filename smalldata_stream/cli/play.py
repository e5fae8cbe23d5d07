"""smalldata-stream play: a run in psana's shared memory, as on the day it was taken."""

from __future__ import annotations

import argparse

from smalldata_stream.cli.numbers import above_zero, at_least_one
from smalldata_stream.cli.source import open_files, run_arguments
from smalldata_stream.counted import counted
from smalldata_stream.errors import SmalldataError
from smalldata_stream.modes.shield import Shield
from smalldata_stream.play import Play, Progress, play


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    default = Play(tag="play")
    run_arguments(parser)
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
    source = open_files(options)
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
                f"played {counted(progress.events, 'event')}, "
                f"{counted(progress.transitions, 'transition')}"
            )
    return 0
