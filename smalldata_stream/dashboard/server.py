"""The web server of the dashboard: every file that a page asks for comes from here."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

from bokeh.document import Document
from bokeh.server.server import Server
from bokeh.settings import settings

from smalldata_stream.dashboard.feed import Feed
from smalldata_stream.dashboard.view import View
from smalldata_stream.errors import OutputError

LIFETIME = {"unused_session_lifetime_milliseconds": 10_000}
CHECKED = {"check_unused_sessions_milliseconds": 2_000}
"""A browser that is gone is forgotten within these."""


def serve(feed: Feed, host: str, port: int, begun: Callable[[str], None]) -> None:
    """Serve a page of what ``feed`` reads until interrupted; ``begun`` is told its address.

    Raises
    ------
    OutputError
        If the port is taken or the host is none of this machine.
    """
    # Whatever the environment says: no page may need the network.
    settings.resources = "server"
    # It warns of every message that a browser which has just left does not get.
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)

    def browser(document: Document) -> None:
        View(document, feed)

    port = free_port(host, port)
    server = Server(
        browser, address=host, port=port, **LIFETIME, **CHECKED,
        allow_websocket_origin=[f"{name}:{port}" for name in names(host)],
    )  # fmt: skip
    server.start()
    begun(f"http://{names(host)[0]}:{port}/")
    try:
        server.io_loop.start()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()


def free_port(host: str, port: int) -> int:
    """``port``, or any that nobody has for 0; `OutputError` if it cannot be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OutputError(
                f"cannot serve at {host}:{port}: {error.strerror}; choose another --port"
            ) from error
        return int(probe.getsockname()[1])


def names(host: str) -> list[str]:
    """What browsers may call the server, the best first.

    >>> names("127.0.0.1")
    ['127.0.0.1', 'localhost']
    """
    if host in ("127.0.0.1", "localhost"):
        return ["127.0.0.1", "localhost"]
    anywhere = host in ("", "0.0.0.0")
    mine = [socket.getfqdn(), socket.gethostname()] if anywhere else [host]
    try:
        addresses = socket.gethostbyname_ex(socket.gethostname())[2] if anywhere else []
    except OSError:  # a machine without a name for itself
        addresses = []
    return list(dict.fromkeys([*mine, *addresses, "127.0.0.1", "localhost"]))
