"""jungfrau: three gains, chosen by each pixel in each event, told by its high bits."""

from __future__ import annotations

from smalldata_stream.detectors.common_mode import CommonMode, Method
from smalldata_stream.detectors.family import Family, GainBits, Old


def _old(method: Method) -> Old:
    return Old(kind="gain", common_mode=CommonMode(method=method, most_adu=10.0))


JUNGFRAU = Family(
    modes=(3,),
    bits=GainBits(data=0x3FFF, gain=0xC000, second=0x4000, none=0x8000),
    bank=(256, 64),
    asic=(256, 256),
    old={
        0: Old(kind="gain"),
        7: _old("rows+columns"),
        71: _old("rows"),
        72: _old("columns"),
        -1: Old(kind="raw"),
        30: Old(kind="gain"),
    },
)
"""A bank is 256 rows of 64 columns; the common mode is that of gain 0."""
