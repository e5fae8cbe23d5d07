"""archon: a CCD of 16 banks, each with pixels that are read out beyond the sensor."""

from __future__ import annotations

import numpy as np

from smalldata_stream.batch import Mask
from smalldata_stream.detectors.common_mode import CommonMode
from smalldata_stream.detectors.family import CAMERA_NUMBERS, Family, Old

BANK_COLUMNS, OVERSCAN_COLUMNS = 300, 36
"""The last 36 of the 300 columns of a bank are its overscan."""

LIMIT_ADU = 1e9
"""psana subtracts what the overscan says, however much."""


def overscan(shape: tuple[int, ...]) -> Mask:
    """The pixels that are read out beyond the sensor.

    >>> overscan((1, 600)).nonzero()[1][[0, 35, 36, 71]].tolist()
    [264, 299, 564, 599]
    """
    column = np.arange(shape[-1]) % BANK_COLUMNS
    beyond: Mask = np.broadcast_to(column >= BANK_COLUMNS - OVERSCAN_COLUMNS, shape)
    return beyond


ARCHON = Family(
    bank=(1, BANK_COLUMNS),
    blind=("overscan", overscan),
    old={
        **CAMERA_NUMBERS,
        30: Old(
            common_mode=CommonMode(method="overscan", most_adu=LIMIT_ADU, least_pixels=0)
        ),
    },
)
"""A bank is 300 columns of one row."""
