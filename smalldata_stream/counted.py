"""Numbers of things, as people write them."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """A number and what there are so many of, which is one or takes an s.

    >>> counted(1, "event"), counted(0, "event"), counted(12_000, "event")
    ('1 event', '0 events', '12,000 events')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
