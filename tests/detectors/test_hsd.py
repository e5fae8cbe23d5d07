"""The hsd against its format written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array
from smalldata_stream.detectors.hsd import Hsd
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import build
from smalldata_stream.simulate.hsd import left_out, stream
from smalldata_stream.testing.detectors import (
    Data,
    DetectorContract,
    batch_of,
    run_of,
    void,
)

GAP = None
WAVE = np.array([5, 6, 7, 8, 9, 10, 11, 12], "u2")
SHORT = np.array([1, 2, 3, 4], "u2")
PEAKS = [*left_out(8), 1, 2, 3, 4, 5, 6, 7, 8, *left_out(4), *left_out(12), 9, 9, 9, 9]
FIRST = [3, 3, 3, 3, *left_out(4)]


def data(*streams: bytes) -> Array:
    return np.frombuffer(b"".join(streams), np.uint8)


def header(*, raw: bool, peaks: bool) -> Array:
    return np.array([(raw | peaks << 1) << 20 | 1 << 24, 0], np.uint32)


def u2(values: Sequence[int]) -> Array:
    return np.array(values, np.uint16)


class TestHsd(DetectorContract):
    """One segment, number 2: both streams, one of them, none, and a gap."""

    def make(self) -> Hsd:
        return Hsd(full=True, rois={"hsd_2": (2, 6)})

    def data(self) -> Mapping[str, Data]:
        headers = [
            header(raw=True, peaks=True),
            GAP,
            header(raw=False, peaks=True),
            header(raw=True, peaks=False),
            header(raw=True, peaks=True),
        ]
        channel = [
            data(stream(0, WAVE), stream(1, u2(PEAKS))),
            GAP,
            data(stream(1, u2(FIRST))),
            data(stream(0, SHORT)),
            data(stream(0, WAVE[::-1]), stream(1, u2(left_out(8)))),
        ]
        fields = {("raw", "eventHeader"): headers, ("raw", "chan00"): channel}
        return {"hsd": Data(type="hsd", fields=fields, version=(2, 0, 0), segments=(2,))}

    def expected(self) -> Mapping[str, Sequence[Any]]:
        back = WAVE[::-1]
        return {
            "var_full_hsd_2": [WAVE, GAP, GAP, SHORT, back],
            "full_hsd_2__ROI_wf": [WAVE[2:6], GAP, GAP, GAP, back[2:6]],
            "full_hsd_2__ROI_sum": [34, GAP, GAP, GAP, 34],
            "var_peaks_hsd_2/start": [[8, 32], GAP, [0], GAP, []],
            "var_peaks_hsd_2/length": [[8, 4], GAP, [4], GAP, []],
            "var_peaks_hsd_2_samples": [[*range(1, 9), 9, 9, 9, 9], GAP, [3] * 4, GAP, []],
        }


class TestTwoSegmentsOfOneLength(DetectorContract):
    """Segments that always send as many bytes come stacked, and as frames if large."""

    def make(self) -> Hsd:
        return Hsd("digitizer", full=True, peaks=False, name="tof")

    def waves(self) -> Array:
        return np.arange(3 * 2 * 4, dtype="u2").reshape(3, 2, 4)

    def data(self) -> Mapping[str, Data]:
        raw = header(raw=True, peaks=False)
        sent = [np.stack([data(stream(0, w)) for w in event]) for event in self.waves()]
        fields = {
            ("raw", "eventHeader"): [np.stack([raw, raw])] * 3,
            ("raw", "chan00"): sent,
        }
        return {
            "digitizer": Data(
                type="hsd",
                fields=fields,
                frame=("chan00",),
                version=(2, 0, 0),
                segments=(0, 4),
            )
        }

    def expected(self) -> Mapping[str, Sequence[Any]]:
        waves = self.waves()
        return {"var_full_hsd_0": list(waves[:, 0]), "var_full_hsd_4": list(waves[:, 1])}


@pytest.mark.parametrize(
    ("sent", "which"),
    [
        (b"\x01" * 9, {"raw": True, "peaks": False}),
        (stream(0, WAVE)[:-1], {"raw": True, "peaks": False}),
        (stream(0, WAVE), {"raw": False, "peaks": True}),
        (stream(3, WAVE), {"raw": True, "peaks": False}),
        (stream(1, WAVE[:6]), {"raw": False, "peaks": True}),
    ],
)
def test_broken_data_are_an_error_of_their_event(
    sent: bytes, which: dict[str, bool]
) -> None:
    good, both = data(stream(0, WAVE)), header(raw=True, peaks=False)
    fields = {
        ("raw", "eventHeader"): [both, header(**which), both],
        ("raw", "chan00"): [good, data(sent), good],
    }
    have = {"hsd": Data(type="hsd", fields=fields, version=(2, 0, 0))}
    g = build(lambda g, _: void(g.hsd(full=True)), run_of(have))
    batch = batch_of(have)
    g.plan.push(batch)
    column = batch.record["hsd/var_full_hsd_0"]
    assert column.mask.tolist() == [True, False, True]
    assert sum(g.plan.failures.values()) >= 1
    assert {letter.timestamp for letter in g.plan.letters} == {int(batch.timestamps[1])}
    assert "hsd.raw.chan00: the " in g.plan.letters[0].error


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"rois": {"hsd_0": [5, 5]}}, r"rois\['hsd_0'\]=\[5, 5\]: write \[first, last\]"),
        ({"rois": {"hsd_0": 3}}, "rois"),
        ({"rois": {"hsd_0": [0, -1]}}, "0 <= first < last"),
        ({"rois": {"hsd_1": [0, 9]}}, "no channel 'hsd_1'.*'hsd_0'"),
        ({"roi": {"hsd_0": [0, 9]}}, "hsd has no parameter 'roi'; did you mean 'rois'"),
    ],
)
def test_wrong_parameters(kwargs: Any, match: str) -> None:
    with pytest.raises(GraphError, match=match):
        build(lambda g, _: void(g.hsd(**kwargs)), run_of(one_event(2)))


def one_event(version: int) -> Mapping[str, Data]:
    fields = {
        ("raw", "eventHeader"): [header(raw=True, peaks=False)],
        ("raw", "chan00"): [data(stream(0, WAVE))],
    }
    return {"hsd": Data(type="hsd", fields=fields, version=(version, 0, 0))}


@pytest.mark.parametrize("version", [1, 4])
def test_a_layout_that_is_not_known_is_not_guessed(version: int) -> None:
    with pytest.raises(
        GraphError,
        match=rf"version {version}\.0\.0; known are 2 and 3.*g\.detector\('hsd'\)",
    ):
        build(lambda g, _: void(g.hsd()), run_of(one_event(version)))


def test_what_needs_one_length_says_where_it_is() -> None:
    """The waveform of an hsd may vary in length; the part that rois cuts does not."""
    with pytest.raises(GraphError, match=r"sum 'calib'.*rois=.*full_hsd_0__ROI_wf"):
        build(lambda g, _: void(g.hsd()["hsd_0"].sum("calib")), run_of(one_event(3)))
    with pytest.raises(GraphError, match=r"svd_fit.*rois=.*full_hsd_0__ROI_wf"):
        build(
            lambda g, _: void(g.hsd()["hsd_0"].svd_fit(basis="b.h5")), run_of(one_event(3))
        )
