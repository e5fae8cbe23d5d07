"""What the DAQ writes of the beam's detectors: each of its fields is on the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from smalldata_stream.detectors.bmmon import Bmmon
from smalldata_stream.detectors.default import DefaultDetector, OneDetector
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.encoder import Encoder
from smalldata_stream.detectors.feespec import FeeSpec
from smalldata_stream.detectors.fields import output_of
from smalldata_stream.detectors.gas_detector import GasDetector
from smalldata_stream.detectors.gmd import Gmd
from smalldata_stream.detectors.phase_cavity import PhaseCavity
from smalldata_stream.detectors.wave8 import Wave8
from smalldata_stream.detectors.xgmd import Xgmd

DAQ: Sequence[tuple[type[DefaultDetector], str]] = [
    (
        Ebeam,
        """damageMask - u4 | ebeamCharge nC f8 | ebeamL3Energy MeV f8 |
        ebeamLTUPosX mm f8 | ebeamLTUPosY mm f8 | ebeamLUTAngX mrad f8 |
        ebeamLTUAngY mrad f8 | ebeamPkCurrBC2 A f8 | ebeamEnergyBC2 mm f8 |
        ebeamPkCurrBC1 A f8 | ebeamEnergyBC1 mm f8 | ebeamUndPosX mm f8 |
        ebeamUndPosY mm f8 | ebeamUndAngX mrad f8 | ebeamUndAngY mrad f8 |
        ebeamXTCAVAmpl MV f8 | ebeamXTCAVPhase deg f8 | ebeamDumpCharge - f8 |
        ebeamPhotonEnergy eV f8 | ebeamLTU250 mm f8 | ebeamLTU450 mm f8""",
    ),
    (PhaseCavity, "fitTime1 ps f8 | fitTime2 ps f8 | charge1 pC f8 | charge2 pC f8"),
    (
        GasDetector,
        """f11ENRC mJ f8 | f12ENRC mJ f8 | f21ENRC mJ f8 | f22ENRC mJ f8 | f63ENRC mJ f8 |
        f64ENRC mJ f8""",
    ),
    (
        Gmd,
        """millijoulesperpulse mJ f4 | RMS_E1 - f4 | energy mJ f8 | xpos mm f8 |
        ypos mm f8 | avgIntensity - f8 | rmsElectronSum - i8 |
        electron1BkgNoiseAvg - i2 | electron2BkgNoiseAvg - i2""",
    ),
    (
        Xgmd,
        """millijoulesperpulse mJ f4 | POSY mm f4 | RMS_E1 - f4 | RMS_E2 - f4 |
        energy mJ f8 | xpos mm f8 | ypos mm f8 | avgIntensity - f8 |
        rmsElectronSum - i8""",
    ),
    (
        Bmmon,
        """totalIntensityJoules J f8 | xPositionMeters m f8 | yPositionMeters m f8 |
        peakAmplitude - f8 | peakTime samples u2""",
    ),
    (
        Wave8,
        """integral_0 - i4 | integral_7 - i4 | base_0 ADU u2 | base_7 ADU u2 |
        raw_0 ADU u2 | integral - f8 | posX - f8 | posY - f8""",
    ),
    (
        FeeSpec,
        """width pixel u4 | hproj_y1 pixel u4 | hproj_y2 pixel u4 | hproj - i4 |
        com pixel f8 | comRaw pixel f8 | baseline - f8 | integral - f8 | nPeaks - u4 |
        var_peakPos pixel f8 | var_peakHeight - f8 | var_FWHM pixel i4""",
    ),
]
"""The names and dtypes are those of the DAQ (psdaq/drp/BldNames.cc and
Wave8.cc of lcls2)."""


@pytest.mark.parametrize(("kind", "table"), DAQ)
def test_the_page_has_each_field_that_the_daq_writes(
    kind: type[DefaultDetector], table: str
) -> None:
    rows = [one.split() for one in table.split("|")]
    found = {}
    for name, _, _ in rows:
        known = output_of(kind.OUTPUTS, name)
        assert known is not None, name
        assert known.says, name
        found[name] = (known.unit or "-", np.dtype(known.dtype))
    assert found == {name: (unit, np.dtype(dtype)) for name, unit, dtype in rows}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Ebeam(), "ebeam"),
        (PhaseCavity(), "pcav"),
        (GasDetector(), "gasdet"),
        (Gmd(), "gmd"),
        (Xgmd(), "xgmd"),
        (FeeSpec(), "feespec"),
        (Encoder(), "encoder"),
    ],
)
def test_without_a_word_it_is_the_daqs_name(kind: OneDetector, name: str) -> None:
    assert kind.detector == kind.group == name
