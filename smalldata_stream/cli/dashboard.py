"""smalldata-stream dashboard: the plots that a graph publishes, as a web page."""

from __future__ import annotations

import argparse

from smalldata_stream.cli.numbers import above_zero, port
from smalldata_stream.dashboard.feed import Feed
from smalldata_stream.errors import OutputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("address", help="where the graph publishes: tcp://HOST:PORT")
    parser.add_argument(
        "--port",
        type=port,
        default=5006,
        help="of the page; 0 is any (default: %(default)s)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="where browsers may come from: this machine alone (default: %(default)s), or "
        "0.0.0.0 for all that reach it",
    )
    parser.add_argument(
        "--timeout",
        type=above_zero,
        default=10.0,
        metavar="SECONDS",
        help="give up when no graph shows itself for so long (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve the page until interrupted."""
    try:
        from smalldata_stream.dashboard.server import serve
    except ImportError as error:
        raise OutputError(
            f"the dashboard needs Bokeh; install smalldata_stream[plots] ({error})"
        ) from error
    feed = Feed(options.address)
    feed.start()
    try:
        feed.wait(options.timeout)
        serve(feed, options.host, options.port, begun)
    finally:
        feed.close()
    return 0


def begun(url: str) -> None:
    """Say where the page is."""
    print(f"dashboard: {url}", flush=True)
