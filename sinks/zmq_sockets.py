"""The two sockets of a publisher: results out, requests in. Nothing here waits."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence

import zmq

from smalldata_stream.errors import OutputError

LINGER_MILLISECONDS = 200
"""What is in flight when a publisher closes may take so long to leave."""

QUEUED = 64
"""Messages that wait for a slow subscriber; later ones it does not get.

It is never changed: ZMQ tells the sender in groups what a subscriber has read, and the size
of the groups changes with it. To one whose queue is full at that moment nothing would ever
be sent again.
"""


class Sockets:
    """A bound XPUB socket, and a ROUTER that answers the REQ sockets of clients.

    ``address`` and ``requests_address`` are those really bound (``*`` replaced).
    """

    def __init__(self, address: str, requests_address: str | None):
        """Bind; `OutputError` names the address that cannot be bound, and why."""
        self._context = zmq.Context()
        try:
            self._out = self._bind(zmq.SocketType.XPUB, address)
            # Every subscription is told, not only the first of its topic: the last value
            # is sent again to whoever comes late.
            self._out.setsockopt(zmq.XPUB_VERBOSE, 1)
            self._in: zmq.Socket[bytes] | None = None
            if requests_address is not None:
                # A ROUTER is never in the wrong state, whatever clients do or do not do.
                self._in = self._bind(zmq.SocketType.ROUTER, requests_address)
        except OutputError:
            self._context.destroy(linger=0)
            raise
        self.address = endpoint(self._out)
        self.requests_address = None if self._in is None else endpoint(self._in)

    def _bind(self, kind: zmq.SocketType, address: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, LINGER_MILLISECONDS)
        socket.setsockopt(zmq.SNDHWM, QUEUED)
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            busy = error.errno == zmq.EADDRINUSE
            why = "another program has the port" if busy else str(error)
            hint = "choose another port, or * for any that is free"
            if error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
                why = "this machine has no such address"
                hint = "write 127.0.0.1, or 0.0.0.0 for all that reach this machine"
            raise OutputError(f"cannot publish at {address}: {why}; {hint}") from error
        return socket

    def subscriptions(self) -> Iterator[tuple[bool, bytes]]:
        """What has been subscribed to (True) or left by all (False) since the last call."""
        for (message,) in drain(self._out, parts=1):
            if message[:1] in (b"\x00", b"\x01"):
                yield message[:1] == b"\x01", message[1:]

    def send(self, frames: Sequence[bytes]) -> None:
        """Send to all subscribers; those whose queue is full do not get it."""
        self._out.send_multipart(frames, flags=zmq.NOBLOCK, copy=False)

    def requests(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Who has asked since the last call, and the frames of the question."""
        if self._in is not None:
            for client, empty, *question in drain(self._in, parts=3):
                if not empty:
                    yield client, question

    def reply(self, client: bytes, frames: Sequence[bytes]) -> None:
        """Answer; a client that is gone is forgotten."""
        if self._in is not None:
            self._in.send_multipart([client, b"", *frames], flags=zmq.NOBLOCK, copy=False)

    def close(self) -> None:
        """Close both sockets, within `LINGER_MILLISECONDS`."""
        self._context.destroy()


def endpoint(socket: zmq.Socket[bytes]) -> str:
    """The address a socket is bound to."""
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


def drain(socket: zmq.Socket[bytes], parts: int) -> Iterator[list[bytes]]:
    """The messages that have arrived and have ``parts`` or more frames."""
    while True:
        try:
            message = socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        if len(message) >= parts:
            yield message
