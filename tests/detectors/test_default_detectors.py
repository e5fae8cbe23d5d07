"""Each default detector against its formula, by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.detectors.acromag import Acromag
from smalldata_stream.detectors.bmmon import Bmmon
from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.encoder import Encoder
from smalldata_stream.detectors.environment import Environment
from smalldata_stream.detectors.epics import Epics
from smalldata_stream.detectors.feespec import FeeSpec
from smalldata_stream.detectors.fields_of import FieldsOf
from smalldata_stream.detectors.gas_detector import GasDetector
from smalldata_stream.detectors.gmd import Gmd
from smalldata_stream.detectors.ipm import Ipm
from smalldata_stream.detectors.phase_cavity import PhaseCavity
from smalldata_stream.detectors.qadc import Qadc
from smalldata_stream.detectors.scan import Scan
from smalldata_stream.detectors.usdusb import Usdusb
from smalldata_stream.detectors.wave8 import Wave8
from smalldata_stream.detectors.xgmd import Xgmd
from smalldata_stream.detectors.xtcav import Xtcav
from smalldata_stream.testing.detectors import Data, DetectorContract, OnceContract, run_of

Expected = Mapping[str, Sequence[Any]]
GAP = None


def scalars(kind: str, **fields: Sequence[float | None]) -> Data:
    return Data(type=kind, fields={("raw", name): v for name, v in fields.items()})


class TestGmd(DetectorContract):
    def make(self) -> DefaultDetector:
        return Gmd()

    def data(self) -> Mapping[str, Data]:
        return {"gmd": scalars("gmd", energy=[0.5, GAP, -1.0], xpos=[1.0, GAP, 2.0])}

    def expected(self) -> Expected:
        return {"energy": [0.5, GAP, -1.0], "xpos": [1.0, GAP, 2.0]}


class TestXgmd(DetectorContract):
    def make(self) -> DefaultDetector:
        return Xgmd()

    def data(self) -> Mapping[str, Data]:
        energy = [np.float32(0.5), GAP, np.float32(1.5)]
        return {"xgmd": Data(type="xgmd", fields={("raw", "millijoulesperpulse"): energy})}

    def expected(self) -> Expected:
        return {"millijoulesperpulse": [0.5, GAP, 1.5]}


class TestEbeamOfAnotherName(DetectorContract):
    def make(self) -> DefaultDetector:
        return Ebeam(("ebeam", "ebeamh"), name="electrons")

    def data(self) -> Mapping[str, Data]:
        mask = [np.uint32(0), np.uint32(7), GAP]
        energy = [9500.0, 9501.0, GAP]
        return {
            "ebeamh": Data(
                type="ebeamh",
                fields={("raw", "damageMask"): mask, ("raw", "ebeamPhotonEnergy"): energy},
            )
        }

    def expected(self) -> Expected:
        return {"damageMask": [0, 7, GAP], "ebeamPhotonEnergy": [9500.0, 9501.0, GAP]}


class TestEbeamOfLcls1(DetectorContract):
    def make(self) -> DefaultDetector:
        return Ebeam("EBeam", name="ebeam")

    def data(self) -> Mapping[str, Data]:
        return {
            "EBeam": Data(
                type="generic_container",
                fields={
                    ("xtc1dump", "ebeamPhotonEnergy"): [9500.0, GAP],
                    ("xtc1dump", "ebeamLTUAngX"): [0.1, GAP],
                },
            )
        }

    def expected(self) -> Expected:
        return {"ebeamPhotonEnergy": [9500.0, GAP], "ebeamLUTAngX": [0.1, GAP]}


class TestPhaseCavityOfLcls1(DetectorContract):
    def make(self) -> DefaultDetector:
        return PhaseCavity("PhaseCavity", name="pcav")

    def data(self) -> Mapping[str, Data]:
        return {
            "PhaseCavity": scalars(
                "generic_container", fit_time_1=[0.25, GAP], charge_2=[-99999.0, GAP]
            )
        }

    def expected(self) -> Expected:
        return {"fitTime1": [0.25, GAP], "charge2": [-99999.0, GAP]}


class TestGasDetectorOfLcls1(DetectorContract):
    def make(self) -> DefaultDetector:
        return GasDetector("FEEGasDetEnergy", name="gasdet")

    def data(self) -> Mapping[str, Data]:
        return {"FEEGasDetEnergy": scalars("generic_container", f_11_ENRC=[1.5, GAP])}

    def expected(self) -> Expected:
        return {"f11ENRC": [1.5, GAP]}


def peaks(*events: int | None) -> list[Any]:
    return [None if e is None else np.arange(16.0) + e for e in events]


class TestBmmonOfLcls1(DetectorContract):
    def make(self) -> DefaultDetector:
        return Bmmon("XPP-SB2-BMMON", name="ipm2")

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("xtc1dump", "TotalIntensity"): [2.0, GAP],
            ("xtc1dump", "X_Position"): [1e-3, GAP],
            ("xtc1dump", "peakA"): peaks(3, GAP),
        }
        return {"XPP-SB2-BMMON": Data(type="generic_container", fields=fields)}

    def expected(self) -> Expected:
        return {
            "totalIntensityJoules": [2.0, GAP],
            "xPositionMeters": [1e-3, GAP],
            "peakAmplitude": peaks(3, GAP),
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


class TestWave8WithTraces(TestWave8):
    def make(self) -> DefaultDetector:
        return Wave8("fim0", raw=True)

    def expected(self) -> Expected:
        return {**super().expected(), "raw_0": [[0, 1, 2, 3], GAP]}


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
        volts = [np.array([1.0, 2.0, 3.0]), GAP]
        fields = {("xtc1dump", "channelVoltages"): volts}
        return {"XPP-AIN-01": Data(type="generic_container", fields=fields)}

    def expected(self) -> Expected:
        return {"ch00": [1.5, GAP], "diode": [-3.0, GAP], "ch02": [3.0, GAP]}


def test_channels_that_are_not_there_or_have_one_name() -> None:
    volts = {("raw", "value"): [np.zeros(3)]}
    run = run_of({"ai": Data(type="acromag", fields=volts)})
    with pytest.raises(ValueError, match="channels 0 to 2"):
        Acromag(scale={3: 1.0}).read(run)
    with pytest.raises(ValueError, match="one name"):
        Acromag(names=["a", "a"]).read(run)


def box_names(*names: str) -> Any:
    return np.frombuffer(b"".join(n.encode().ljust(48, b"\0") for n in names), np.int8)


class TestUsdusb(DetectorContract):
    def make(self) -> DefaultDetector:
        return Usdusb("XppUsbEncoder02", name="enc", scale={0: 2.0}, unit={0: "mm"})

    def data(self) -> Mapping[str, Data]:
        values = [np.array([1.0, 2.0, 3.0, 4.0]), GAP]
        return {
            "XppUsbEncoder02": Data(
                type="usdusb",
                fields={("raw", "encoder_values"): values},
                config={("raw", "_name"): box_names("lasDelay", "", "lasDelay2", "")},
            )
        }

    def expected(self) -> Expected:
        return {
            "lasDelay": [2.0, GAP],
            "ch1": [2.0, GAP],
            "lasDelay2": [3.0, GAP],
            "ch3": [4.0, GAP],
        }


class TestEncoder(DetectorContract):
    def make(self) -> DefaultDetector:
        return Encoder(scale=2.0, offset=1.0, unit="um")

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "value"): [0.5, GAP, 1.5],
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
        }
        return {"mono_encoder": Data(type="encoder", fields=fields)}

    def expected(self) -> Expected:
        return {
            "raw_value": [0.5, GAP, GAP],
            "interpolated_value": [0.5, 1.0, GAP],
        }


class TestFeeSpec(DetectorContract):
    def make(self) -> DefaultDetector:
        return FeeSpec()

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "hproj"): [np.arange(5, dtype="i4"), GAP],
            ("raw", "com"): [2.5, GAP],
        }
        return {"feespec": Data(type="feespec", fields=fields)}

    def expected(self) -> Expected:
        return {"hproj": [[0, 1, 2, 3, 4], GAP], "com": [2.5, GAP]}


class TestFeeSpecPeaks(DetectorContract):
    def make(self) -> DefaultDetector:
        return FeeSpec()

    def data(self) -> Mapping[str, Data]:
        peaks = [np.array([1.0]), np.array([2.0, 3.0]), GAP]
        return {"feespec": Data(type="feespec", fields={("raw", "peakPos"): peaks})}

    def expected(self) -> Expected:
        return {"var_peakPos": [[1.0], [2.0, 3.0], GAP]}


class TestQadc(DetectorContract):
    def make(self) -> DefaultDetector:
        return Qadc("qadc_ch0")

    def data(self) -> Mapping[str, Data]:
        return {"qadc_ch0": scalars("qadc", integral=[1.0, GAP])}

    def expected(self) -> Expected:
        return {"integral": [1.0, GAP]}


class TestFieldsOf(DetectorContract):
    """psana's hidden fields, which begin with _, are left out."""

    def make(self) -> DefaultDetector:
        return FieldsOf("XPP-L3T", name="l3t")

    def data(self) -> Mapping[str, Data]:
        return {"XPP-L3T": scalars("generic_container", accept=[1.0, GAP], _x=[1.0, GAP])}

    def expected(self) -> Expected:
        return {"accept": [1.0, GAP]}


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


class TestXtcav(DetectorContract):
    def make(self) -> DefaultDetector:
        return Xtcav()

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("xtc1dump", "time_0"): [np.arange(3.0), GAP],
            ("xtc1dump", "power_0"): [np.arange(3.0) * 2, GAP],
        }
        return {"xtcav": Data(type="generic_container", fields=fields)}

    def expected(self) -> Expected:
        return {"time_0": [[0, 1, 2], GAP], "power_0": [[0, 2, 4], GAP]}
