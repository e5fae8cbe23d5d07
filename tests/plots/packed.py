"""States of several inputs as the contract of states deals with them: one array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from smalldata_stream.batch import Array, Frames, Values
from smalldata_stream.protocols import Result, State


@dataclass
class Packed:
    """A state whose inputs are the columns of one array ``(n, inputs)``, or parts of it.

    ``widths`` says how many columns each input has; 0 is one column, as a scalar. The
    column numbered ``stamps`` becomes uint64.
    """

    state: State
    widths: tuple[int, ...]
    stamps: int | None = None

    def add(self, *values: Values) -> None:
        (given,) = values
        table: Array = given.stack() if isinstance(given, Frames) else np.asarray(given)
        inputs, first = [], 0
        for number, width in enumerate(self.widths):
            if width:
                inputs.append(table[:, first : first + width])
            else:
                inputs.append(table[:, first])
            if number == self.stamps:
                inputs[-1] = inputs[-1].astype(np.uint64)
            first += width or 1
        self.state.add(*inputs)

    def merge(self, other: Self) -> None:
        self.state.merge(other.state)

    def value(self) -> Mapping[str, Result]:
        return self.state.value()


def packed(start: Callable[[], State], *widths: int, stamps: int | None = None) -> Packed:
    return Packed(start(), widths, stamps)
