"""The web server of the dashboard: every file that a page asks for comes from here."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Sequence

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
    websockets = logging.getLogger("bokeh.server.views.ws")
    websockets.setLevel(logging.ERROR)
    port = free_port(host, port)
    origins = [f"{name}:{port}".lower() for name in names(host)]
    places = [f"http://{origin}/" for origin in origins]

    def browser(document: Document) -> None:
        document.template_variables["places"] = places
        View(document, feed)

    server = Server(
        browser, address=host, port=port, **LIFETIME, **CHECKED,
        allow_websocket_origin=origins,
    )  # fmt: skip
    plainly = PlainRefusal(places)
    websockets.addFilter(plainly)
    server.start()
    begun(places[0])
    try:
        server.io_loop.start()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()
        websockets.removeFilter(plainly)


class PlainRefusal(logging.Filter):
    """Says what to write where Bokeh refuses a browser, instead of Bokeh's own options."""

    def __init__(self, places: Sequence[str]) -> None:
        super().__init__()
        self._places = places

    def filter(self, record: logging.LogRecord) -> bool:
        """Change what is said of a page that was opened by another name; keep all."""
        if record.msg.startswith("Refusing websocket connection"):
            origin = record.args[0] if isinstance(record.args, tuple) else "?"
            record.msg = "a browser that came to %s was refused; open the page as %s"
            record.args = (origin, " or ".join(self._places))
        return True


def free_port(host: str, port: int) -> int:
    """``port``, or any that nobody has for 0; `OutputError` if it cannot be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            of_port = error.errno in (errno.EADDRINUSE, errno.EACCES)
            hint = "choose another --port" if of_port else "--host must be this machine's"
            raise OutputError(
                f"cannot serve at {host}:{port}: {error.strerror}; {hint}"
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
