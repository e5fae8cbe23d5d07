"""epixm320: two gains, told by bit 15; four ASICs of 192 rows and 384 columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.detectors.family import Config, Family, GainBits, Old


def states(config: Config, shape: tuple[int, ...], modes: int) -> NDArray[np.int8]:
    """The first mode of the constants while bit 15 is 0, the second while it is 1."""
    found = np.zeros((2, *shape), np.int8)
    found[1] = 1
    return found


EPIXM320 = Family(
    modes=(2, 3),
    bits=GainBits(data=0x7FFF, gain=0x8000),
    states=states,
    asic=(192, 384),
    old={0: Old(kind="pedestal"), 30: Old(kind="pedestal"), -1: Old(kind="raw")},
)
"""Its constants have the modes AHL, SH and SL; the bit chooses between the first two."""
