"""Events per second of one process, live: our session against psana's own loop.

    python -m benchmarks.bench_live_rate [--seconds 5]

A real shmemServer is offered more than its reader takes, and all fields of an event are
read. The server gives the newest that it has, and what is not fetched in time costs it as
much; so each reader has the rate that suits it best. "bare" is psana's client alone, which
hands each buffer back as soon as its timestamp is read: more than that the server hands out
to nobody. An event that the server hands out twice counts once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.live_session import (
    ROOT,
    SCALAR_GRAPH,
    ended,
    ours,
    psana,
    scalars,
    write_scalars,
)

OFFERED = {80: (5_000, 15_000, 25_000), 320: (1_000, 5_000, 12_000)}
"""By fields of an event: events per second that the server is fed with."""

LEAST_RATIO = 5
BARE = """
import struct, sys, time
from smalldata_stream.sources.psana_child_shmem import load_client
tag, most = sys.argv[1:]
client_class = load_client()
while True:
    client = client_class()
    try:
        if client.connect(tag, 0) == 0:
            break
    except (AssertionError, MemoryError):
        time.sleep(0.2)
begin, seen = 0.0, set()
where = dict(index=-1, size=0, cli_cptr=None, eventSkipped=False, transitionsOnly=False)
while not begin or time.perf_counter() - begin < float(most):
    timestamp, env = struct.unpack_from("<QI", client.get(where))
    client.freeByIndex(where["index"], where["size"])
    if env >> 24 & 15 != 12:
        continue
    if not begin:
        begin, used = time.perf_counter(), time.process_time()
    seen.add(timestamp)
took = time.perf_counter() - begin
print(len(seen), took, time.process_time() - used, file=sys.stderr)
"""


@dataclass(frozen=True)
class Got:
    """Events per second that a reader got, and seconds of CPU that each cost it."""

    rate: float
    cpu: float


def main() -> None:
    """All readers at all rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        graph = Path(name) / "scalars.py"
        graph.write_text(SCALAR_GRAPH)
        for fields, offered in OFFERED.items():
            path = write_scalars(Path(name) / f"{fields}.xtc2", 1000, fields)
            sustained(path, graph, fields, offered, seconds)


def sustained(
    path: Path, graph: Path, fields: int, offered: tuple[int, ...], seconds: float
) -> None:
    """Events per second and CPU per event of each reader at each rate."""
    tag, best = f"bench{os.getpid()}", dict[str, Got]()
    print(f"{fields} fields, all read")
    for rate in offered:
        words = ["-m", "benchmarks.live_feed", tag, f"{rate}", str(path)]
        feed = [sys.executable, *words]
        found = {
            "bare": bare(feed, tag, seconds),
            "ours": our_session(feed, tag, seconds, graph),
            "psana": psana_loop(feed, tag, seconds, fields),
        }
        for name, got in found.items():
            print(
                f"  {rate:7,} offered   {name:5} {got.rate:8,.0f} events/s"
                f"   {got.cpu * 1e6:6.0f} µs of CPU per event",
                flush=True,
            )
            best[name] = max(best.get(name, got), got, key=lambda one: one.rate)
    mine, peer, most = best["ours"], best["psana"], best["bare"]
    print(
        f"  the best of each: {mine.rate / peer.rate:.1f} x psana's loop "
        f"(target >= {LEAST_RATIO}), {peer.cpu / mine.cpu:.1f} x by CPU; "
        f"{mine.rate / most.rate:.0%} of what bare gets",
        flush=True,
    )


def bare(feed: Sequence[str], tag: str, seconds: float) -> Got:
    """psana's client, and nothing done with the events."""
    with ended(feed, by_itself=False):
        done = subprocess.run(
            [sys.executable, "-c", BARE, tag, f"{seconds}"],
            capture_output=True, text=True, timeout=120, check=True, cwd=ROOT,
        )  # fmt: skip
    count, took, used = map(float, done.stderr.split()[-3:])
    return Got(count / took, used / count)


def our_session(feed: Sequence[str], tag: str, seconds: float, graph: Path) -> Got:
    """A live session that writes no file."""
    with ended(feed, by_itself=False):
        count, took, used = ours(tag, graph, None, None, seconds).steady()
    return Got(count / took, used / count)


def psana_loop(feed: Sequence[str], tag: str, seconds: float, fields: int) -> Got:
    """psana's own loop, which reads the fields and does nothing with them."""
    names = list(scalars(fields).fields)
    with ended(feed, by_itself=False):
        took, used, seen = psana(tag, seconds, "scalars", "xtc1dump", names)
    count = len(np.unique(seen[:, 0]))
    return Got(count / took, used / count)


if __name__ == "__main__":
    main()
