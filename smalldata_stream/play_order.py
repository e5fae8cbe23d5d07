"""The order and the new times of what is played.

psana's server keeps the begin transitions that are in force on a stack, and aborts when
one is missing; what is missing in the data is put in without contents.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from smalldata_stream.play_build import BuiltRun, Item, bare
from smalldata_stream.timestamps import timestamp_at
from smalldata_stream.xtc2.format import Service

_TIMESTAMP = struct.Struct("<Q")
_BEGINS = (Service.BEGIN_RUN, Service.BEGIN_STEP, Service.ENABLE, Service.SLOW_UPDATE)
_ENDS = (Service.END_RUN, Service.END_STEP, Service.DISABLE)


def in_order(run: BuiltRun) -> list[Item]:
    """Everything but Configure by time, with all transitions that the server needs."""
    items = sorted([*run.events(), *run.transitions()], key=_moment)
    return list(_complete(items))


def _moment(item: Item) -> tuple[int, int, int]:
    """What begins comes before events of its time, what ends after them."""
    if item.service in _ENDS:
        return item.timestamp, 2, -item.service
    return item.timestamp, int(item.service not in _BEGINS), item.service


def _complete(items: list[Item]) -> Iterator[Item]:
    """Put in begins and ends that are missing; leave out ends of what had not begun."""
    level: int = Service.CONFIGURE

    def close(begin: int, timestamp: int) -> Iterator[Item]:
        """End whatever has begun above ``begin``."""
        nonlocal level
        while level > begin:
            yield bare(timestamp, Service(level + 1))
            level -= 2

    timestamp = 0
    for item in items:
        timestamp, service, _ = item
        if service in _ENDS:
            if level >= service - 1:
                yield from close(service - 1, timestamp)
                yield item
                level = service - 3
            continue
        need: int = Service.BEGIN_RUN
        if service in _BEGINS:
            need = service - 2
            yield from close(need, timestamp)
        while level < need:
            level += 2
            yield bare(timestamp, Service(level))
        if service in _BEGINS and service is not Service.SLOW_UPDATE:
            level = service
        yield item
    yield from close(Service.CONFIGURE, timestamp)


class Stamped(NamedTuple):
    """A datagram to be sent at ``time``, ns since 1990, which is its timestamp, too."""

    time: int
    service: Service
    raw: bytes


def stamped(passes: Iterator[Item], begin: int, period: int) -> Iterator[Stamped]:
    """Datagrams with new timestamps: events every ``period`` ns from ``begin`` on.

    A SlowUpdate lies between two events; any other transition has a period of its own.
    """
    slot, between = begin, count(1)
    for _, service, make in passes:
        time = slot + period // 2 + next(between)
        if service is not Service.SLOW_UPDATE:
            slot += period
            time, between = slot, count(1)
        raw = bytearray(make())
        _TIMESTAMP.pack_into(raw, 0, timestamp_at(time))
        yield Stamped(time, service, bytes(raw))
