"""Units, dtypes and other names of the fields of default detectors, written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import STRING
from smalldata_stream.detectors.acromag import Acromag
from smalldata_stream.detectors.bmmon import Bmmon
from smalldata_stream.detectors.damage import Damage
from smalldata_stream.detectors.default import DefaultDetector, NotInRun, find
from smalldata_stream.detectors.ebeam import Ebeam
from smalldata_stream.detectors.encoder import Encoder
from smalldata_stream.detectors.environment import Environment
from smalldata_stream.detectors.feespec import FeeSpec
from smalldata_stream.detectors.fields import spec_of
from smalldata_stream.detectors.gas_detector import GasDetector
from smalldata_stream.detectors.gmd import Gmd
from smalldata_stream.detectors.ipm import Ipm
from smalldata_stream.detectors.light_status import LightStatus
from smalldata_stream.detectors.phase_cavity import PhaseCavity
from smalldata_stream.detectors.qadc import Qadc
from smalldata_stream.detectors.scan import Scan
from smalldata_stream.detectors.timetool import TimeTool
from smalldata_stream.detectors.timetool_raw import TimeToolRaw
from smalldata_stream.detectors.timing import DESTINATIONS, Timing
from smalldata_stream.detectors.usdusb import Usdusb
from smalldata_stream.detectors.wave8 import Wave8
from smalldata_stream.detectors.xgmd import Xgmd
from smalldata_stream.detectors.xtcav import Xtcav
from smalldata_stream.run import FieldInfo
from smalldata_stream.testing.detectors import Data, run_of

F8, F4, U2, I4 = 1.0, np.float32(1), np.uint16(1), np.int32(1)


def data(name: str, algorithm: str = "raw", kind: str = "any", **fields: Any) -> Any:
    given = {(algorithm, field): [value] for field, value in fields.items()}
    return {name: Data(type=kind, fields=given)}


def of(value: Any, *names: str) -> dict[str, Any]:
    return dict.fromkeys(names, value)


ORBIT = of(
    F8, "ebeamCharge", "ebeamL3Energy", "ebeamPhotonEnergy", "ebeamPkCurrBC2",
    "ebeamLTUPosX", "ebeamLTUAngX", "ebeamLTUAngY", "ebeamUndPosY", "ebeamUndAngX",
    "ebeamLTU250",
    "ebeamEnergyBC2", "ebeamXTCAVAmpl", "ebeamXTCAVPhase", "ebeamDumpCharge",
)  # fmt: skip
GAS = of(F8, "f_11_ENRC", "f_12_ENRC", "f_21_ENRC", "f_22_ENRC", "f_63_ENRC", "f_64_ENRC")
BEAM = {**of(F8, "TotalIntensity", "X_Position", "Y_Position"), "peakA": np.zeros(16)}
EBEAM_UNITS = """ebeamCharge nC f8 | ebeamL3Energy MeV f8 | ebeamPhotonEnergy eV f8 |
    ebeamPkCurrBC2 A f8 | ebeamLTUPosX mm f8 | ebeamLUTAngX mrad f8 | ebeamLTUAngY mrad f8 |
    ebeamUndPosY mm f8 | ebeamUndAngX mrad f8 | ebeamLTU250 mm f8 | ebeamEnergyBC2 mm f8 |
    ebeamXTCAVAmpl MV f8 | ebeamXTCAVPhase deg f8 | ebeamDumpCharge - f8"""

CASES: Sequence[tuple[DefaultDetector, Mapping[str, Data], str]] = [
    (
        Gmd(),
        data("gmd", energy=F8, xpos=F8, ypos=F8, avgIntensity=F8, RMS_E1=F4),
        "energy mJ f8 | xpos mm f8 | ypos mm f8 | avgIntensity - f8 | RMS_E1 - f4",
    ),
    (
        Xgmd(),
        data("xgmd", millijoulesperpulse=F4, POSY=F4),
        "millijoulesperpulse mJ f4 | POSY mm f4",
    ),
    (Ebeam("EBeam"), data("EBeam", "xtc1dump", **ORBIT), EBEAM_UNITS),
    (
        GasDetector("gas"),
        data("gas", **GAS),
        "f11ENRC mJ f8 | f12ENRC mJ f8 | f21ENRC mJ f8 | f22ENRC mJ f8 | f63ENRC mJ f8 | "
        "f64ENRC mJ f8",
    ),
    (
        PhaseCavity("pc"),
        data("pc", **of(F8, "fit_time_1", "fit_time_2", "charge_1", "charge_2")),
        "fitTime1 ps f8 | fitTime2 ps f8 | charge1 pC f8 | charge2 pC f8",
    ),
    (
        Bmmon("bm"),
        data("bm", **BEAM, peakT=np.zeros(16, "u2")),
        "totalIntensityJoules J f8 | xPositionMeters m f8 | yPositionMeters m f8 | "
        "peakAmplitude - f8 | peakTime samples u2",
    ),
    (Ipm("bm"), data("bm", **BEAM), "sum J f8 | xpos m f8 | ypos m f8 | peaks - f8"),
    (
        Ipm("box"),
        data("box", sum=F4, xpos=F4, ypos=F4, channel=np.zeros(4, "f4")),
        "sum - f4 | xpos - f4 | ypos - f4 | channels - f4",
    ),
    (
        Ipm("box"),
        data("box", **of(F4, *(f"channel{i}Volts" for i in range(4)))),
        "channels V f8 | sum - f8 | xpos - f8 | ypos - f8",
    ),
    (
        Wave8("fim0", raw=True),
        data("fim0", integral_0=I4, base_0=U2, raw_0=np.zeros(3, "u2"), itrigCount=U2),
        "integral_0 - i4 | base_0 ADU u2 | raw_0 ADU u2 | itrigCount - u2",
    ),
    (
        # All traces together where they are; each by itself is not written then.
        Wave8("fim0", raw=True),
        data("fim0", raw_all=np.zeros((8, 3), "u2"), raw_0=np.zeros(3, "u2"),
             integral_all=np.zeros(8, "i8"), base_all=np.zeros(8, "i8"), _hidden=I4),
        "raw_all ADU u2 | integral_all - i8 | base_all ADU i8",
    ),
    (
        Wave8("fim0"),
        data("fim0", raw_all=np.zeros((8, 3), "u2"), raw_0=np.zeros(3, "u2"), base_1=U2),
        "base_1 ADU u2",
    ),
    # A number that is called like a trace is none.
    (Wave8("fim0"), data("fim0", charge=F4, raw_0=np.zeros(3, "u2")), "charge - f4"),
    (
        Wave8("w8", raw=True),
        data("w8", "xtc1dump", ch00=np.zeros(3, "u2"), ch01=np.zeros(3, "u2")),
        "ch00 ADU u2 | ch01 ADU u2",
    ),
    (
        Acromag("ai", unit={1: "uW"}),
        data("ai", channelVoltages=np.zeros(2, "f4")),
        "ch00 V f8 | ch01 uW f8",
    ),
    (
        Usdusb("enc", unit={0: "mm"}),
        data("enc", encoder_count=np.zeros(2, "i4")),
        "ch0 mm f8 | ch1 - f8",
    ),
    (
        Encoder("enc", unit="um"),
        data("enc", value=F8, frameCount=U2),
        "value um f8 | frameCount - u2",
    ),
    (Encoder("enc"), data("enc", value=I4), "value mm f8"),
    (
        Encoder("mono", unit="urad"),
        {"mono": Data(type="any", fields={
            ("raw", "value"): [F8], ("interpolated", "value"): [F8],
            ("interpolated", "status"): [I4],
        })},
        "raw_value urad f8 | interpolated_value urad f8 | interpolated_status - i4",
    ),
    (Qadc("q"), data("q", integral=F8), "integral - f8"),
    (
        FeeSpec(),
        data("feespec", hproj=np.zeros(3, "i4"), com=F8, comRaw=F8, nPeaks=np.uint32(1)),
        "hproj - i4 | com pixel f8 | comRaw pixel f8 | nPeaks - u4",
    ),
    (
        Environment("epix"),
        data("epix", nctLocTempC=F4, asicA0_2V5_CurrmA=F4, sht31Hum=F4, asic_temp=U2),
        "nctLocTempC degC f4 | asicA0_2V5_CurrmA mA f4 | sht31Hum - f4 | asic_temp - u2",
    ),
    (Scan(), data("scan", lxt=F8, delay=F8), "lxt s f8 | delay - f8 | varStep - i4"),
    (
        Timing(),
        data("timing", kind="ts", eventcodes=np.zeros(288, "u1"), pulseId=np.uint64(1),
             destination=np.uint8(1), timestamp=np.uint64(1),
             inhibitCounts=np.zeros(8, "u4")),
        "eventcodes - u1 | pulseId - u8 | destination - u1 | timestamp - u8 | "
        "inhibitCounts - u4",
    ),
    (
        Timing(),
        data("evr1", eventCode=np.array([3], "u4")),
        "eventcodes - u1",
    ),
    (
        LightStatus(timing="evr2", xray_destination="SC_BSYD"),
        data("evr2", eventCodes=np.array([3], "u4"), ebeamDestn=np.uint8(1)),
        "xray - b1 | laser - b1",
    ),
    (
        TimeTool("opal", traces=True),
        data("opal", fltpos=F8, fltpos_ps=F8, fltposfwhm=F8, ampl=F8, amplnxt=F8,
             refampl=F8, proj_sig=np.zeros(3)),
        "fltpos pixel f8 | fltpos_ps ps f8 | fltposfwhm pixel f8 | ampl - f8 | "
        "amplnxt - f8 | refampl - f8 | proj_sig - f8 | fitted - b1 | ttCorr ps f8",
    ),
    (
        TimeTool("ioc"),
        data("ioc", value=np.zeros(6)),
        "fltpos pixel f8 | fltpos_ps ps f8 | fltposfwhm pixel f8 | ampl - f8 | "
        "amplnxt - f8 | refampl - f8 | fitted - b1 | ttCorr ps f8",
    ),
    (
        TimeToolRaw("cam", polynomial_ps=(0, 1), half=2),
        data("cam", proj_sig=np.zeros(30), proj_ref=np.zeros(30)),
        "tt_signal ADU f8 | tt_reference ADU f8 | pos pixel f8 | amp - f8 | "
        "fwhm pixel f8 | pos_ps ps f8 | fitted - b1",
    ),
    (
        Xtcav(),
        data("xtcav", time_0=np.zeros(3), power_0=np.zeros(3), agreement=F8, image=F8),
        "time_0 fs f8 | power_0 GW f8 | agreement - f8",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given", "table"), CASES)
def test_units_and_dtypes(
    kind: DefaultDetector, given: Mapping[str, Data], table: str
) -> None:
    parts = kind.read(run_of(given)).parts
    found = {n: (s.unit or "-", s.dtype) for p in parts for n, s in p.outputs.items()}
    want = {
        name: (unit, np.dtype(dtype))
        for name, unit, dtype in (one.split() for one in table.split("|"))
    }
    assert found == want


def test_destinations_are_those_of_the_accelerator() -> None:
    names = ["LASER_Standby", "SC_DIAG0", "SC_BSYD", "SC_HXR", "SC_SXR", "SC_LESA"]
    assert sorted(DESTINATIONS, key=lambda name: DESTINATIONS[name]) == names
    assert sorted(DESTINATIONS.values()) == [0, 1, 2, 3, 4, 5]


def test_what_has_no_damage_is_what_is_not_read_out() -> None:
    runs = {**data("epics", x=F8), **data("scan", lxt=F8), **data("gmd", energy=F8)}
    assert Damage().read(run_of(runs)).damage == ("gmd",)


def test_of_several_names_the_first_that_is_there() -> None:
    run = run_of({**data("b", x=F8), **data("a", x=F8), **data("c_d", x=F8)})
    assert find(run, ("z", "a", "b")).name == "a"
    assert find(run, ("c-d", "a")).name == "c_d"


def test_parameters_that_cannot_be() -> None:
    for wrong in ({"base": (1.0, 2.0)}, {"scale": (1.0,) * 5}):
        with pytest.raises(ValueError, match=r"give 4 numbers"):
            Ipm("box", **wrong)
    named = data("enc", encoder_count=np.zeros(2, "i4"))
    with pytest.raises(ValueError, match="two channels have one name: a, a; write names="):
        Usdusb("enc", names=["a", "a"]).read(run_of(named))
    for what in ("names", "scale", "unit"):
        beyond: Any = {what: {2: 1}}
        with pytest.raises(ValueError, match=f"{what} is given of channel 2; enc has the"):
            Usdusb("enc", **beyond).read(run_of(named))
    with pytest.raises(
        ValueError, match=r"unit='mm': write it by channel, as in {0: 'mm'}"
    ):
        Usdusb("enc", unit="mm").read(run_of(named))
    with pytest.raises(
        ValueError, match=r"names is given of channel 9; ai has the channels 0"
    ):
        Acromag("ai", names={9: "ch9"}).read(run_of(data("ai", value=np.zeros(2))))


def test_the_names_of_channels_by_number_or_in_order() -> None:
    volts = data("ai", voltages=np.zeros(3))
    for names in (["a", "b"], {0: "a", 1: "b"}):
        (part,) = Acromag("ai", names=names).read(run_of(volts)).parts
        assert list(part.outputs) == ["a", "b", "ch02"]


def test_an_xtcav_without_a_profile_is_said() -> None:
    images = data("xtcav", time_0=np.zeros(3), image=np.zeros((2, 2)))
    with pytest.raises(NotInRun, match="has images and no power profile"):
        Xtcav().read(run_of(images))


def test_shapes_that_are_not_known_before_the_first_event() -> None:
    def shape(**given: Any) -> tuple[int, ...] | None:
        return spec_of(FieldInfo(**{"dtype": np.dtype("f8"), "shape": None, **given})).shape

    assert shape(rank=0) == ()
    assert shape(rank=1) is None
    assert shape(rank=1, dtype=np.dtype(STRING)) == ()
    assert shape(rank=1, variable=True) == ()
    assert shape(rank=2, shape=(2, 3)) == (2, 3)
