"""The main job: a simulated run through the tutorial graph, against its truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  reads bitshuffle
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.batch import BatchLimits
from smalldata_stream.h5 import read_tree
from smalldata_stream.loading import load_graph
from smalldata_stream.modes.batch import Options, reduce_run
from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.modes.picture import draw_tutorial
from smalldata_stream.modes.session import Report
from smalldata_stream.protocols import Source
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from tests.test_real_files import assert_same_tree

RUN = Simulation(events=120, steps=6, seed=5)
PHOTON_KEV = 9.5


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    return simulate(tmp_path_factory.mktemp("run"), RUN)


def reduce(run: SimulatedFiles, source: Source, path: Path, batch: int = 4096) -> Report:
    reports = []
    for a_run in source.runs():
        constants = find_constants(None, a_run.info, run.directory)
        options = Options(limits=BatchLimits(events=batch))
        graph = load_graph("tutorial")
        reports.append(reduce_run(a_run, graph, Hdf5Sink(path), constants, options))
    (report,) = reports
    return report


def files(run: SimulatedFiles) -> FilesSource:
    return FilesSource.from_run(RUN.exp, RUN.run, run.directory)


@pytest.fixture(scope="module")
def written(run: SimulatedFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("out") / "run.h5"
    report = reduce(run, files(run), path)
    assert report.ledger.closes
    assert not report.faults
    return path


@pytest.fixture
def f(written: Path) -> Iterator[h5py.File]:
    with h5py.File(written) as file:
        yield file


@pytest.fixture(scope="module")
def truth(run: SimulatedFiles) -> dict[str, np.ndarray]:
    return {path: np.asarray(value) for path, value in read_tree(run.truth).items()}


def test_every_event_is_there_once(f: h5py.File, truth: dict[str, np.ndarray]) -> None:
    assert f["timestamp"][:].tolist() == truth["pulses/timestamps"].tolist()


def test_light_status_is_the_truth(f: h5py.File, truth: dict[str, np.ndarray]) -> None:
    assert (f["lightStatus/laser"][:] == truth["pulses/laser"]).all()
    assert (f["lightStatus/xray"][:] == truth["pulses/xray"]).all()
    assert 0 < truth["pulses/xray"].sum() < RUN.events


def test_scan_and_epics_have_the_value_in_force(
    f: h5py.File, truth: dict[str, np.ndarray]
) -> None:
    assert (f["scan/varStep"][:] == truth["pulses/steps"]).all()
    np.testing.assert_allclose(f["scan/lxt"][:] * 1e12, truth["pulses/lxt_ps"])
    times = truth["epics/timestamps"]
    in_force = np.searchsorted(times, truth["pulses/timestamps"], side="right") - 1
    expected = np.where(in_force < 0, np.nan, truth["epics/sample_x"][in_force])
    np.testing.assert_array_equal(f["epics/sample_x"][:], expected)
    assert np.isnan(expected).any()
    texts = [t.decode() for t in f["epics/attenuator"][:]]
    assert [t == "" for t in texts] == (in_force < 0).tolist()


def test_monitors_agree_with_the_pulse_energy(
    f: h5py.File, truth: dict[str, np.ndarray]
) -> None:
    energy = truth["pulses/energy_mj"]
    lit = truth["pulses/xray"].astype(bool)
    np.testing.assert_allclose(f["gmd/energy"][:][lit], energy[lit], rtol=0.12, atol=0.02)
    np.testing.assert_allclose(
        f["ipm2/totalIntensityJoules"][:][lit] * 1e3, energy[lit], rtol=0.06
    )
    assert np.corrcoef(f["fim0/integral_0"][:], energy)[0, 1] ** 2 > 0.95


def test_the_time_tool_finds_the_edge(f: h5py.File, truth: dict[str, np.ndarray]) -> None:
    edge = truth["atmopal/edge_position"]
    found = np.isfinite(edge)
    error = f["atmopal/fltpos"][:][found] - edge[found]
    assert abs(error.mean()) < 0.3
    assert error.std() < 1.0


def test_the_region_holds_its_photons(f: h5py.File, truth: dict[str, np.ndarray]) -> None:
    """Energy of the true photons in the region, event by event, within noise and edges."""
    (_, rows, columns) = f["UserDataCfg/jungfrau/ROI_0__ROI_0_bound"][:]
    row, column = truth["jungfrau/photon_row"], truth["jungfrau/photon_column"]
    inside = (
        (row >= rows[0]) & (row < rows[1]) & (column >= columns[0]) & (column < columns[1])
    )
    event = np.repeat(np.arange(RUN.events), np.diff(truth["jungfrau/photon_offsets"]))
    kev = np.bincount(
        event, weights=inside * truth["jungfrau/photon_kev"], minlength=RUN.events
    )
    error = f["jungfrau/ROI_0_sum"][:] - kev
    assert abs(error.mean()) < 0.02 * kev.mean()
    assert error.std() < 0.03 * kev.mean()


def test_the_pump_probe_signal_is_the_truth(
    f: h5py.File, truth: dict[str, np.ndarray]
) -> None:
    lit = truth["pulses/xray"].astype(bool)
    ratio, factor = (
        f["jungfrau/ROI_0_per_pulse"][:][lit],
        truth["jungfrau/ring_factor"][lit],
    )
    slope, offset = np.polyfit(factor, ratio, 1)
    # The region holds ring and a little background: nearly proportional to the factor.
    assert offset / slope == pytest.approx(0, abs=0.15)
    assert np.corrcoef(factor, ratio)[0, 1] > 0.9


def test_totals_have_their_events(f: h5py.File, truth: dict[str, np.ndarray]) -> None:
    sums = f["Sums"]
    off = int((~truth["pulses/xray"].astype(bool)).sum())
    assert sums["jungfrau_calib"].attrs["count"] == RUN.events
    assert sums["jungfrau_calib_dropped"].attrs["count"] == off
    dark = sums["jungfrau_calib_dropped"][:] / off
    assert abs(np.median(dark)) < 0.05
    lit = sums["jungfrau_calib"][:] - sums["jungfrau_calib_dropped"][:]
    kev = truth["jungfrau/photon_kev"].sum()
    spot = truth["jungfrau/spot_photons"].sum() * PHOTON_KEV
    assert lit.sum() == pytest.approx(kev + spot, rel=0.03)


def test_slow_frames_are_gaps_in_between(f: h5py.File) -> None:
    assert f["damage/andor_slow"][:].tolist() == [
        int(e % 10 == 9) for e in range(RUN.events)
    ]
    there = np.isfinite(f["andor_slow/full_sum"][:])
    assert there.tolist() == (f["damage/andor_slow"][:] == 1).tolist()


def test_any_batch_gives_the_same_file(
    run: SimulatedFiles, written: Path, tmp_path: Path
) -> None:
    reduce(run, files(run), tmp_path / "one.h5", batch=7)
    with h5py.File(written) as one, h5py.File(tmp_path / "one.h5") as other:
        assert_same_tree(one, other)


def test_psana_as_the_reader_gives_the_same_file(
    run: SimulatedFiles, written: Path, tmp_path: Path
) -> None:
    source = PsanaSource.from_run(RUN.exp, RUN.run, run.directory)
    reduce(run, source, tmp_path / "psana.h5")
    with h5py.File(written) as one, h5py.File(tmp_path / "psana.h5") as other:
        assert_same_tree(one, other)


def test_the_picture_is_a_picture(written: Path, tmp_path: Path) -> None:
    draw_tutorial(written, tmp_path / "run.png")
    data = (tmp_path / "run.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(data) > 50_000
