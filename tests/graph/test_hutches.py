"""The hutches' lists: their event codes, and what their detectors are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.detectors.light_status import LightStatus
from smalldata_stream.graph import Graph, build
from smalldata_stream.hutches import hutch_defaults
from smalldata_stream.run import RunInfo
from smalldata_stream.testing.detectors import Data, batch_of, run_of

# Of each hutch and generation of the timing system: codes of an event, X-rays, laser.
EVENTS: Mapping[tuple[str, str], Sequence[tuple[list[int], bool, bool]]] = {
    ("xpp", "evr0"): [([137], True, True), ([137, 91], True, False), ([40], False, True)],
    ("xcs", "evr0"): [([137], True, True), ([137, 89], True, False), ([89], False, False)],
    ("mfx", "evr0"): [([137], True, True), ([137, 204], True, False), ([], False, True)],
    ("mfx", "timing"): [
        ([137], True, False),
        ([137, 203], True, True),
        ([203], False, True),
    ],
    ("cxi", "evr0"): [([137], True, True), ([137, 184], True, False), ([], False, True)],
    ("mec", "evr0"): [([137], True, False), ([137, 182], True, True), ([], False, False)],
    ("rix", "timing"): [([], True, True), ([273], True, False), ([137], True, True)],
}


def table(codes: Sequence[int]) -> Any:
    return np.isin(np.arange(288), codes).astype(np.uint8)


@pytest.mark.parametrize(("hutch", "timing"), EVENTS)
def test_codes_of_the_hutch(hutch: str, timing: str) -> None:
    events = EVENTS[hutch, timing]
    fields: dict[tuple[str, str], Sequence[Any]] = {
        ("raw", "eventcodes"): [table(codes) for codes, _, _ in events],
        ("raw", "destination"): [np.uint8(4)] * len(events),  # SC_SXR
    }
    data = {timing: Data(type="any", fields=fields)}

    def write(g: Graph, run: RunInfo) -> None:
        g.defaults(hutch)

    g = build(write, run_of(data))
    batch = batch_of(data)
    g.plan.push(batch)
    assert not g.plan.failures
    found = [batch.record[f"lightStatus/{name}"].values for name in ("xray", "laser")]
    assert np.array(found).T.tolist() == [[xray, laser] for _, xray, laser in events]


def test_x_rays_of_the_soft_line_go_to_its_undulator() -> None:
    (light,) = (one for one in hutch_defaults("rix") if isinstance(one, LightStatus))
    codes = np.zeros((3, 288), np.uint8)
    assert light.xray_on(codes, np.array([3, 4, 5])).tolist() == [False, True, False]


# Group in the file, and what the data of one generation or the other call the detector.
NAMES: Mapping[str, Sequence[tuple[str, str]]] = {
    "xpp": [
        ("ipm2", "XppSb2_Ipm"), ("ipm2", "XPP-SB2-BMMON"), ("ipm3", "XPP-SB3-BMMON"),
        ("diodeU", "XppEnds_Ipm0"), ("enc", "XPP-USB-ENCODER-02"), ("ai", "XPP-AIN-01"),
        ("XppSb2BmMon", "XppSb2BmMon"), ("XppUsbEncoder02", "XppUsbEncoder02"),
    ],
    "xcs": [
        ("ipm4", "XCS-SB1-BMMON"), ("ipm5", "XCS-IPM-05"), ("enc", "XCS-USB-ENCODER-01"),
    ],
    "mfx": [("MfxDg1BmMon", "MfxDg1BmMon"), ("qadc_ch1", "qadc_ch1"), ("tt", "alvium_tt")],
    "cxi": [("ipm_dg2", "CXI-DG2-BMMON"), ("KbEncoder", "CxiEndstation.0:USDUSB.0")],
    "mec": [("ipm3", "MEC-XT2-IPM-03"), ("xt2_ipm2", "MEC-XT2-BMMON-02")],
    "rix": [("rix_fim2", "rix_fim2"), ("crix_w8", "crix_w8"), ("tt", "c_piranha")],
    "tmo": [("tmo_fim1", "tmo_fim1"), ("xgmd", "xgmd"), ("tt", "tmoopal2")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("hutch", "group", "name"),
    [(hutch, *pair) for hutch, pairs in NAMES.items() for pair in pairs],
)
def test_a_detector_is_found_under_its_name(hutch: str, group: str, name: str) -> None:
    every: dict[tuple[str, str], Sequence[Any]] = {
        ("raw", field): [1.0]
        for field in ("sum", "fltpos", "energy", "integral_0", "integral")
    }
    every["raw", "channelVoltages"] = [np.zeros(16)]
    every["raw", "encoder_values"] = [np.zeros(4)]

    def write(g: Graph, run: RunInfo) -> None:
        g.defaults(hutch)

    g = build(write, run_of({name: Data(type="any", fields=every)}))
    outputs = {path.partition("/")[0] for path in g.plan.outputs()}
    assert outputs == {group, "damage"}


def test_damage_is_what_the_daq_says_whatever_the_values() -> None:
    """Values that look like fill values are no damage; a gap is, and a flag is."""
    energy = [np.nan, -99999.0, 0.0, None, 1.0]
    data = {"gmd": Data(type="gmd", fields={("raw", "energy"): energy})}

    def write(g: Graph, run: RunInfo) -> None:
        g.defaults("tmo")

    g = build(write, run_of(data))
    batch = batch_of(data)
    g.plan.push(batch)
    damage = np.asarray(batch.record["damage/gmd"].values)
    assert damage.tolist() == [True, True, True, False, True]
    kept = batch.record["gmd/energy"]
    assert kept.mask.tolist() == [True, True, True, False, True]
    assert np.isnan(np.asarray(kept.values)[0])
    assert np.asarray(kept.values)[1:].tolist() == [-99999.0, 0.0, 1.0]
