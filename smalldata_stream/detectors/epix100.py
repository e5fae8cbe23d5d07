"""epix100: one gain; 16 banks of 352 rows and 96 columns."""

from __future__ import annotations

from smalldata_stream.detectors.common_mode import CommonMode
from smalldata_stream.detectors.family import CAMERA_NUMBERS, Family, Old

EPIX100 = Family(
    bank=(352, 96),
    asic=(352, 384),
    old={
        **CAMERA_NUMBERS,
        6: Old(common_mode=CommonMode(method="quiet_zeroed", most_adu=30.0)),
        36: Old(common_mode=CommonMode(method="quiet", most_adu=30.0)),
        4: Old(common_mode=CommonMode(method="rows+columns", most_adu=30.0)),
        34: Old(common_mode=CommonMode(method="rows+columns", least_pixels=100)),
        45: Old(common_mode=CommonMode(method="quiet", most_adu=30.0)),
        46: Old(common_mode=CommonMode(method="quiet_zeroed", most_adu=30.0)),
        47: Old(common_mode=CommonMode(method="banks+quiet", most_adu=30.0)),
    },
)
"""A bank is 352 rows of 96 columns."""
