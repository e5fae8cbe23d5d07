"""Detectors of the beam: energies, arrival, spectra, currents; each against its formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smalldata_stream.detectors.default import DefaultDetector
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.feespec import FeeSpec
from smalldata_stream.detectors.fields_of import FieldsOf
from smalldata_stream.detectors.gas_detector import GasDetector
from smalldata_stream.detectors.gmd import Gmd
from smalldata_stream.detectors.phase_cavity import PhaseCavity
from smalldata_stream.detectors.qadc import Qadc
from smalldata_stream.detectors.xgmd import Xgmd
from smalldata_stream.detectors.xtcav import Xtcav
from smalldata_stream.testing.detectors import Data, DetectorContract, run_of

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
        fields = {
            "fit_time_1": [0.25, GAP],
            "fit_time_2": [0.5, GAP],
            "charge_1": [120.0, GAP],
            "charge_2": [-99999.0, GAP],
        }
        return {"PhaseCavity": scalars("generic_container", **fields)}

    def expected(self) -> Expected:
        return {
            "fitTime1": [0.25, GAP],
            "fitTime2": [0.5, GAP],
            "charge1": [120.0, GAP],
            "charge2": [-99999.0, GAP],
        }


class TestGasDetectorOfLcls1(DetectorContract):
    def make(self) -> DefaultDetector:
        return GasDetector("FEEGasDetEnergy", name="gasdet")

    def data(self) -> Mapping[str, Data]:
        fields = {f"f_{i}_ENRC": [i / 10, GAP] for i in (11, 12, 21, 22, 63, 64)}
        return {"FEEGasDetEnergy": scalars("generic_container", **fields)}

    def expected(self) -> Expected:
        return {f"f{i}ENRC": [i / 10, GAP] for i in (11, 12, 21, 22, 63, 64)}


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
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "peakPos"): [np.array([1.0]), np.array([2.0, 3.0]), GAP],
            ("raw", "peakHeight"): [np.array([9.0]), np.array([8.0, 7.0]), GAP],
            ("raw", "FWHM"): [np.array([4], "i4"), np.array([5, 6], "i4"), GAP],
        }
        return {"feespec": Data(type="feespec", fields=fields)}

    def expected(self) -> Expected:
        return {
            "var_peakPos": [[1.0], [2.0, 3.0], GAP],
            "var_peakHeight": [[9.0], [8.0, 7.0], GAP],
            "var_FWHM": [[4], [5, 6], GAP],
        }


class TestQadc(DetectorContract):
    def make(self) -> DefaultDetector:
        return Qadc("qadc_ch0")

    def data(self) -> Mapping[str, Data]:
        return {"qadc_ch0": scalars("qadc", integral=[1.0, GAP])}

    def expected(self) -> Expected:
        return {"integral": [1.0, GAP]}


class TestFieldsOf(DetectorContract):
    """psana's hidden fields, which begin with _, are left out, and so are frames.

    In converted runs, - has become _.
    """

    def make(self) -> DefaultDetector:
        return FieldsOf("XPP-L3T", name="l3t")

    def data(self) -> Mapping[str, Data]:
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("raw", "accept"): [1.0, GAP],
            ("raw", "_x"): [1.0, GAP],
            ("raw", "image"): [np.zeros((2, 3)), GAP],
        }
        return {"XPP_L3T": Data(type="generic_container", fields=fields, frame=("image",))}

    def expected(self) -> Expected:
        return {"accept": [1.0, GAP]}


class TestXtcavUnderPsanasNames(DetectorContract):
    """What fullResults() of psana's LasingOnCharacterization has, of one bunch."""

    def make(self) -> DefaultDetector:
        return Xtcav()

    def data(self) -> Mapping[str, Data]:
        curve = np.arange(3.0)[None]
        fields: dict[tuple[str, str], Sequence[Any]] = {
            ("xtc1dump", "t"): [np.arange(3.0), GAP],
            ("xtc1dump", "powerECOM"): [curve, GAP],
            ("xtc1dump", "powerAgreement"): [np.array([0.9]), GAP],
            ("xtc1dump", "bunchdelaychange"): [np.array([2.0]), GAP],
            ("xtc1dump", "lasingECurrent"): [curve, GAP],
            ("xtc1dump", "nolasingERMS"): [curve, GAP],
            ("xtc1dump", "lasingenergyperbunchECOM"): [np.array([1e-4]), GAP],
            ("xtc1dump", "xrayenergy"): [1e-4, GAP],
        }
        return {"xtcav": Data(type="generic_container", fields=fields)}

    def expected(self) -> Expected:
        curve = [[0, 1, 2]]
        return {
            "t": [curve[0], GAP],
            "powerECOM": [curve, GAP],
            "powerAgreement": [[0.9], GAP],
            "bunchdelaychange": [[2.0], GAP],
            "lasingECurrent": [curve, GAP],
            "nolasingERMS": [curve, GAP],
            "lasingenergyperbunchECOM": [[1e-4], GAP],
            "xrayenergy": [1e-4, GAP],
        }

    def test_units_are_those_that_psana_says(self) -> None:
        outputs = (part.outputs for part in self.make().read(run_of(self.data())).parts)
        units = {name: spec.unit for one in outputs for name, spec in one.items()}
        assert units == {
            "t": "fs",
            "powerECOM": "GW",
            "powerAgreement": "",
            "bunchdelaychange": "fs",
            "lasingECurrent": "1/s",
            "nolasingERMS": "MeV",
            "lasingenergyperbunchECOM": "J",
            "xrayenergy": "J",
        }


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
