"""Intensity monitors, each against its formula, by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smalldata_stream.detectors.bmmon import Bmmon
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.ipm import Ipm
from smalldata_stream.detectors.wave8 import Wave8
from smalldata_stream.testing.detectors import Data, DetectorContract, run_of

Expected = Mapping[str, Sequence[Any]]
GAP = None


def scalars(kind: str, **fields: Sequence[float | None]) -> Data:
    return Data(type=kind, fields={("raw", name): v for name, v in fields.items()})


def peaks(*events: int | None) -> list[Any]:
    return [None if e is None else np.arange(16.0) + e for e in events]


class TestBmmonOfLcls1(DetectorContract):
    def make(self) -> DefaultDetector:
        return Bmmon("XPP-SB2-BMMON", name="ipm2")

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("xtc1dump", "TotalIntensity"): [2.0, GAP],
            ("xtc1dump", "X_Position"): [1e-3, GAP],
            ("xtc1dump", "Y_Position"): [2e-3, GAP],
            ("xtc1dump", "peakA"): peaks(3, GAP),
            ("xtc1dump", "peakT"): [np.arange(100, 116, dtype="u2"), GAP],
        }
        return {"XPP-SB2-BMMON": Data(type="generic_container", fields=fields)}

    def expected(self) -> Expected:
        return {
            "totalIntensityJoules": [2.0, GAP],
            "xPositionMeters": [1e-3, GAP],
            "yPositionMeters": [2e-3, GAP],
            "peakAmplitude": peaks(3, GAP),
            "peakTime": [range(100, 116), GAP],
        }


class TestIpmOfTheDaq(DetectorContract):
    """What the DAQ computed is taken, not computed again."""

    def make(self) -> DefaultDetector:
        return Ipm("XppSb2_Ipm", name="ipm2")

    def data(self) -> Mapping[str, Data]:
        channels = [np.array([1, 2, 3, 4], "f4"), np.array([0, 0, 0, 0], "f4"), GAP]
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("xtc1dump", "channel"): channels,
            ("xtc1dump", "sum"): [np.float32(10), np.float32(0), GAP],
            ("xtc1dump", "xpos"): [np.float32(0.7), np.float32(0), GAP],
            ("xtc1dump", "ypos"): [np.float32(-0.7), np.float32(0), GAP],
        }
        return {"XppSb2_Ipm": Data(type="generic_container", fields=fields)}

    def expected(self) -> Expected:
        return {
            "channels": [[1, 2, 3, 4], [0, 0, 0, 0], GAP],
            "sum": [10, 0, GAP],
            "xpos": [np.float32(0.7), 0, GAP],
            "ypos": [np.float32(-0.7), 0, GAP],
        }


class TestIpmFromVolts(DetectorContract):
    def make(self) -> DefaultDetector:
        return Ipm(
            ("nowhere", "box"),
            name="ipm2",
            base=(1, 1, 1, 1),
            scale=(1, 2, 1, 2),
            x_scale=3.0,
            y_scale=5.0,
        )

    def data(self) -> Mapping[str, Data]:
        volts: dict[int, Sequence[Any]] = {
            0: [2.0, 1.0, GAP],
            1: [3.0, 1.0, GAP],
            2: [4.0, 1.0, GAP],
            3: [2, 1, GAP],
        }
        return {
            "box": Data(
                type="ipimb",
                fields={("raw", f"channel{i}Volts"): v for i, v in volts.items()},
            )
        }

    def expected(self) -> Expected:
        # channels: 1, 4, 3, 2
        return {
            "channels": [[1, 4, 3, 2], [0, 0, 0, 0], GAP],
            "sum": [10, 0, GAP],
            "xpos": [3 * (4 - 2) / 6, GAP, GAP],
            "ypos": [5 * (1 - 3) / 4, GAP, GAP],
        }


class TestIpmOfABeamMonitor(DetectorContract):
    def make(self) -> DefaultDetector:
        return Ipm("bm", name="ipm3")

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "totalIntensityJoules"): [2e-3, GAP],
            ("raw", "xPositionMeters"): [1e-5, GAP],
            ("raw", "yPositionMeters"): [2e-5, GAP],
            ("raw", "peakAmplitude"): peaks(1, GAP),
        }
        return {"bm": Data(type="bmmon", fields=fields)}

    def expected(self) -> Expected:
        return {
            "sum": [2e-3, GAP],
            "xpos": [1e-5, GAP],
            "ypos": [2e-5, GAP],
            "peaks": peaks(1, GAP),
        }


Fields = Mapping[tuple[str, str], Sequence[Any]]
FEX: Fields = {
    ("fex", "integral_0"): [np.int32(5), GAP],
    ("fex", "base_0"): [np.uint16(7), GAP],
}
RAW: Fields = {("raw", "raw_0"): [np.arange(4, dtype="u2"), GAP]}


class TestWave8(DetectorContract):
    def make(self) -> DefaultDetector:
        return Wave8("fim0")

    def data(self) -> Mapping[str, Data]:
        return {"fim0": Data(type="wave8", fields={**FEX, **RAW})}

    def expected(self) -> Expected:
        return {"integral_0": [5, GAP], "base_0": [7, GAP]}


class TestWave8OfLcls1(DetectorContract):
    """Traces alone, of any length; they are written where they are asked for."""

    def make(self) -> DefaultDetector:
        return Wave8("w8", raw=True)

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("xtc1dump", "ch00"): [np.arange(2, dtype="u2"), np.arange(3, dtype="u2"), GAP],
            ("xtc1dump", "ch01"): [np.arange(4, dtype="u2"), np.zeros(4, "u2"), GAP],
        }
        return {"w8": Data(type="generic_container", fields=fields)}

    def expected(self) -> Expected:
        return {
            "var_ch00": [[0, 1], [0, 1, 2], GAP],
            "ch01": [[0, 1, 2, 3], [0, 0, 0, 0], GAP],
        }

    def test_without_a_word_there_are_none(self) -> None:
        assert Wave8("w8").read(run_of(self.data())).parts == ()


class TestWave8WithTraces(TestWave8):
    def make(self) -> DefaultDetector:
        return Wave8("fim0", raw=True)

    def expected(self) -> Expected:
        return {**super().expected(), "raw_0": [[0, 1, 2, 3], GAP]}
