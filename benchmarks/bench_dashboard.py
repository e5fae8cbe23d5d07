"""What five browsers at a dashboard cost the graph and the server, and what each is told.

    python -m benchmarks.bench_dashboard [--seconds S] [--browsers N]

A live graph of seven plots, among them an image, gets 120 events per second. The browsers
are connections that do what the page does: they open a tab, and answer each update once it
is there whole. They draw nothing: five browsers that draw without a graphics card keep a
small machine busy, and what they take is not what the dashboard takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from benchmarks.bench_live_readers import Showing
from benchmarks.live_session import cpu_of
from smalldata_stream.modes import live
from tests.dashboard.shift import Shift, shift

HERTZ = 120.0
BEGIN_SECONDS = 3.0
"""Until kernels are compiled."""

FIRST_UPDATES = 12
"""Until all plots of a page are there: it gets its figures a few at a time."""


class Browser:
    """A connection that is sent a page, and counts and answers its updates."""

    def __init__(self, socket: WebSocketClientConnection):
        self._socket = socket
        self.updates = self.nbytes = 0
        self._models: dict[str, dict[str, Any]] = {}

    @classmethod
    async def open(cls, url: str, tab: str) -> Browser:
        """Ask for the page, and open a tab."""
        request = HTTPRequest(url.replace("http", "ws") + "ws")
        protocols = ["bokeh", generate_jwt_token(generate_session_id())]
        one = cls(await websocket_connect(request, subprotocols=protocols))
        await one._receive()  # the server says that it hears
        await one._send("PULL-DOC-REQ", {})
        page = await one._receive()
        one._models = {model["attributes"]["name"]: model for model in named(page)}
        await one._answer(one._models["header"]["attributes"].get("tags", []))
        place = one._models["tabs"]["attributes"]["labels"].index(tab)
        await one._change("tabs", "active", place)
        return one

    async def look(self) -> None:
        """Answer updates until cancelled."""
        while True:
            content = await self._receive()
            for event in content.get("events", ()):
                header = event.get("model", {}).get("id") == self._models["header"]["id"]
                if header and event.get("attr") == "tags":
                    self.updates += 1
                    await self._answer(event["new"])

    async def _receive(self) -> dict[str, Any]:
        """The content of the next message."""
        header = json.loads(await self._read())
        await self._read()
        content: dict[str, Any] = json.loads(await self._read())
        for _ in range(2 * header.get("num_buffers", 0)):
            await self._read()
        return content

    async def _read(self) -> bytes:
        frame = await self._socket.read_message()
        if frame is None:
            raise EOFError("the dashboard has closed the connection")
        self.nbytes += len(frame)
        return frame.encode() if isinstance(frame, str) else frame

    async def _send(self, kind: str, content: dict[str, Any]) -> None:
        header = {"msgid": f"{id(self)}", "msgtype": kind}
        for part in (header, {}, content):
            await self._socket.write_message(json.dumps(part))

    async def _change(self, name: str, attr: str, new: object) -> None:
        model = {"id": self._models[name]["id"]}
        event = {"kind": "ModelChanged", "model": model, "attr": attr, "new": new}
        await self._send("PATCH-DOC", {"events": [event]})

    async def _answer(self, tags: object) -> None:
        """What the page does with each update."""
        await self._change("banner", "tags", tags)


def named(page: object) -> Iterator[dict[str, Any]]:
    """All models of a page that have a name."""
    if isinstance(page, dict):
        if "name" in (page.get("attributes") or {}):
            yield page
        for part in page.values():
            yield from named(part)
    elif isinstance(page, list):
        for part in page:
            yield from named(part)


class Graph:
    """What the graph's thread spends from now on."""

    def __init__(self, shift: Shift):
        self.shift = shift
        self.begin, self.events = time.monotonic(), shift.source.given
        self.work, self.showing = cpu_of_thread(shift.thread), Showing.seconds

    def told(self) -> str:
        """In words."""
        work = cpu_of_thread(self.shift.thread) - self.work
        showing = Showing.seconds - self.showing
        events = self.shift.source.given - self.events
        hertz = events / (time.monotonic() - self.begin)
        return (
            f"graph: {hertz:3.0f} events/s, {1e3 * (work - showing) / events:.2f} ms each, "
            f"and {showing / (work - showing):5.1%} of that for publishing "
            f"({100 * showing / (time.monotonic() - self.begin):.2f} % of a core)"
        )


def cpu_of_thread(thread: int) -> float:
    """CPU seconds of a thread of this process."""
    return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0]) / 1e9


async def look(url: str, tab: str, browsers: int, seconds: float) -> None:
    """Look with so many browsers, say when all see plots, and then what they got."""
    opened = [await Browser.open(url, tab) for _ in range(browsers)]
    looking = [asyncio.create_task(one.look()) for one in opened]
    while min(one.updates for one in opened) < FIRST_UPDATES:
        await asyncio.sleep(0.1)
    begin, before = time.monotonic(), [(one.updates, one.nbytes) for one in opened]
    print("looking", flush=True)
    await asyncio.sleep(seconds)
    got = [
        (one.updates - updates, one.nbytes - nbytes)
        for one, (updates, nbytes) in zip(opened, before, strict=True)
    ]
    print(json.dumps({"seconds": time.monotonic() - begin, "got": got}), flush=True)
    for one in looking:
        one.cancel()
    await asyncio.gather(*looking, return_exceptions=True)


def looked_at(
    running: Shift, url: str, server: int, tab: str, options: argparse.Namespace
) -> None:
    """Measure with browsers at a tab, in a process of their own, and print."""
    words = ["--look", url, tab, "--browsers", f"{options.browsers}"]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bench_dashboard", *words,
         "--seconds", f"{options.seconds}"],
        stdout=subprocess.PIPE, text=True,
    ) as browsers:  # fmt: skip
        assert browsers.stdout is not None
        browsers.stdout.readline()
        graph, used = Graph(running), cpu_of(server)
        found = json.loads(browsers.stdout.readline())
        told, used = graph.told(), cpu_of(server) - used
    updates, sizes = zip(*found["got"], strict=True)
    every, took = max(sum(updates), 1), found["seconds"]
    print(f"{options.browsers} browsers at {tab!r}: {told}")
    print(
        f"  each is told {min(updates) / took:.1f} to {max(updates) / took:.1f} times a "
        f"second (goal 5); the server takes {used / took:.0%} of a core, "
        f"{1e3 * used / every:.1f} ms and {sum(sizes) / every / 1e3:,.0f} kB an update",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="a dashboard with several browsers")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--browsers", type=int, default=5)
    parser.add_argument("--look", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        url, tab = options.look
        asyncio.run(look(url, tab, options.browsers, options.seconds))
        return
    live.Display = Showing  # type: ignore[attr-defined]
    with (
        tempfile.TemporaryDirectory() as directory,
        shift(Path(directory), hertz=HERTZ) as running,
    ):
        time.sleep(BEGIN_SECONDS)
        graph = Graph(running)
        time.sleep(options.seconds)
        print(f"no dashboard: {graph.told()}", flush=True)
        command = [sys.executable, "-m", "smalldata_stream.cli", "dashboard"]
        with subprocess.Popen(
            [*command, running.address, "--port", "0"], stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            url = server.stdout.readline().partition(" ")[2].strip()
            for tab in ("beam", "jungfrau"):
                looked_at(running, url, server.pid, tab, options)
            server.terminate()


if __name__ == "__main__":
    main()
