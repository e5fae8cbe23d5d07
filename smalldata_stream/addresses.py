"""Addresses at which a graph publishes: what cannot be one, and what to say of one.

No ZMQ here.
"""

from __future__ import annotations

import socket


def check_port(address: str) -> None:
    """Raise ValueError for a port that cannot be: ZMQ takes 70000 for 4464."""
    port = address.rpartition(":")[2]
    if address.startswith("tcp://") and port.isdecimal() and not 0 < int(port) < 65536:
        raise ValueError(f"{port} is no port: they are 1 to 65535")


def silence(address: str, seconds: float) -> str:
    """What is said where no graph has shown itself."""
    host = address.removeprefix("tcp://").rpartition(":")[0]
    if address.startswith("tcp://") and not is_known(host):
        return f"nothing publishes at {address}: this machine knows no host {host}"
    return (
        f"nothing publishes at {address}: no sign of a graph within {seconds:g} s; start "
        "`smalldata-stream live`, or look which address it says that it publishes at"
    )


def is_known(host: str) -> bool:
    """Whether this machine knows the address of a host.

    >>> is_known("127.0.0.1"), is_known("no-such-host.invalid")
    (True, False)
    """
    try:
        socket.getaddrinfo(host.strip("[]"), None)
    except OSError:
        return False
    return True


def reachable(address: str, near: str) -> str:
    """An address bound to every interface, as it is seen from where ``near`` is.

    >>> reachable("tcp://0.0.0.0:5556", "tcp://drp-01:5555")
    'tcp://drp-01:5556'
    >>> reachable("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5555")
    'tcp://127.0.0.1:5556'
    """
    host, _, port = address.rpartition(":")
    anywhere = host in ("tcp://0.0.0.0", "tcp://[::]", "tcp://*")
    return f"{near.rpartition(':')[0]}:{port}" if anywhere else address
