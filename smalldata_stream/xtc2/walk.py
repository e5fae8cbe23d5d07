"""Which detectors sent what in each of thousands of datagrams: one pass over children.

All datagrams take the step to their next child together, so the cost is a few array
operations per child, whatever is missing, damaged or out of order in single events.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Mask
from smalldata_stream.xtc2.format import (
    DGRAM_BYTES,
    HEADER,
    MAX_SIZE,
    NAMES_ID_MASK,
    TYPE_MASK,
    XTC,
    XTC_BYTES,
    Bytes,
    Offsets,
    TypeId,
    gather,
)

MAX_CHILDREN = 4096
SHAPES_DATA, PARENT = int(TypeId.SHAPES_DATA), int(TypeId.PARENT)


class Problem(NamedTuple):
    """Something wrong in some datagrams: what, in how many, and where the first one is."""

    what: str
    datagrams: int
    offset: int


@dataclass(slots=True)
class Sent:
    """The ShapesData of one names id: in which rows, where, how long, how damaged."""

    rows: Offsets
    starts: Offsets
    extents: Offsets
    damage: NDArray[np.uint16]

    def only(self, keep: Mask) -> Sent:
        """Those at which ``keep`` is true."""
        return Sent(
            self.rows[keep], self.starts[keep], self.extents[keep], self.damage[keep]
        )


@dataclass(slots=True)
class Contributions:
    """What n datagrams hold, by names id; ``bad`` (n,) marks those that are no sense."""

    sent: Mapping[int, Sent]
    bad: Mask
    problems: list[Problem]


@dataclass(slots=True)
class _Walk:
    """The datagrams still under way: their row, the next child, the end."""

    rows: Offsets
    at: Offsets
    end: Offsets
    bad: Mask
    known: Collection[int]
    pieces: dict[int, list[Sent]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def keep(self, going: Mask) -> None:
        self.rows, self.at, self.end = self.rows[going], self.at[going], self.end[going]

    def reject(self, wrong: Mask, what: str) -> None:
        """Mark the datagrams that are ``wrong``."""
        if wrong.any():
            self.bad[self.rows[wrong]] = True
            where = int(self.at[np.argmax(wrong)])
            self.problems.append(Problem(what, int(np.count_nonzero(wrong)), where))

    def add(self, names_id: int, piece: Sent) -> None:
        self.pieces.setdefault(names_id, []).append(piece)


def walk(
    buffer: Bytes, starts: Offsets, sizes: Offsets, known: Collection[int]
) -> Contributions:
    """The ShapesData in the datagrams at ``starts``, which lie within ``buffer``.

    ``known`` has the names ids of the configuration; another one is a problem.
    """
    rows = np.arange(len(starts))
    bad = np.zeros(len(starts), bool)
    state = _Walk(rows, starts + DGRAM_BYTES, starts + sizes, bad, known)
    for _ in range(MAX_CHILDREN):
        left = state.end - state.at
        least = int(left.min(initial=MAX_SIZE))
        if least < XTC_BYTES:
            state.reject((left > 0) & (left < XTC_BYTES), "too few bytes for a header")
            state.keep(left >= XTC_BYTES)
            left = left[left >= XTC_BYTES]
            least = int(left.min(initial=MAX_SIZE))
        if not len(left):
            break
        _step(buffer, state, left, least)
    state.reject(np.ones(len(state.rows), bool), f"more than {MAX_CHILDREN} parts")
    sent = {names_id: _joined(pieces, state) for names_id, pieces in state.pieces.items()}
    return Contributions(sent, state.bad, state.problems)


def _step(buffer: Bytes, state: _Walk, left: Offsets, least: int) -> None:
    """Read the next child of every datagram and go past it."""
    raw = gather(buffer, state.at, XTC_BYTES)
    words = raw.view("<u4")
    if (words == words[0]).all():
        src, damage, contains, extent = HEADER.unpack(raw[0].tobytes())
        kind, names_id = contains & TYPE_MASK, src & NAMES_ID_MASK
        if kind == SHAPES_DATA and names_id in state.known and XTC_BYTES <= extent <= least:
            n = len(state.rows)
            extents, damages = np.full(n, extent), np.full(n, damage, np.uint16)
            state.add(names_id, Sent(state.rows, state.at, extents, damages))
            state.at = state.at + extent
            return
    _mixed_step(state, raw.view(XTC)[:, 0], left)


def _mixed_step(state: _Walk, header: NDArray[Any], left: Offsets) -> None:
    """The same where the datagrams differ, or something is odd."""
    extent = header["extent"].astype(np.int64)
    kind = header["contains"] & TYPE_MASK
    names_id = header["src"] & NAMES_ID_MASK
    is_data, is_parent = kind == SHAPES_DATA, kind == PARENT
    wrong = (extent < XTC_BYTES) | (extent > left)
    state.reject(wrong, "the extent of a part is wrong")
    odd = ~wrong & (kind > TypeId.NAMES)
    state.reject(odd, "a part of unknown type")
    strange = ~wrong & is_data & ~np.isin(names_id, list(state.known))
    state.reject(strange, "data of a names id that is not configured")
    hurt = ~wrong & is_parent & (header["damage"] > 0)
    state.reject(hurt, "a part marked damaged")
    good = ~(wrong | odd | strange | hurt)
    for one in np.unique(names_id[good & is_data]).tolist():
        mine = good & is_data & (names_id == one)
        rows, at = state.rows[mine], state.at[mine]
        state.add(one, Sent(rows, at, extent[mine], header["damage"][mine]))
    state.at = state.at + np.where(is_parent, XTC_BYTES, extent)
    if not good.all():
        state.keep(good)


def _joined(pieces: list[Sent], state: _Walk) -> Sent:
    """All that one names id sent, in the order of rows; twice in a row is a problem."""
    if len(pieces) == 1:
        return pieces[0]
    rows = np.concatenate([piece.rows for piece in pieces])
    order = np.argsort(rows, kind="stable")
    sent = Sent(
        rows[order],
        np.concatenate([piece.starts for piece in pieces])[order],
        np.concatenate([piece.extents for piece in pieces])[order],
        np.concatenate([piece.damage for piece in pieces])[order],
    )
    again = np.append(False, sent.rows[1:] == sent.rows[:-1])
    if not again.any():
        return sent
    state.bad[sent.rows[again]] = True
    where = int(sent.starts[np.argmax(again)])
    state.problems.append(Problem("one segment twice", int(again.sum()), where))
    return sent.only(~again)
