"""Scan, EPICS and the environment of detectors, each against its formula, by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.detectors.default import DefaultDetector, NotInRun
from smalldata_stream.detectors.environment import Environment
from smalldata_stream.detectors.epics import Epics
from smalldata_stream.detectors.scan import Scan
from smalldata_stream.errors import did_you_mean
from smalldata_stream.run import RunInfo
from smalldata_stream.testing.detectors import (
    Data,
    DetectorContract,
    OnceContract,
    run_of,
)

Expected = Mapping[str, Sequence[Any]]
GAP = None


def scalars(kind: str, **fields: Sequence[float | None]) -> Data:
    return Data(type=kind, fields={("raw", name): v for name, v in fields.items()})


class TestScan(DetectorContract):
    """The motor comes back to where it was: the steps go on counting."""

    steps = (-1, 0, 0, 1, 2, 2)

    def make(self) -> DefaultDetector:
        return Scan()

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "lxt"): [GAP, 1.0, 1.0, 2.0, 1.0, 1.0],
            ("raw", "step_value"): [GAP, 0.0, 0.0, 1.0, 2.0, 2.0],
            ("raw", "step_docstring"): [GAP, "a", "a", "b", "c", "c"],
        }
        return {"scan": Data(type="scan", fields=fields)}

    def expected(self) -> Expected:
        return {
            "lxt": [GAP, 1.0, 1.0, 2.0, 1.0, 1.0],
            "step_value": [GAP, 0.0, 0.0, 1.0, 2.0, 2.0],
            "varStep": [GAP, 0, 0, 1, 2, 2],
        }


SLOW = {
    "epics": Data(
        type="epics",
        fields={
            ("raw", "lxt"): [GAP, 1.0, 2.0],
            ("raw", "shutter"): [GAP, "OPEN", "CLOSED µm"],
            ("raw", "temp"): [3.0, 4.0, 5.0],
        },
        pv={"temp": "XPP:SAM:TEMP"},
    )
}


class TestEpics(DetectorContract):
    def make(self) -> DefaultDetector:
        return Epics()

    def data(self) -> Mapping[str, Data]:
        return SLOW

    def expected(self) -> Expected:
        return {
            "lxt": [GAP, 1.0, 2.0],
            "shutter": [GAP, "OPEN", "CLOSED µm"],
            "temp": [3.0, 4.0, 5.0],
        }


class TestEpicsOfAList(DetectorContract):
    """By name, by PV, and by PV under a name of one's own."""

    def make(self) -> DefaultDetector:
        return Epics(("lxt", ("XPP:SAM:TEMP", "cold"), "XPP:SAM:TEMP"), name="epicsUser")

    def data(self) -> Mapping[str, Data]:
        return SLOW

    def expected(self) -> Expected:
        return {
            "lxt": [GAP, 1.0, 2.0],
            "cold": [3.0, 4.0, 5.0],
            "temp": [3.0, 4.0, 5.0],
        }


class TestEpicsOnce(OnceContract):
    def make(self) -> DefaultDetector:
        return Epics(once=True)

    def data(self) -> Mapping[str, Data]:
        return SLOW

    def expected(self) -> Mapping[str, Any]:
        return {"lxt": 1.0, "shutter": "OPEN", "temp": 3.0}


class TestEnvironmentOfAnEpix10ka(DetectorContract):
    """The names that the DAQ writes; its power supplies and sensors, no pixels."""

    def make(self) -> DefaultDetector:
        return Environment("epixquad")

    def data(self) -> Mapping[str, Data]:
        names = ("sht31Hum", "nctLocTempC", "asicA0_2V5_CurrmA", "therm0TempC", "pwrAnaVin")
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", name): [np.float32(k), GAP] for k, name in enumerate(names)
        }
        fields["raw", "frameCount"] = [np.uint16(1), GAP]
        return {"epixquad": Data(type="epix10ka", fields=fields)}

    def expected(self) -> Expected:
        return {
            "sht31Hum": [0.0, GAP],
            "nctLocTempC": [1.0, GAP],
            "asicA0_2V5_CurrmA": [2.0, GAP],
            "therm0TempC": [3.0, GAP],
            "pwrAnaVin": [4.0, GAP],
        }


class TestEnvironment(DetectorContract):
    def make(self) -> DefaultDetector:
        return Environment("epix")

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "strongBackTemp"): [np.uint16(2950), GAP],
            ("raw", "humidity"): [np.float32(0.1), GAP],
            ("raw", "frameCount"): [np.uint16(1), GAP],
        }
        return {"epix": Data(type="epix100", fields=fields)}

    def expected(self) -> Expected:
        return {"strongBackTemp": [2950, GAP], "humidity": [np.float32(0.1), GAP]}


def camera(*fields: str) -> RunInfo:
    """A run with a camera that has these fields beside its frames."""
    values = {("raw", name): [np.float32(1)] for name in fields}
    return run_of({"epix": Data(type="any", fields=values)})


def test_which_fields_are_of_the_environment() -> None:
    names = ["temp1", "Humidity", "AnalogCurrent", "biasVoltage", "therm0", "envData"]
    run = camera(*names, "frame", "gain")
    parts = Environment("epix").read(run).parts
    assert [name for part in parts for name in part.outputs] == names
    asked = Environment("epix", fields=("gain", "dew_point")).read(run)
    assert [name for part in asked.parts for name in part.outputs] == ["gain"]
    assert asked.lacking == ("dew_point",)
    assert asked.hint == did_you_mean("dew_point", [*names, "frame", "gain"])
    assert Environment("epix").group == "epix_env"
    assert Environment("epix", name="mine").group == "mine"


def test_a_camera_without_an_environment_says_where_it_may_be() -> None:
    with pytest.raises(NotInRun, match=r"no field of its environment in this run$") as said:
        Environment("epix").read(camera("frame"))
    elsewhere = "temperatures may be EPICS variables: g.epics(...)"
    assert said.value.hint == f"there is: frame; {elsewhere}"
    with pytest.raises(NotInRun, match=r"in this run called 'framme'$") as said:
        Environment("epix", fields=("framme",)).read(camera("frame"))
    assert said.value.hint.startswith("did you mean 'frame'?")
    with pytest.raises(ValueError, match=r"write a list, \['temp'\]"):
        Environment("epix", fields="temp")  # type: ignore[arg-type]
