"""The accelerator and the laser: when each pulse comes, and what it is.

The diagnostics that see the pulses and nothing else are in `diagnostics`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Mask
from smalldata_stream.simulate.simulation import BUNCH_CLOCK_HZ, Simulation

BEGIN_NS = 1_136_073_600 * 10**9
"""Begin of every simulated run, 2026-01-01, in nanoseconds since 1990-01-01."""

X_RAYS_OFF = (4, 15)
"""Of twenty shots those without x-rays: one in ten, one with and one without laser."""

PHOTON_ENERGY_KEV = 9.5
"""Mean photon energy."""

JITTER_PS = 0.08
"""Arrival of the x-rays relative to the laser, rms; the time tool measures it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pulses:
    """The events of a run, one element each.

    Attributes
    ----------
    timestamps, pulse_ids
        uint64.
    steps
        int32, from 0.
    laser, xray
        Whether the shot has the laser, and x-rays.
    energy_mj
        X-ray pulse energy, 0 without x-rays.
    photon_energy_kev
        Photon energy.
    lxt_ps
        Delay of the x-rays after the laser as set by the scan.
    delay_ps
        Delay as it was: set value and jitter.
    """

    timestamps: NDArray[np.uint64]
    pulse_ids: NDArray[np.uint64]
    steps: NDArray[np.int32]
    laser: Mask
    xray: Mask
    energy_mj: NDArray[np.float64]
    photon_energy_kev: NDArray[np.float64]
    lxt_ps: NDArray[np.float64]
    delay_ps: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def jitter_ps(self) -> NDArray[np.float64]:
        """What the time tool has to find: delay minus set value."""
        return self.delay_ps - self.lxt_ps


def pulses(simulation: Simulation) -> Pulses:
    """The events of a run.

    >>> shots = pulses(Simulation(events=20, steps=1))
    >>> shots.laser.sum(), shots.xray.sum()
    (np.int64(10), np.int64(18))
    """
    n, random = simulation.events, simulation.random("machine")
    number = np.arange(n)
    steps = (number * simulation.steps // n).astype(np.int32)
    xray = ~np.isin(number % 20, X_RAYS_OFF)
    # Self-amplified emission of few modes: pulse energies follow a gamma distribution.
    energy_mj = random.gamma(9.0, 1 / 9.0, n) * xray
    lxt_ps = scan_positions(simulation.steps)[steps]
    return Pulses(
        timestamps=event_time(simulation, number),
        pulse_ids=np.round(number * BUNCH_CLOCK_HZ / simulation.rate_hz).astype(np.uint64)
        + np.uint64(10**12),
        steps=steps,
        laser=number % 2 == 0,
        xray=xray,
        energy_mj=energy_mj,
        photon_energy_kev=random.normal(PHOTON_ENERGY_KEV, 0.005, n),
        lxt_ps=lxt_ps,
        delay_ps=lxt_ps + random.normal(0, JITTER_PS, n),
    )


def scan_positions(steps: int) -> NDArray[np.float64]:
    """The delay of each step in ps, from before time zero to well after it.

    >>> scan_positions(3)
    array([-0.5,  0.5,  1.5])
    """
    return np.linspace(1.5, -0.5, steps)[::-1]


def event_time(
    simulation: Simulation, number: NDArray[np.int64] | float
) -> NDArray[np.uint64]:
    """The timestamp of an event; transitions lie between two, at broken numbers."""
    periods = np.round((np.asarray(number) + 1) * (1e9 / simulation.rate_hz))
    since = BEGIN_NS + 10**9 + periods.astype(np.int64)
    return (since // 10**9 << 32 | since % 10**9).astype(np.uint64)
