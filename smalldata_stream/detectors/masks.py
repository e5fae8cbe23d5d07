"""Pixels that are bad by where they are: at edges, beside bad ones, not bonded."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from smalldata_stream.batch import Mask
from smalldata_stream.detectors.family import Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """Which pixels are bad by where they are; all numbers are of pixels.

    Parameters
    ----------
    edges
        So many rows and columns at each edge of each segment.
    centre
        So many rows and columns on both sides of where the ASICs of a segment meet.
    neighbours
        Pixels up to so far from a bad one (of constants, data or user); ``pattern`` says
        what is near: ``diamond`` counts rows plus columns, ``circle`` the distance,
        ``square`` the larger of both. Edges and centres do not spread.
    unbonded
        Unbonded pixels (cspad), with ``unbonded_neighbours`` the four beside each, too.

    >>> Masking(edges=-1)
    Traceback (most recent call last):
    ...
    ValueError: edges=-1: write a number of pixels, 0 or more
    """

    edges: int = 0
    centre: int = 0
    neighbours: int = 0
    pattern: Literal["diamond", "circle", "square"] = "diamond"
    unbonded: bool = False
    unbonded_neighbours: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (isinstance(value, bool) or value < 0):
                raise ValueError(
                    f"{field.name}={value!r}: write a number of pixels, 0 or more"
                )
        if self.pattern not in ("diamond", "circle", "square"):
            raise ValueError(
                f"pattern={self.pattern!r}: write 'diamond', 'circle' or 'square'"
            )

    def applied(self, good: Mask, family: Family) -> Mask:
        """``good`` without what is bad by its place in detectors of this family.

        Raises
        ------
        ValueError
            If there are unbonded pixels to be masked in a detector that has none.
        """
        found = good
        if self.neighbours:
            found = away_from_bad(found, self.neighbours, self.pattern)
        if self.edges or self.centre:
            asic = family.asic or (1, *good.shape)[-2:]
            found = found & not_at_edges(good.shape, asic, self.edges, self.centre)
        if self.unbonded or self.unbonded_neighbours:
            if family.unbonded is None:
                raise ValueError("unbonded pixels are those of a cspad; leave it out here")
            bonded = ~family.unbonded(good.shape)
            if self.unbonded_neighbours:
                bonded = away_from_bad(bonded, 1, "diamond")
            found = found & bonded
        return found


NO_MASKING = Masking()
"""Nothing is bad for where it is."""


def away_from_bad(good: Mask, radius: int, pattern: str) -> Mask:
    """The good pixels of each segment with no bad one nearby.

    >>> good = np.ones((3, 3), bool)
    >>> good[0, 0] = False
    >>> away_from_bad(good, 1, "diamond").astype(int).tolist()
    [[0, 0, 1], [0, 1, 1], [1, 1, 1]]
    """
    segments = good.reshape(-1, *(1, *good.shape)[-2:])
    found = segments.copy()
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            near = {
                "diamond": abs(down) + abs(right) <= radius,
                "circle": down**2 + right**2 <= radius**2,
                "square": True,
            }[pattern]
            if near:
                to = (slice(None), _shifted(down), _shifted(right))
                by = (slice(None), _shifted(-down), _shifted(-right))
                found[to] &= segments[by]
    return found.reshape(good.shape)


def _shifted(by: int) -> slice:
    return slice(max(by, 0), min(by, 0) or None)


def not_at_edges(
    shape: tuple[int, ...], asic: tuple[int, int], edges: int, centre: int
) -> Mask:
    """Pixels that are not at an edge of their segment, nor where ASICs meet.

    >>> not_at_edges((1, 6), (1, 3), 0, 1).astype(int).tolist()
    [[1, 1, 0, 0, 1, 1]]
    """
    good = np.ones(shape, bool)
    for axis, size in ((-1, asic[1]), (-2, asic[0])):
        if len(shape) < -axis or shape[axis] == 1:
            continue  # a line has no upper and lower edge
        at = np.arange(shape[axis])
        inside = np.minimum(at, shape[axis] - 1 - at) >= edges
        for seam in range(size, shape[axis], size):
            inside &= (at < seam - centre) | (at >= seam + centre)
        good &= inside if axis == -1 else inside[:, None]
    return good
