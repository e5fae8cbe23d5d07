"""smalldata-stream watch: what a graph publishes, in a terminal."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

import numpy as np

from smalldata_stream.cli.numbers import above_zero
from smalldata_stream.cli.tables import table
from smalldata_stream.client import Client
from smalldata_stream.counted import counted
from smalldata_stream.errors import SourceError
from smalldata_stream.karabo import INDEX
from smalldata_stream.message import Message

FIELDS_SHOWN = 4


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("address", help="where the graph publishes: tcp://HOST:PORT")
    parser.add_argument(
        "topics", nargs="*", metavar="TOPIC", help="show only these; * and ? may be used"
    )
    parser.add_argument(
        "--interval",
        type=above_zero,
        default=1.0,
        metavar="SECONDS",
        help="between two looks (default: %(default)g)",
    )
    parser.add_argument("--once", action="store_true", help="show it once, then stop")
    parser.add_argument(
        "--timeout",
        type=above_zero,
        default=5.0,
        metavar="SECONDS",
        help="give up after so long without a sign of the graph (default: %(default)g)",
    )


def run(options: argparse.Namespace) -> int:
    """Show topics, rates and newest values until interrupted."""
    with Client(options.address) as client:
        tables = watch(client, options.topics, options.interval, options.timeout)
        if options.once:
            print(next(tables))
        elif sys.stdout.isatty():
            show_in_place(tables)
        else:
            for text in tables:
                print(text, end="\n\n", flush=True)
    return 0


def show_in_place(tables: Iterator[str]) -> None:
    """Draw each table over the one before."""
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, screen=True) as live:
        for text in tables:
            live.update(Text(text), refresh=True)


def watch(
    client: Client, patterns: Sequence[str], interval: float, timeout: float
) -> Iterator[str]:
    """One table after the other, ``interval`` seconds apart; SourceError after silence."""
    earlier: Mapping[str, Any] | None = None
    while True:
        try:
            index = client.latest(INDEX, timeout).metadata
        except TimeoutError as error:
            raise SourceError(str(error)) from error
        shown = [name for name in index["topics"] if matches(name, patterns)]
        client.subscribe(INDEX, *shown)
        read_for(client, interval)
        yield page(client, index, shown, earlier or index)
        # The rate is over at least one interval of the index, which comes once a second.
        if earlier is None or index["clock"] - earlier["clock"] > max(interval, 1.0):
            earlier = index


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether ``name`` is one of those asked for; all are where nothing was asked for."""
    return not patterns or any(fnmatch(name, pattern) for pattern in patterns)


def read_for(client: Client, seconds: float) -> None:
    """Take what comes; the newest of each topic stays in the client."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        client.newest(wait=min(left, 0.2))


def page(
    client: Client,
    index: Mapping[str, Any],
    shown: Sequence[str],
    earlier: Mapping[str, Any],
) -> str:
    """The table of the topics, and a line on the run above it."""
    newest = client.newest()
    seconds = index["clock"] - earlier["clock"]
    rows = []
    for name in shown:
        about = index["topics"][name]
        before = earlier["topics"].get(name, {}).get("offers", 0)
        rate = f"{(about['offers'] - before) / seconds:.1f}" if seconds > 0 else ""
        age = "" if about["age"] is None else f"{about['age']:.1f}"
        value = "FAILED, see the log of the graph" if about["failed"] else ""
        if name in newest and not value:
            value = values_of(newest[name])
        dropped = str(client.dropped[name] or "")
        rows.append([name, about.get("kind", ""), rate, age, dropped, value])
    header = ["topic", "kind", "per s", "age/s", "missed", "newest"]
    return f"{headline(client.address, index)}\n\n{table(header, rows)}"


def headline(address: str, index: Mapping[str, Any]) -> str:
    """Where it comes from, and what the publisher tells of the run.

    >>> headline("tcp://host:1", {"exp": "xpptut15", "run": 14, "topics": {"gmd": {}}})
    'tcp://host:1: xpptut15 run 14, 1 topic'
    """
    run = f"{index['exp']} run {index.get('run', '?')}, " if index.get("exp") else ""
    return f"{address}: {run}{counted(len(index['topics']), 'topic')}"


def values_of(message: Message) -> str:
    """The first few fields of a message: scalars as they are, arrays by range."""
    fields = [f"{name} {value_text(a)}" for name, a in message.arrays.items()]
    more = len(fields) - FIELDS_SHOWN
    return ", ".join(fields[:FIELDS_SHOWN]) + (f", {more} more" if more > 0 else "")


def value_text(array: np.ndarray[Any, Any]) -> str:
    """One value for people.

    >>> value_text(np.array(3, np.uint16)), value_text(np.array([[1.5, 4.0]]))
    ('3', '(1, 2) 1.5 to 4')
    """
    if array.ndim == 0:
        value = array.item()
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    shape = str(array.shape)
    if array.dtype.kind not in "biuf" or not array.size:
        return shape
    if array.dtype.kind == "f":
        array = array[np.isfinite(array)]
        if not array.size:
            return f"{shape} nothing finite"
    return f"{shape} {array.min():.6g} to {array.max():.6g}"
