"""Analog inputs and encoders, each against its formula, by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.detectors.acromag import Acromag
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.encoder import Encoder
from smalldata_stream.detectors.usdusb import Usdusb
from smalldata_stream.run import DetectorInfo, FieldInfo, RunInfo
from smalldata_stream.testing.detectors import Data, DetectorContract, run_of

Expected = Mapping[str, Sequence[Any]]
GAP = None


def scalars(kind: str, **fields: Sequence[float | None]) -> Data:
    return Data(type=kind, fields={("raw", name): v for name, v in fields.items()})


class TestAcromag(DetectorContract):
    def make(self) -> DefaultDetector:
        return Acromag(
            ("XPP-AIN-01",),
            names={1: "diode"},
            scale={1: -2.0},
            offset={0: 0.5, 1: 1.0},
            unit={1: "uW"},
        )

    def data(self) -> Mapping[str, Data]:
        volts = [np.array([1.0, 2.0, 3.1]), GAP]
        fields = {("xtc1dump", "channelVoltages"): volts}
        return {"XPP-AIN-01": Data(type="generic_container", fields=fields)}

    def expected(self) -> Expected:
        return {"ch00": [1.5, GAP], "diode": [-3.0, GAP], "ch02": [3.1, GAP]}


def test_channels_that_are_not_there_or_have_one_name() -> None:
    volts = {("raw", "value"): [np.zeros(3)]}
    run = run_of({"ai": Data(type="acromag", fields=volts)})
    for what in ("names", "scale", "offset", "unit"):
        for number in (3, -1):
            beyond: Any = {what: {number: 1}}
            with pytest.raises(
                ValueError, match=f"{what} is given of channel {number}; ai"
            ):
                Acromag(**beyond).read(run)
    with pytest.raises(ValueError, match="one name"):
        Acromag(names=["a", "a"]).read(run)


def box_names(*names: str) -> Any:
    return np.frombuffer(b"".join(n.encode().ljust(48, b"\0") for n in names), np.int8)


class TestUsdusb(DetectorContract):
    def make(self) -> DefaultDetector:
        """One name of the box is replaced; counts are more than a float32 tells apart."""
        names = {2: "delay"}
        return Usdusb(
            "XppUsbEncoder02", name="enc", names=names, scale={0: 2.0}, unit={0: "mm"}
        )

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "encoder_count"): [np.zeros(4, "i4"), GAP],
            ("raw", "encoder_values"): [np.array([1.0, 2.0, 3.0, 2**24 + 1]), GAP],
        }
        names = box_names("lasDelay", "", "lasDelay2", " stage x ")
        return {
            "XppUsbEncoder02": Data(
                type="usdusb", fields=fields, config={("raw", "_name"): names}
            )
        }

    def expected(self) -> Expected:
        return {
            "lasDelay": [2.0, GAP],
            "ch1": [2.0, GAP],
            "delay": [3.0, GAP],
            "stage x": [2**24 + 1, GAP],
        }


def test_a_box_whose_names_are_damaged_and_whose_shape_is_not_known() -> None:
    name = np.frombuffer(b"\xffx".ljust(192, b"\0"), np.int8)
    field = FieldInfo(dtype=np.dtype("i4"), rank=1, shape=None)
    box = DetectorInfo(
        name="enc",
        type="usdusb",
        fields={("raw", "encoder_count"): field},
        config={("raw", "_name"): name},
    )
    run = RunInfo(exp="tst", number=1, detectors={"enc": box})
    (part,) = Usdusb("enc").read(run).parts
    assert list(part.outputs) == ["\ufffdx", "ch1", "ch2", "ch3"]


class TestEncoder(DetectorContract):
    def make(self) -> DefaultDetector:
        return Encoder(scale=2.0, offset=1.0, unit="um")

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "value"): [np.float32(0.5), GAP, np.float32(1.5)],
            ("raw", "frameCount"): [np.uint16(1), GAP, np.uint16(3)],
        }
        return {"encoder": Data(type="encoder", fields=fields)}

    def expected(self) -> Expected:
        return {"value": [2.0, GAP, 4.0], "frameCount": [1, GAP, 3]}


class TestInterpolatedEncoder(DetectorContract):
    def make(self) -> DefaultDetector:
        return Encoder("mono_encoder", unit="urad")

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "value"): [0.5, GAP, GAP],
            ("interpolated", "value"): [0.5, 1.0, GAP],
            ("interpolated", "error"): [0.0, 1.0, GAP],
        }
        return {"mono_encoder": Data(type="encoder", fields=fields)}

    def expected(self) -> Expected:
        return {
            "raw_value": [0.5, GAP, GAP],
            "interpolated_value": [0.5, 1.0, GAP],
            "interpolated_error": [0.0, 1.0, GAP],
        }

    def test_each_says_of_what_time_it_is(self) -> None:
        outputs = (part.outputs for part in self.make().read(run_of(self.data())).parts)
        says = {name: spec.long_name for one in outputs for name, spec in one.items()}
        assert says["raw_value"] == "position as last read"
        assert says["interpolated_value"] == "position at the time of the event"
