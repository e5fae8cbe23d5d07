"""Ghosts: what the pixels of a detector still have of the pulse before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Mask, Values
from smalldata_stream.constants import Constants
from smalldata_stream.errors import ConstantsError
from smalldata_stream.kernels.ghost import subtract_ghost
from smalldata_stream.protocols import LONGEST_LEAD_IN_MS, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory

Floats = NDArray[np.float32]
Calibrate: TypeAlias = Callable[[Array, Floats], None]
"""``(raw, out)``, from one raw frame to a calibrated one, ``(pixels,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ghost:
    """Subtract ``ghost_p0 + ghost_p1 *`` the calibrated frame of the pulse before.

    ``ghost_p0`` (keV) and ``ghost_p1`` are constants of the detector, one value per pixel;
    pixels where one of them is not finite are bad. Common mode and gain come before: both
    frames are calibrated, and neither has its ghost subtracted yet.

    Parameters
    ----------
    most_ms
        A frame that was read longer before is not that of the pulse before. The frames of
        events without one are gaps, counted in the ledger as unknown. The default is one
        and a half periods of 120 Hz.

    Raises
    ------
    ValueError
        If ``most_ms`` is not above 0 and up to 1000.

    >>> Ghost()
    Ghost(most_ms=12.5)
    """

    most_ms: float = 12.5

    def __post_init__(self) -> None:
        if not 0 < self.most_ms <= LONGEST_LEAD_IN_MS:  # nor NaN
            raise ValueError(
                f"most_ms={self.most_ms}: write ms, above 0 and up to "
                f"{LONGEST_LEAD_IN_MS:g}; 12.5 is one and a half periods of 120 Hz"
            )


@dataclass(frozen=True, slots=True, eq=False)
class GhostTables:
    """``p0`` and ``p1`` of each pixel, ``(pixels,)``, 0 where it is not ``good``."""

    p0: Floats
    p1: Floats
    good: Mask

    @classmethod
    def of(cls, constants: Constants, shape: tuple[int, ...]) -> GhostTables:
        """Those of a detector with frames of ``shape``.

        Raises
        ------
        ConstantsError
            If it has none, they do not fit, or no pixel has both.
        """
        name, have = constants.detector, constants.arrays()
        try:
            given = [np.asarray(have[what], float) for what in ("ghost_p0", "ghost_p1")]
        except KeyError as error:
            raise ConstantsError(
                f"{name}: its ghost needs ghost_p0 and ghost_p1; there is "
                f"{', '.join(have)}. Add them with 'smalldata-stream constants fetch "
                f"--constants FILE --ghost {name}=FITS.h5', or write no ghost "
                "(common_mode=80 or 81 instead of 180 or 181)"
            ) from error
        for what, array in zip(("ghost_p0", "ghost_p1"), given, strict=True):
            if [n for n in array.shape if n != 1] != [n for n in shape if n != 1]:
                raise ConstantsError(
                    f"{name}: {what} is {array.shape}, these frames are {shape}; the ghost "
                    "is of another detector or another configuration"
                )
        good = np.isfinite(given[0]) & np.isfinite(given[1])
        if not good.any():
            raise ConstantsError(
                f"{name}: no pixel has a finite ghost_p0 and a finite ghost_p1"
            )
        p0, p1 = (np.where(good, one, 0).reshape(-1).astype(np.float32) for one in given)
        return cls(p0, p1, good.reshape(shape))

    def restricted(self, good: Mask) -> GhostTables:
        """The tables where fewer pixels are good."""
        flat = good.reshape(-1)
        return GhostTables(np.where(flat, self.p0, 0), np.where(flat, self.p1, 0), good)

    def scaled(self, gain: Array) -> GhostTables:
        """The tables for calibrated values times ``gain``, a number or one per pixel."""
        by = np.asarray(gain, np.float32)
        return replace(self, p0=self.p0 * (by if by.ndim == 0 else by.reshape(-1)))


def without_ghost(
    calibrate: Calibrate,
    ghost: GhostTables,
    made: Spec,
    memory: Memory,
    values: Values,
    before: Values,
) -> Mapping[str, Values]:
    """Raw frames, and for each the raw frame before it, to frames without ghost."""
    frames, others = list(values), list(before)
    room = memory.empty((len(frames) + 1, ghost.p0.size), made.dtype)
    above, out = room[0], room[1:]
    # The frame before is as a rule the one that is above here: it is calibrated once.
    follows = [i > 0 and same(others[i], frames[i - 1]) for i in range(len(frames))]
    begins = [i for i, one in enumerate(follows) if not one]
    for first, end in pairwise([*begins, len(frames)]):
        calibrate(others[first], above)
        for i in range(first, end):
            calibrate(frames[i], out[i])
        subtract_ghost(out[first:end], above, ghost.p0, ghost.p1)
    return {"": pixels.packed(out, made)}


def same(one: Array, other: Array) -> bool:
    """Whether two frames of one column are one: they begin at the same place in memory."""
    place = "__array_interface__"
    found: bool = getattr(one, place)["data"] == getattr(other, place)["data"]
    return found
