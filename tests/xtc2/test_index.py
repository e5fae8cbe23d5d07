"""The walk over headers against a loop that takes one at a time."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_stream.xtc2.format import XTC, gather, gather_headers
from smalldata_stream.xtc2.index import ROW, walk_headers
from tests.xtc2 import writer as w


def one_by_one(data: bytes) -> list[tuple[int, int, int, int]]:
    rows, at = [], 0
    while at + 24 <= len(data):
        timestamp, env, _, _, kind, extent = struct.unpack_from("<QIIHHI", data, at)
        service = env >> 24 & 15
        if kind & 0xFFF or service > 12 or extent < 12 or at + 12 + extent > len(data):
            break
        rows.append((timestamp, at, 12 + extent, service))
        at += 12 + extent
    return rows


def walked(data: bytes) -> list[tuple[int, int, int, int]]:
    rows = walk_headers(np.frombuffer(data, np.uint8)).rows
    fields = ("timestamp", "offset", "size", "service")
    return list(zip(*(rows[name].tolist() for name in fields), strict=True))


sizes = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 90), st.sampled_from([10, 12, 12, 12])),
    max_size=12,
)


@given(
    runs=sizes,
    cut=st.integers(0, 200),
    byte=st.integers(0, 10**6),
    value=st.integers(0, 255),
)
def test_any_datagrams(
    runs: list[tuple[int, int, int]], cut: int, byte: int, value: int
) -> None:
    """Runs of equal sizes of any length, cut anywhere, with one byte changed."""
    datagrams = [
        w.dgram(100 * i + k, service, [bytes(20 * size)])
        for i, (size, count, service) in enumerate(runs)
        for k in range(count)
    ]
    data = bytearray(b"".join(datagrams))
    assert walked(bytes(data)) == one_by_one(bytes(data))
    assert len(walked(bytes(data))) == len(datagrams)
    del data[len(data) - cut :]
    if data:
        data[byte % len(data)] = value
    assert walked(bytes(data)) == one_by_one(bytes(data))


def test_long_runs_of_equal_size() -> None:
    one = np.frombuffer(w.dgram(0, w.L1_ACCEPT, [b"\1" * 40]), np.uint8)
    many = np.tile(one, (200_000, 1))
    stamps = np.arange(1, 200_001, dtype="<u8")
    many[:, :8] = stamps.view(np.uint8).reshape(-1, 8)
    found = walk_headers(many.reshape(-1))
    assert (found.rows["timestamp"] == stamps).all()
    assert (found.rows["offset"] == 64 * np.arange(200_000)).all()
    assert (found.end, found.problem) == (200_000 * 64, "")


@pytest.mark.parametrize(
    ("tail", "words", "short"),
    [
        (b"\0" * 23, "23 bytes are left", True),
        (w.dgram(9, w.L1_ACCEPT, [b"abcd"])[:-1], "28 bytes where 27 are left", True),
        (b"\xff" * 24, "no datagram header", False),
        (w.dgram(9, 13), "no datagram header", False),
        (w.dgram(9, 12)[:20] + b"\x0b\0\0\0", "extent 11", False),
    ],
)
def test_why_the_walk_ends(tail: bytes, words: str, short: bool) -> None:
    data = w.dgram(1, w.ENABLE) + tail
    found = walk_headers(np.frombuffer(data, np.uint8))
    assert len(found.rows) == 1
    assert found.end == 24
    assert words in found.problem
    assert found.short == short


def test_size_of_a_row() -> None:
    assert ROW.itemsize == 25


@given(st.binary(min_size=1, max_size=60), st.data())
def test_gather(data: bytes, chosen: st.DataObject) -> None:
    nbytes = chosen.draw(st.integers(0, len(data)))
    starts = chosen.draw(st.lists(st.integers(0, len(data) - nbytes), max_size=9))
    found = gather(np.frombuffer(data, np.uint8), np.array(starts, np.int64), nbytes)
    assert [row.tobytes() for row in found] == [data[a : a + nbytes] for a in starts]


def test_gather_headers_unaligned() -> None:
    data = b"xyz" + w.xtc(1, b"", src=7, damage=3)
    (header,) = gather_headers(np.frombuffer(data, np.uint8), np.array([3]))
    assert header.dtype == XTC
    assert header.tolist() == (7, 3, 1, 12)
