"""Numbers and addresses on a command line: what cannot be is a wrong command line.

Each raises ``argparse.ArgumentTypeError``, which the command line shows.
"""

from __future__ import annotations

import argparse
import math
import re


def run_number(text: str) -> int:
    """The number of one run.

    >>> run_number("12")
    12
    >>> run_number("12-40")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: '12-40': write the number of one run, such as 12
    """
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise argparse.ArgumentTypeError(
            f"{text!r}: write the number of one run, such as 12"
        )
    return int(text)


def at_least_one(text: str) -> int:
    """A number of things of which there has to be one."""
    if not re.fullmatch(r"0*[1-9]\d*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number, 1 or more")
    return int(text)


def above_zero(text: str) -> float:
    """A rate, or a time.

    >>> above_zero("0")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: '0': write a number above 0
    """
    number = _number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number above 0")
    return number


def share(text: str) -> float:
    """A part of a whole.

    >>> share("20")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: '20': write a share from 0 to 1, such as 0.2 for 20 %
    """
    number = _number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write a share from 0 to 1, such as 0.2 for 20 %"
        )
    return number


def percentile(text: str) -> float:
    """A part of a whole, in percent."""
    number = _number(text)
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number from 0 to 100")
    return number


def port(text: str) -> int:
    """A port of this machine; 0 is any that is free."""
    if not re.fullmatch(r"\d+", text, re.ASCII) or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write a port, 1 to 65535, or 0 for any that is free"
        )
    return int(text)


def place(text: str) -> tuple[str, int]:
    """A port of this machine for this machine alone, or one that others reach.

    >>> place("9300"), place("0.0.0.0:9300")
    (('127.0.0.1', 9300), ('0.0.0.0', 9300))
    """
    host, colon, number = text.rpartition(":")
    if colon and not host:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write PORT, or HOST:PORT; 0.0.0.0 for all that reach this machine"
        )
    return host or "127.0.0.1", port(number)


def place_of_two(text: str) -> tuple[str, int]:
    """As `place`, of a port that clients know, which has another one after it."""
    host, number = place(text)
    if not 1 <= number <= 65534:
        raise argparse.ArgumentTypeError(f"{text!r}: write a port, 1 to 65534")
    return host, number


def address(text: str) -> str:
    """Where to publish. ZMQ takes a port of 99999 for another one, and says nothing.

    >>> address("localhost:5556")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: 'localhost:5556': write tcp://HOST:PORT, such as \
tcp://127.0.0.1:5556; 0.0.0.0 for all that reach this machine, * for any free port
    """
    match = re.fullmatch(r"tcp://[^:/]+:(\d+|\*)|tcp://\[.+\]:(\d+|\*)|ipc://.+", text)
    number = match and (match[1] or match[2])
    if match is None or (number and number != "*" and int(number) > 65535):
        raise argparse.ArgumentTypeError(
            f"{text!r}: write tcp://HOST:PORT, such as tcp://127.0.0.1:5556; 0.0.0.0 for "
            "all that reach this machine, * for any free port"
        )
    return text


def tag(text: str) -> str:
    """The tag of a shared-memory server, which is a part of names of the system.

    >>> tag("a/b")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: 'a/b': write the tag of the server, what follows its -p
    """
    if not text.strip() or "/" in text:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write the tag of the server, what follows its -p"
        )
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
