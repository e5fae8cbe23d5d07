"""cspad: sensors of two ASICs of 185 rows and 194 columns, one gain."""

from __future__ import annotations

import numpy as np

from smalldata_stream.batch import Mask
from smalldata_stream.detectors.common_mode import CommonMode
from smalldata_stream.detectors.family import CAMERA_NUMBERS, Family, Old

ROWS, COLUMNS = 185, 194


def unbonded(shape: tuple[int, ...]) -> Mask:
    """The pixels of each ASIC that are not bonded to the sensor: each tenth of a diagonal.

    >>> unbonded((1, 185, 388)).nonzero()[2][[0, 1, 2, 3]].tolist()
    [0, 194, 10, 204]
    """
    row, column = np.arange(shape[-2])[:, None], np.arange(shape[-1]) % COLUMNS
    mask: Mask = np.broadcast_to((row == column) & (row % 10 == 0), shape)
    return mask


def counted(shape: tuple[int, ...]) -> Mask:
    """The unbonded pixels that the common mode is found from: not those in the corners.

    >>> counted((1, 185, 388)).sum()
    np.int64(36)
    """
    mask: Mask = unbonded(shape) & (np.arange(shape[-2]) > 0)[:, None]
    return mask


CSPAD = Family(
    bank=(ROWS, COLUMNS),
    asic=(ROWS, COLUMNS),
    blind=("unbonded", counted),
    unbonded=unbonded,
    old={
        **CAMERA_NUMBERS,
        1: Old(common_mode=CommonMode(method="zero_peak", most_adu=25.0)),
        5: Old(common_mode=CommonMode(method="unbonded")),
        55: Old(common_mode=CommonMode(method="unbonded", most_adu=5000.0)),
    },
    refused={10: "is a mixture of 1 and 5; write 1 ('zero_peak') or 5 ('unbonded')"},
)
"""A bank is an ASIC."""
