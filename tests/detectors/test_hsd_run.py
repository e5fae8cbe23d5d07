"""The hsd of a simulated run: against its truth, numpy, and psana."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Batch, BatchLimits, Column
from smalldata_stream.graph import Graph, build
from smalldata_stream.simulate import Simulation, simulate
from smalldata_stream.simulate import hsd as simulated
from smalldata_stream.simulate.hsd import BASES
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.testing.detectors import void
from tests.sources.oracle import ROOT
from tests.sources.psana_runs import needs_psana

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


def as_version_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the simulation say so, and write the configuration that psana looks for."""
    old = (2, 0, 0)
    fex = dict.fromkeys(
        (f"user.fex.{name}" for name in ("ymin", "ymax", "gate_ns", "xpre", "xpost")),
        ("u4", 0),
    )
    raw = tuple(replace(one, version=old) for one in simulated.RAW)
    config = tuple(replace(one, version=old, fields=fex) for one in simulated.CONFIG)
    configured = [(names, {name: [0] for name in fex}) for names in config]
    monkeypatch.setattr(simulated, "RAW", raw)
    monkeypatch.setattr(simulated.Hsd, "names", (*raw, *config))
    monkeypatch.setattr(simulated.Hsd, "configuration", lambda self: configured)


@needs_psana
@pytest.mark.parametrize("version", [2, 3])
def test_as_psana_unpacks_it(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waveforms, peaks and baselines, bit for bit; those of version 2 have no baselines."""
    if version == 2:
        as_version_2(monkeypatch)
    directory = tmp_path / "run"
    simulate(directory, SIMULATION)
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
            if version == 2:
                assert f"hsd/baselines_hsd_{k}" not in columns
                continue
            (baselines,) = psana["status"][k][0][1]
            np.testing.assert_array_equal(
                columns[f"hsd/baselines_hsd_{k}"][event], baselines, strict=True
            )
