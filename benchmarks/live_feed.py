"""Feeds a shmemServer with the events of a file, again and again, for as little as it can.

    python -m benchmarks.live_feed TAG RATE FILE

`smalldata_stream.play` builds each datagram anew, in time that the server and its reader
need on two cores. Here all events are in memory and only get new timestamps. Ends with
Ctrl-C, or with the server.
"""

from __future__ import annotations

import itertools
import sys
import time
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.errors import PsanaError
from smalldata_stream.play_server import MOST_BUFFERS, ShmemServer
from smalldata_stream.timestamps import EPOCH, SECOND, timestamp_at
from smalldata_stream.xtc2.format import Service
from smalldata_stream.xtc2.index import walk_headers

CATCH_UP = 2
"""How much faster than the rate the server may go on when it has fallen behind."""

SHORTEST_SLEEP = 200e-6


def main() -> None:
    """Feed a server of the tag at the rate."""
    tag, rate, raw = sys.argv[1], float(sys.argv[2]), np.fromfile(sys.argv[3], np.uint8)
    rows = walk_headers(raw).rows
    datagrams = [raw[row["offset"] :][: row["size"]] for row in rows]
    is_event = rows["service"] == Service.L1_ACCEPT
    events = np.stack([datagrams[i] for i in np.flatnonzero(is_event)])
    server = ShmemServer(
        tag,
        buffer_bytes=int(rows["size"].max()),
        clients=1,
        buffers=MOST_BUFFERS,
        most_hz=CATCH_UP * rate,
    )
    with suppress(KeyboardInterrupt, PsanaError), server:
        server.wait_for_client(lambda: False)
        for one in datagrams[: int(np.argmax(is_event))]:
            server.send(one.tobytes())
        feed(server, events, rate)


def feed(server: ShmemServer, events: NDArray[np.uint8], rate: float) -> None:
    """Send the events, ``(n, bytes)``, at a rate until something ends it."""
    begin, start = round((time.time() - EPOCH) * SECOND), time.monotonic()
    for loop in itertools.count():
        numbers = np.arange(len(events)) + loop * len(events)
        times = [timestamp_at(begin + round(k * SECOND / rate)) for k in numbers.tolist()]
        events[:, :8] = np.array(times, np.uint64)[:, None].view(np.uint8)
        for k, one in zip(numbers.tolist(), events, strict=True):
            early = start + k / rate - time.monotonic()
            if early > SHORTEST_SLEEP:
                time.sleep(early)
            server.send(one.data)


if __name__ == "__main__":
    main()
