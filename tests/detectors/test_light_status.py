"""Light status and timing, from tables of event codes made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from smalldata_stream.batch import Array
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.light_status import LightStatus
from smalldata_stream.detectors.timing import Timing
from smalldata_stream.testing.detectors import Data, DetectorContract

# Codes of eight events, and where their electrons went; the last has no timing.
CODES: list[list[int] | None] = [
    [40, 137, 91],
    [40, 137],
    [40, 137, 162],
    [40, 137, 161],
    [40],
    [40, 137, 91, 92],
    [40, 137, 90, 272],
    None,
]
DESTINATION = [3, 3, 3, 3, 4, 3, 2, None]
T, F, GAP = True, False, None


def table(codes: list[int] | None) -> Array | None:
    if codes is None:
        return None
    return np.array([code in codes for code in range(288)], np.uint8)


def as_lcls2(with_destination: bool = True) -> Mapping[str, Data]:
    fields: dict[tuple[str, str], Sequence[Any]] = {
        ("raw", "eventcodes"): [table(codes) for codes in CODES]
    }
    if with_destination:
        fields["raw", "destination"] = [
            None if d is None else np.uint8(d) for d in DESTINATION
        ]
    return {"timing": Data(type="ts", fields=fields)}


def as_lcls1() -> Mapping[str, Data]:
    lists = [None if codes is None else np.array(codes, np.uint16) for codes in CODES]
    fields = {("xtc1dump", "eventCodes"): lists}
    return {"evr0": Data(type="generic_container", fields=fields)}


class Contract(DetectorContract):
    parameters: ClassVar[Mapping[str, Any]] = {}
    xray: Sequence[bool | None]
    laser: Sequence[bool | None]

    def make(self) -> DefaultDetector:
        return LightStatus(**self.parameters)

    def data(self) -> Mapping[str, Data]:
        return as_lcls2()

    def expected(self) -> Mapping[str, Sequence[Any]]:
        return {"xray": self.xray, "laser": self.laser}


class TestRequiredOnes(Contract):
    """XPP: beam to the hutch is 137, the laser is 91."""

    parameters: ClassVar[Mapping[str, Any]] = {
        "xray_required": [137],
        "laser_required": [91],
    }
    xray = (T, T, T, T, F, T, T, GAP)
    laser = (T, F, F, F, F, T, F, GAP)


class TestRequiredOnesOfLcls1(TestRequiredOnes):
    def data(self) -> Mapping[str, Data]:
        return as_lcls1()


class TestSeveralExcluded(Contract):
    """Each of the excluded codes counts, not the last of them alone."""

    parameters: ClassVar[Mapping[str, Any]] = {
        "xray_excluded": [162, 161],
        "laser_excluded": [91, 92, 272],
    }
    xray = (T, T, F, F, T, T, T, GAP)
    laser = (F, T, T, T, T, F, F, GAP)


class TestRequiredAndExcluded(Contract):
    """One of the required and none of the excluded."""

    parameters: ClassVar[Mapping[str, Any]] = {
        "xray_required": [137],
        "xray_excluded": [162],
        "laser_required": [90, 91],
        "laser_excluded": [272],
    }
    xray = (T, T, F, T, F, T, T, GAP)
    laser = (T, F, F, F, F, T, F, GAP)


class TestDestination(Contract):
    parameters: ClassVar[Mapping[str, Any]] = {
        "xray_destination": "SC_HXR",
        "laser_excluded": [272],
    }
    xray = (T, T, T, T, F, T, F, GAP)
    laser = (T, T, T, T, T, T, F, GAP)


class TestDestinationAndCodes(Contract):
    parameters: ClassVar[Mapping[str, Any]] = {
        "xray_destination": 3,
        "xray_excluded": [162],
    }
    xray = (T, T, F, T, F, T, F, GAP)
    laser = (T, T, T, T, T, T, T, GAP)


class TestTiming(DetectorContract):
    def make(self) -> DefaultDetector:
        return Timing()

    def data(self) -> Mapping[str, Data]:
        (timing,) = as_lcls2().values()
        more: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "pulseId"): [*map(np.uint64, range(2**60, 2**60 + 7)), None],
            ("raw", "inhibitCounts"): [np.arange(8, dtype=np.uint32)] * 7 + [None],
            ("raw", "dmod5"): [np.uint16(1)] * 7 + [None],  # not of psana's detector
        }
        return {"timing": Data(type="ts", fields={**timing.fields, **more})}

    def expected(self) -> Mapping[str, Sequence[Any]]:
        return {
            "eventcodes": [table(codes) for codes in CODES],
            "destination": DESTINATION,
            "pulseId": [*range(2**60, 2**60 + 7), None],
            "inhibitCounts": [list(range(8))] * 7 + [None],
        }


class TestTimingOfLcls1(DetectorContract):
    def make(self) -> DefaultDetector:
        return Timing()

    def data(self) -> Mapping[str, Data]:
        return as_lcls1()

    def expected(self) -> Mapping[str, Sequence[Any]]:
        return {"eventcodes": [table(codes) for codes in CODES]}


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"xray_required": [288]}, "0 to 287"),
        ({"xray_required": 137}, r"xray_required=\[137\]"),
        ({"laser_excluded": [-137]}, r"0 to 287; .* laser_required=\[137\]$"),
        ({"xray_destination": "HXR"}, "did you mean 'SC_HXR'"),
    ],
)
def test_what_cannot_be_a_code(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        LightStatus(**parameters)
