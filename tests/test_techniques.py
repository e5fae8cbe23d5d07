"""The example graphs of the techniques over a simulated run, against its truth."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from smalldata_stream.cli import main
from smalldata_stream.h5 import read_tree
from smalldata_stream.simulate import SimulatedFiles, Simulation, simulate

RUN = Simulation(events=60)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    return simulate(tmp_path_factory.mktemp("run"), RUN)


@pytest.fixture(scope="module")
def truth(run: SimulatedFiles) -> dict[str, np.ndarray]:
    return {path: np.asarray(value) for path, value in read_tree(run.truth).items()}


def reduced(run: SimulatedFiles, name: str, folder: Path) -> h5py.File:
    where = ["--exp", RUN.exp, "--run", str(RUN.run), "--dir", str(run.directory)]
    assert main(["run", name, *where, "-o", str(folder / f"{name}.h5")]) == 0
    return h5py.File(folder / f"{name}.h5")


def test_pump_probe_has_the_true_delay_and_the_ring_at_its_place(
    run: SimulatedFiles, truth: dict[str, np.ndarray], tmp_path: Path
) -> None:
    with reduced(run, "pump_probe", tmp_path) as f:
        xray = truth["pulses/xray"].astype(bool)
        assert f["timestamp"][:].tolist() == truth["pulses/timestamps"][xray].tolist()
        laser = truth["pulses/laser"][xray].astype(bool)
        delay, true = f["tt/delay"][:], truth["pulses/delay_ps"][xray]
        assert np.array_equal(np.isfinite(delay), laser)
        np.testing.assert_allclose(delay[laser], true[laser], atol=5 * 0.5 * 0.005)
        assert np.array_equal(f["tt/fitted"][:], laser)
        q = f["UserDataCfg/jungfrau/azav__azav_q"][:]
        rings = f["jungfrau/azav_azav"][:].mean(axis=0)[0]
        radius_mm = float(truth["jungfrau/ring_radius"]) * 0.075
        theta = np.arctan(radius_mm / 100.0)
        of_ring = 4 * np.pi / (12.398 / 9.5) * np.sin(theta / 2)
        away = np.abs(q - of_ring) < 0.1
        assert abs(q[away][np.argmax(rings[away])] - of_ring) < 0.03


def test_xpcs_counts_the_photons_of_the_region(
    run: SimulatedFiles, truth: dict[str, np.ndarray], tmp_path: Path
) -> None:
    with reduced(run, "xpcs", tmp_path) as f:
        events = np.flatnonzero(truth["pulses/xray"])
        photons = []
        for event in events:
            first, last = truth["jungfrau/photon_offsets"][event : event + 2]
            row = truth["jungfrau/photon_row"][first:last]
            column = truth["jungfrau/photon_column"][first:last]
            inside = (row >= 300) & (row < 420) & (column >= 600) & (column < 900)
            photons.append(int(inside.sum()))
        found = f["jungfrau/speckle_droplet_nDroplets"][:]
        # Droplets are fewer where photons touch, and more where one at the rim is cut.
        assert np.corrcoef(found, photons)[0, 1] > 0.98
        assert 0.8 < found.sum() / sum(photons) < 1.05
        contrast = f["speckle/contrast"][:]
        assert np.isfinite(contrast).all()


def test_xes_adds_up_over_the_rows(run: SimulatedFiles, tmp_path: Path) -> None:
    with reduced(run, "xes", tmp_path) as f:
        spectrum = f["jungfrau/emission_pj_ax_0_data"][:]
        np.testing.assert_allclose(spectrum.sum(axis=1), f["jungfrau/emission_sum"][:])
        laser = f["lightStatus/laser"][:].astype(bool)
        total = f["Sums/jungfrau_emission_pj_ax_0_laser_on"][:]
        np.testing.assert_allclose(total, spectrum[laser].sum(axis=0), rtol=1e-6)


def test_xes_has_the_photons_of_each_column(
    run: SimulatedFiles, truth: dict[str, np.ndarray], tmp_path: Path
) -> None:
    with reduced(run, "xes", tmp_path) as f:
        spectrum = f["jungfrau/emission_pj_ax_0_data"][:]
        laser = f["lightStatus/laser"][:].astype(bool)
        energies = f["jungfrau/emission_energies_histogram"][:].sum(axis=0)
    true = np.zeros(spectrum.shape)
    for i, event in enumerate(np.flatnonzero(truth["pulses/xray"])):
        photons = slice(*truth["jungfrau/photon_offsets"][event : event + 2])
        row, column, kev = (
            truth[f"jungfrau/photon_{what}"][photons] for what in ("row", "column", "kev")
        )
        inside = (row >= 130) & (row < 330) & (column >= 550) & (column < 900)
        true[i] = np.bincount(column[inside].astype(int) - 550, kev[inside], 350)
    # What of a photon is in a pixel beside its own, and less than half of it, is left out.
    seen = spectrum.sum(axis=1) / true.sum(axis=1)
    assert 0.65 < seen.mean() < 0.8
    assert seen.std() < 0.03
    assert np.corrcoef(spectrum.sum(axis=0), true.sum(axis=0))[0, 1] > 0.999
    found, expected = (
        one[laser].sum() / laser.sum() / one[~laser].sum() * (~laser).sum()
        for one in (spectrum, true)
    )
    assert expected > 1.05
    assert abs(found / expected - 1) < 0.01
    above = np.arange(160) * 0.2375 > 7
    peak = np.flatnonzero(above)[energies[above].argmax()] * 0.2375
    assert abs(peak - 9.5) < 0.5


def test_rixs_has_two_lines_at_their_places(run: SimulatedFiles, tmp_path: Path) -> None:
    with reduced(run, "rixs", tmp_path) as f:
        spectrum = f["andor_slow/spectrum_pj_ax_0_data"][:]
        there = np.isfinite(spectrum).all(axis=1)
        assert there.sum() == RUN.events // 10
        mean = spectrum[there].mean(axis=0)
        assert abs(int(np.argmax(mean)) - 200) <= 2
        assert abs(250 + int(np.argmax(mean[250:])) - 330) <= 4
        ratio = f["andor_slow/loss_per_elastic"][:]
        np.testing.assert_allclose(np.nanmean(ratio), 0.4 * 14 / 8, rtol=0.1)


def test_tof_finds_the_pulse_of_each_diode(run: SimulatedFiles, tmp_path: Path) -> None:
    with reduced(run, "tof", tmp_path) as f:
        hits = "fim0/raw_all_baseline_hitfinder_nHits"
        number, energy = f[hits][:], f["gmd/energy"][:]
        strong = energy > 0.2
        assert (number[strong] >= 1).all()
        many = f["fim0/var_raw_all_baseline_hitfinder_len"][:]
        assert many.tolist() == number.sum(axis=1).tolist()
        group = f["fim0/var_raw_all_baseline_hitfinder"]
        time, height = group["time"][:], group["height"][:]
        channel = group["channel"][:]
        event = np.repeat(np.arange(len(many)), many)
        highest = np.zeros(number.shape)
        np.maximum.at(highest, (event, channel), height)
        # The diodes have a pulse of 1500 ADU per mJ, less in each further one.
        expected = 1500 * energy[:, None] / (1 + 0.1 * np.arange(8))
        np.testing.assert_allclose(highest[strong], expected[strong], rtol=0.15)
        first = time[np.unique(event, return_index=True)[1]]
        assert ((first[strong] >= 60) & (first[strong] < 75)).all()
