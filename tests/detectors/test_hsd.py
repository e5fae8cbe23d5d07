"""The hsd against its format written out, the simulation's truth, and psana."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Array, Batch, BatchLimits, Column
from smalldata_stream.detectors.hsd import Hsd
from smalldata_stream.errors import GraphError
from smalldata_stream.graph import Graph, build
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.simulate.hsd import BASES, left_out, stream
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.testing.detectors import (
    Data,
    DetectorContract,
    batch_of,
    run_of,
    void,
)
from tests.sources.oracle import ROOT
from tests.sources.psana_runs import needs_psana

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


# ---------------------------------------------------------------------- a simulated run

SIMULATION = Simulation(events=24, steps=2, detectors=("timing", "hsd"), seed=3)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hsd")
    simulate(path, SIMULATION)
    return path


def reduce(directory: Path, graph: Any, reader: Any = FilesSource) -> tuple[Graph, Any]:
    """The graph, and its columns of all events."""
    (run,) = reader.from_run(SIMULATION.exp, SIMULATION.run, directory).runs()
    g = build(graph, run.info)
    found: list[Batch] = []
    for batch in run.batches(list(g.plan.signals), BatchLimits(events=100)):
        g.plan.push(batch)
        found.append(batch)
    (batch,) = found
    assert g.plan.failures == {}, g.plan.letters[0].traceback
    return g, batch.record


def by_event(column: Column) -> list[Any]:
    values = iter(column.values)
    return [next(values) if there else None for there in column.mask]


def words(g: Graph, _: object) -> None:
    hsd = g.hsd(full=True, rois={"hsd_0": (380, 460)})
    flat = hsd["hsd_0"].baseline(window=[0, 300], period=4)
    flat.hits(threshold=60)
    flat.cfd(threshold=60, delay=5)
    hsd["hsd_1"].integral(signal=[300, 1900], background=[0, 300])
    hsd["full_hsd_0__ROI_wf"].sum("calib")
    hsd["hsd_0"].spectrum(bins=(2000.0, 2500.0, 50))


def test_times_of_flight_are_those_of_the_simulation(directory: Path) -> None:
    import h5py

    _, record = reduce(directory, words)
    (path,) = directory.glob("*-truth.h5")
    with h5py.File(path) as f:
        times = f["hsd/times"][:, 0]
    found = by_event(record["hsd/var_hsd_0_baseline_hitfinder/time"])
    cfd = by_event(record["hsd/var_hsd_0_baseline_hitFinderCFD/time"])
    for event, true in enumerate(times):
        true = np.sort(true[~np.isnan(true)])
        assert len(found[event]) == len(cfd[event]) == len(true)
        # A pulse of width w crosses half its height w sqrt(ln 2) before its top.
        np.testing.assert_allclose(cfd[event], true - 6 * np.sqrt(np.log(2)), atol=0.5)


def test_words_beside_numpy(directory: Path) -> None:
    g, record = reduce(directory, words)
    waves = by_event(record["hsd/var_full_hsd_1"])
    integral = by_event(record["hsd/hsd_1_wfintegrate"])
    for event, wave in enumerate(waves):
        assert (wave is None) == (event % 3 != 0) == (integral[event] is None)
        if wave is not None:
            base = np.median(wave[:300])
            np.testing.assert_allclose(integral[event], (wave[300:1900] - base).sum())
    levels = by_event(record["hsd/hsd_0_baseline_level"])
    np.testing.assert_allclose(levels, [BASES] * len(levels), atol=1)
    full = by_event(record["hsd/var_full_hsd_0"])
    cut = np.stack(full)[:, 380:460]
    result = g.plan.results()["Sums/hsd_full_hsd_0__ROI_wf_calib"]
    np.testing.assert_array_equal(result.value, cut.sum(axis=0))
    counted = by_event(record["hsd/hsd_0_spectrum_histogram"])
    for wave, histogram in zip(full, counted, strict=True):
        want, _ = np.histogram(wave, 50, (2000, 2500))
        np.testing.assert_array_equal(histogram, want)


def test_one_event_is_enough_to_know_that_lengths_vary(tmp_path: Path) -> None:
    """Live, a run is described by its first event; those after it have other lengths."""
    simulate(tmp_path, Simulation(events=1, steps=1, detectors=("timing", "hsd")))
    (run,) = FilesSource.from_run("xpptut26", 1, tmp_path).runs()
    fields = run.info.detectors["hsd"].fields
    assert all(fields["raw", f"chan00_{k}"].variable for k in range(2))


@needs_psana
def test_as_psana_unpacks_it(directory: Path, tmp_path: Path) -> None:
    """Waveforms, peaks and baselines, bit for bit."""
    output = tmp_path / "psana.pickle"
    where = [str(directory), SIMULATION.exp, str(SIMULATION.run), str(output)]
    subprocess.run(
        [sys.executable, "-m", "tests.detectors.psana_hsd", *where],
        check=True,
        timeout=240,
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
    )
    theirs = pickle.loads(output.read_bytes())
    _, record = reduce(directory, lambda g, _: void(g.hsd(full=True)))
    columns = {path: by_event(column) for path, column in record.items()}
    assert len(theirs) == SIMULATION.events
    for event, psana in enumerate(theirs):
        for k in range(2):
            wave = columns[f"hsd/var_full_hsd_{k}"][event]
            if k not in psana["waveforms"]:
                assert wave is None
            else:
                np.testing.assert_array_equal(wave, psana["waveforms"][k][0], strict=True)
            start, peaks = psana["peaks"][k][0]
            head = f"hsd/var_peaks_hsd_{k}"
            assert columns[f"{head}/start"][event].tolist() == start
            assert columns[f"{head}/length"][event].tolist() == [len(p) for p in peaks]
            samples = columns[f"{head}_samples"][event]
            np.testing.assert_array_equal(samples, np.concatenate(peaks), strict=True)
            (baselines,) = psana["status"][k][0][1]
            np.testing.assert_array_equal(
                columns[f"hsd/baselines_hsd_{k}"][event], baselines, strict=True
            )
