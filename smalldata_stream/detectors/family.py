"""What there is to know of a type of area detector, said once, in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Mask
from smalldata_stream.detectors.common_mode import CommonMode
from smalldata_stream.detectors.ghost import Ghost

Kind = Literal["gain", "pedestal", "adu", "raw"]

Config: TypeAlias = Mapping[tuple[str, str], Any]
"""What Configure says of a detector, by (algorithm, field)."""

States: TypeAlias = Callable[[Config, tuple[int, ...], int], NDArray[np.int8]]
"""``(config, shape of the frame, gain modes of the constants)`` to the mode of each pixel
for each state of its gain bits, ``(states, *shape)``; -1 where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GainBits:
    """Where a pixel of 16 bits has its ADU, and where the gain that it chose.

    ``(raw & data) >> shift`` are the ADU. ``raw & gain`` is 0 in the first state,
    ``second`` in the second, ``none`` if it means no gain; anything else is the last.
    """

    data: int = 0xFFFF
    shift: int = 0
    gain: int = 0
    second: int = 0xFFFF
    none: int = 0xFFFF

    def as_array(self) -> NDArray[np.uint16]:
        """The bits as the kernels take them."""
        return np.array(
            [self.data, self.shift, self.gain, self.second, self.none], np.uint16
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """What a number of smalldata_tools' ``common_mode`` stands for.

    ``kind`` None is the calibration as far as the constants go.
    """

    kind: Kind | None = None
    common_mode: CommonMode | None = None
    ghost: Ghost | None = None


CAMERA_NUMBERS: Mapping[int, Old] = {0: Old(), -1: Old(kind="raw"), 30: Old()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A type of area detector.

    Attributes
    ----------
    modes
        How many gain modes its constants may have; ``()`` where they have no such axis.
    bits
        Where the pixels have their gain; None for pixels of one gain.
    states
        Which mode each state of the gain bits is; None where they are the modes in order.
    counting
        The modes whose pixels are in the common mode.
    status_modes
        So many modes' ``pixel_status`` make a pixel bad; further modes were not measured.
    bank
        (rows, columns) of a bank, for the common mode; None for the whole segment.
    asic
        (rows, columns) of an ASIC, for masks of their edges; None for the whole segment.
    blind
        Of a frame's shape, the pixels that see no photons, for the common mode; and what
        they are called there.
    unbonded
        Of a frame's shape, the pixels that are not bonded to the sensor.
    arranged
        ``(shape as in the data) -> (shape of the frame, function of one raw frame)``,
        where the data are not arranged as the pixels are.
    old
        The numbers that smalldata_tools has for its common modes.
    refused
        Those of them that are not there, and what to write instead.
    """

    modes: tuple[int, ...] = ()
    bits: GainBits | None = None
    states: States | None = None
    counting: tuple[int, ...] = (0,)
    status_modes: int = 64
    bank: tuple[int, int] | None = None
    asic: tuple[int, int] | None = None
    blind: tuple[str, Callable[[tuple[int, ...]], Mask]] | None = None
    unbonded: Callable[[tuple[int, ...]], Mask] | None = None
    arranged: (
        Callable[[tuple[int, ...]], tuple[tuple[int, ...], Callable[[Array], Array]]] | None
    ) = None
    old: Mapping[int, Old] = field(default_factory=lambda: CAMERA_NUMBERS)
    refused: Mapping[int, str] = field(default_factory=dict)

    def bank_of(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(rows, columns) of a bank in frames of ``shape``; ValueError if it cannot be."""
        rows, columns = (1, *shape)[-2:]
        if self.bank is None:
            return rows, columns
        height, width = self.bank
        if rows % height or columns % width:
            raise ValueError(
                f"segments of {rows} x {columns} pixels do not hold banks of {height} x "
                f"{width}: there is no common mode for them"
            )
        return height, width
