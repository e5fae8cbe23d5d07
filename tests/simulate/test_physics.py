"""The simulated data are physics: psana's calibration finds the truth in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import convolve
from scipy.stats import norm

from smalldata_stream.batch import Ragged
from smalldata_stream.constants import read_constants
from smalldata_stream.simulate.jungfrau import CLOUD, NOISE, share
from smalldata_stream.simulate.machine import pulses
from smalldata_stream.simulate.scattering import Pattern, Photons
from smalldata_stream.simulate.simulation import Simulation
from tests.simulate.conftest import SimulatedRun

DARK = (4, 15)
SHAPE = (512, 1024)


def photons(run: SimulatedRun, name: str) -> Ragged:
    truth = run.truth
    return Ragged(truth[f"jungfrau/photon_{name}"], truth["jungfrau/photon_offsets"])


def calibrated(run: SimulatedRun, event: int) -> Any:
    return run.column("jungfrau", "raw", "calib")[event][0]


def good(run: SimulatedRun) -> Any:
    status = read_constants(run.files.constants)["jungfrau"].pixel_status
    assert status is not None
    return (status[:, 0] == 0).all(axis=0)


def test_single_photons_are_where_the_truth_says(full: SimulatedRun) -> None:
    good_pixels, found, expected = good(full), [], []
    spot = full.truth["jungfrau/spot_pixel"]
    for event in (0, 1, 2):
        row, column = photons(full, "row")[event], photons(full, "column")[event]
        own = np.zeros(SHAPE)
        np.add.at(own, (row.astype(int), column.astype(int)), 1)
        own.flat[spot] = 1000
        crowd = convolve(own, np.ones((7, 7)), mode="constant")
        whole = convolve(calibrated(full, event), np.ones((3, 3)), mode="constant")
        bad = convolve((~good_pixels).astype(int), np.ones((3, 3)), mode="constant") > 0
        for r, c, kev in zip(row, column, photons(full, "kev")[event], strict=True):
            at = int(r), int(c)
            inside = all(0 < p % 256 < 255 for p in at)
            if crowd[at] == 1 and inside and not bad[at]:
                found.append(whole[at])
                expected.append(kev)
                around = calibrated(full, event)[
                    at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2
                ]
                if abs(r % 1 - 0.5) < 0.4 and abs(c % 1 - 0.5) < 0.4:
                    assert around.argmax() == 4
    difference = np.array(found) - np.array(expected)
    assert len(difference) > 1000
    noise = 3 * np.hypot(NOISE[0], 1 / np.sqrt(12)) / 41
    assert difference.std() == pytest.approx(noise, rel=0.1)
    assert abs(difference.mean()) < 5 * noise / np.sqrt(len(difference))


def test_there_is_only_noise_where_there_is_no_photon(full: SimulatedRun) -> None:
    dark = [calibrated(full, event)[good(full)] for event in DARK]
    for image in dark:
        assert image.mean() == pytest.approx(0, abs=0.001)
        assert image.std() == pytest.approx(NOISE[0] / 41, rel=0.02)
        # Normal, not only of the right width.
        tails = np.mean(np.abs(image) > 3 * image.std())
        assert tails == pytest.approx(2 * norm.sf(3), rel=0.2)
    assert abs(np.corrcoef(*dark)[0, 1]) < 0.01


def deposited(run: SimulatedRun, event: int) -> Any:
    """The energy that falls on each pixel, from the truth alone."""
    truth, image = run.truth, np.zeros(SHAPE)
    kev = truth["pulses/photon_energy_kev"][event]
    image.flat[truth["jungfrau/spot_pixel"]] = truth["jungfrau/spot_photons"][event] * kev
    position = np.stack([photons(run, "row")[event], photons(run, "column")[event]])
    own, energy = np.floor(position), photons(run, "kev")[event]
    for step in np.ndindex(3, 3):
        pixel = own + np.array(step)[:, None] - 1
        below, above = (
            norm.cdf(pixel, position, CLOUD),
            norm.cdf(pixel + 1, position, CLOUD),
        )
        inside = ((pixel >= 0) & (pixel < np.array(SHAPE)[:, None])).all(axis=0)
        part = energy * (above - below).prod(axis=0)
        np.add.at(image, tuple(pixel[:, inside].astype(int)), part[inside])
    return image


def test_calibrated_frames_are_the_energy_that_fell_on_them(full: SimulatedRun) -> None:
    row, column = np.indices(SHAPE)
    inner = (row % 256 > 0) & (row % 256 < 255) & (column % 256 > 0) & (column % 256 < 255)
    keep, seen = good(full) & inner, set()
    for event in range(20):
        raw = full.column("jungfrau", "raw", "raw")[event][0]
        energy = deposited(full, event)
        difference = calibrated(full, event) - energy
        # Gain bits, noise in keV with rounding to ADU, and the gains of pixels differ.
        for bits, adu, gain in ((0, 2.5, 41), (1, 1.6, 1.45), (3, 1.6, 0.11)):
            there = keep & (raw >> 14 == bits)
            if not there.any():
                continue
            seen.add(bits)
            noise = np.hypot(adu, 1 / np.sqrt(12)) / gain
            assert difference[there].std() == pytest.approx(noise, rel=0.25)
            # Single charges are shared by four pixels in the simulation, here by nine.
            assert np.abs(difference[there]).max() < 6 * noise + 0.002 * energy[there].max()
        assert not np.any(raw >> 14 == 2)
    assert seen == {0, 1, 3}


def test_bad_pixels_are_bad_and_said_to_be(full: SimulatedRun) -> None:
    bad = ~good(full)
    assert 20 < bad.sum() < 100
    raw = np.stack(full.column("jungfrau", "raw", "raw"))[:, 0, bad]
    assert np.all((raw == 0) | (raw > 11_000))
    assert np.all(calibrated(full, 0)[bad] == 0)


def test_the_geometry_puts_the_ring_around_the_beam(full: SimulatedRun) -> None:
    x, y = full.psana["pixel_coords"]
    radius = np.hypot(x, y) / 75
    truth_radius = float(full.truth["jungfrau/ring_radius"])
    mean = np.mean(full.column("jungfrau", "raw", "calib"), axis=0)[0]
    row, column = np.indices(SHAPE)
    # Without the rows and columns at the edges of chips, which stand for gaps as well.
    inner = (row % 256 > 0) & (row % 256 < 255) & (column % 256 > 0) & (column % 256 < 255)
    for side in (x > 100 * 75, x < -100 * 75, y > 100 * 75, y < -100 * 75):
        near = side & inner & (np.abs(radius - truth_radius) < 36)
        ring = np.average(radius[near], weights=mean[near].clip(0))
        assert ring == pytest.approx(truth_radius, abs=1.5)


def test_everything_follows_the_pulse_energy(
    full: SimulatedRun, small: SimulatedRun
) -> None:
    energy = full.truth["pulses/energy_mj"]
    light = [calibrated(full, event).sum() for event in range(20)]
    gmd = np.array(full.column("gmd", 0, "raw", "energy"))
    assert np.corrcoef(gmd, light)[0, 1] > 0.99
    assert np.corrcoef(gmd, energy)[0, 1] > 0.99
    energy = small.truth["pulses/energy_mj"]
    ipm = np.array(small.column("ipm2", 0, "raw", "totalIntensityJoules"))
    np.testing.assert_allclose(ipm, energy * 1e-3, rtol=0.05)
    for channel in range(8):
        diode = small.column("fim0", 0, "fex", f"integral_{channel}")
        assert np.corrcoef(diode, energy)[0, 1] > 0.999
    photon_energy = small.column("ebeam", 0, "raw", "ebeamPhotonEnergy")
    np.testing.assert_allclose(photon_energy, small.truth["pulses/photon_energy_kev"] * 1e3)


def test_integrals_of_the_diodes_are_those_of_their_traces(small: SimulatedRun) -> None:
    for values in small.events.values():
        for channel in range(8):
            trace = values["fim0", 0, "raw", f"raw_{channel}"].astype(int)
            base = values["fim0", 0, "fex", f"base_{channel}"]
            assert base == np.round(trace[:60].mean())
            integral = values["fim0", 0, "fex", f"integral_{channel}"]
            assert integral == (trace[60:160] - int(base)).sum()


def test_the_slow_camera_integrates_ten_pulses(small: SimulatedRun) -> None:
    truth, constants = small.truth, read_constants(small.files.constants)["andor_slow"]
    images = [i for i in small.column("andor_slow", "raw", "raw") if i is not None]
    sums = truth["pulses/energy_mj"].reshape(6, 10).sum(axis=1)
    np.testing.assert_allclose(truth["andor_slow/energy_mj"], sums)
    for image, energy, count in zip(images, sums, truth["andor_slow/photons"], strict=True):
        kev = (image - constants.pedestals) / constants.pixel_gain
        assert kev.sum() / 9.5 == pytest.approx(count, rel=0.002)
        assert count == pytest.approx(20_000 * energy, rel=0.02)


def test_the_edge_is_where_the_x_rays_came(small: SimulatedRun) -> None:
    truth = small.truth
    edges, seen = (
        truth["atmopal/edge_position"],
        truth["pulses/laser"] & truth["pulses/xray"],
    )
    np.testing.assert_array_equal(~np.isnan(edges), seen)
    jitter = truth["pulses/delay_ps"] - truth["pulses/lxt_ps"]
    np.testing.assert_allclose(edges[seen], 128 + jitter[seen] / 0.005)
    fit = np.array(small.column("atmopal", "ttfex", "fltpos_ps"))
    assert np.std(fit[seen] - jitter[seen]) == pytest.approx(0.0025, rel=0.5)
    for i, values in enumerate(small.events.values()):
        image = values["atmopal", 0, "raw", "image"]
        projection = values["atmopal", 0, "ttproj", "proj_sig"]
        np.testing.assert_allclose(projection, image[96:160].mean(axis=0))
        ratio = (projection - 40) / (values["atmopal", 0, "ttproj", "proj_ref"] - 40)
        if not seen[i]:
            level = 1 if truth["pulses/laser"][i] else 0
            assert np.all(np.abs(ratio - level) < 0.05)
        elif 30 < edges[i] < 226:
            # Where the light has fallen half of the way from 1 to 0.6.
            half = np.interp(
                -0.8, -np.convolve(ratio, np.ones(5) / 5, "valid"), np.arange(252)
            )
            assert half + 2 == pytest.approx(edges[i], abs=2)


def test_laser_and_x_rays_come_as_promised() -> None:
    run = pulses(Simulation())
    both = [(~run.laser, ~run.xray), (~run.laser, run.xray), (run.laser, ~run.xray)]
    assert [np.sum(a & b) for a, b in both] == [12, 108, 12]
    np.testing.assert_array_equal(run.laser, np.arange(240) % 2 == 0)
    assert (~run.xray).reshape(24, 10).sum(axis=1).tolist() == [1] * 24
    assert np.all((run.energy_mj > 0) == run.xray)
    seconds = (run.timestamps >> np.uint64(32)) + (
        run.timestamps & np.uint64(2**32 - 1)
    ) / 1e9
    np.testing.assert_allclose(np.diff(seconds), 1 / 120, rtol=1e-4)
    np.testing.assert_allclose(
        np.diff(run.pulse_ids.astype(float)), 928571.43 / 120, atol=1
    )


def test_the_ring_is_stronger_when_pumped() -> None:
    pattern, random = Pattern(SHAPE), np.random.default_rng(2)
    row, column = pattern.centre

    def on_ring(factor: float) -> int:
        hits = [pattern.scatter(1.0, factor, random) for _ in range(40)]
        gaps = [2 * (p // 256) for one in hits for p in (one.row, one.column)]
        r = np.concatenate([h.row + g - row for h, g in zip(hits, gaps[::2], strict=True)])
        c = np.concatenate(
            [h.column + g - column for h, g in zip(hits, gaps[1::2], strict=True)]
        )
        return int(np.sum(np.abs(np.hypot(r, c) - pattern.radius) < 30))

    assert on_ring(1.5) / on_ring(1.0) == pytest.approx(1.5, rel=0.03)
    assert on_ring(0.0) < 0.06 * on_ring(1.0)


@pytest.mark.parametrize("within", [0.0, 0.1, 0.5, 0.8])
def test_charge_is_shared_as_a_gaussian_cloud(within: float) -> None:
    pixels, part = share(Photons(np.array([5 + within]), np.array([7.5])), (20, 20))
    image = np.zeros(400)
    np.add.at(image, pixels, part)
    rows = image.reshape(20, 20).sum(axis=1)
    assert rows.sum() == pytest.approx(1)
    edges = norm.cdf(np.arange(21), 5 + within, CLOUD)
    np.testing.assert_allclose(rows, np.diff(edges), atol=2e-3)


@pytest.mark.parametrize("at", [(255.95, 100.5), (0.05, 100.5), (300.5, 511.95)])
def test_charge_does_not_cross_to_another_chip(at: tuple[float, float]) -> None:
    pixels, part = share(Photons(np.array([at[0]]), np.array([at[1]])), SHAPE)
    own = int(at[0]) * 1024 + int(at[1])
    assert part[pixels == own].sum() == pytest.approx(norm.cdf(0.05 / CLOUD), abs=0.01)
    assert part[pixels != own].sum() < 0.01
