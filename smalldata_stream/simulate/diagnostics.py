"""The small detectors: timing, pulse energy, electrons, delay stage, and diodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.simulate.machine import Pulses
from smalldata_stream.simulate.simulation import Simulation
from smalldata_stream.simulate.wave8 import FIM0_FEX, FIM0_RAW, fim0
from smalldata_stream.simulate.xtc2_writer import Names, Values

ALWAYS, LASER_ON, LASER_OFF, XRAY_OFF = 40, 90, 91, 162
"""Event codes."""

SC_BSYD, SC_HXR = 2, 3
"""Destinations of the electrons: the dump, and the hard x-ray undulator."""

ENCODER_SCALE = (1, 20_000)
"""Millimetres per count of the delay stage's encoder, as a fraction: 50 nm."""

MM_PER_PS = 0.299_792_458 / 2
"""Travel of the delay stage per delay; the laser goes there and back."""


TIMING = Names(
    detector="timing",
    type="ts",
    algorithm="raw",
    version=(2, 1, 0),
    id="tsserial1234",
    fields={
        "pulseId": ("u8", 0),
        "timeStamp": ("u8", 0),
        "fixedRates": ("u1", 1),
        "acRates": ("u1", 1),
        "timeSlot": ("u1", 0),
        "timeSlotPhase": ("u2", 0),
        "ebeamPresent": ("u1", 0),
        "ebeamDestn": ("u1", 0),
        "ebeamCharge": ("u2", 0),
        "ebeamEnergy": ("u2", 1),
        "xWavelength": ("u2", 1),
        "dmod5": ("u2", 0),
        "mpsLimits": ("u1", 1),
        "mpsPowerClass": ("u1", 1),
        "sequenceValues": ("u2", 1),
        "inhibitCounts": ("u4", 1),
    },
)


def sequence_values(codes: Mapping[int, Array]) -> NDArray[np.uint16]:
    """288 event codes as bits of 18 words, ``(events, 18)``; ``codes`` says when each is.

    >>> sequence_values({17: np.array([True, False])})[:, 1].tolist()
    [2, 0]
    """
    events = len(next(iter(codes.values())))
    words = np.zeros((events, 18), np.uint16)
    for code, there in codes.items():
        words[:, code >> 4] |= np.where(there, 1 << (code & 15), 0).astype(np.uint16)
    return words


def timing(pulses: Pulses, events: NDArray[np.int64], _: np.random.Generator) -> Values:
    """What the timing system sends."""
    n, laser, xray = len(events), pulses.laser[events], pulses.xray[events]
    codes = {ALWAYS: np.ones(n, bool), LASER_ON: laser, LASER_OFF: ~laser, XRAY_OFF: ~xray}
    return {
        "pulseId": pulses.pulse_ids[events],
        "timeStamp": pulses.timestamps[events],
        "fixedRates": np.tile([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], (n, 1)),
        "acRates": np.tile([1, 0, 0, 0, 0, 0], (n, 1)),
        "timeSlot": 1 + 3 * (events % 2),
        "timeSlotPhase": np.zeros(n),
        "ebeamPresent": np.ones(n),
        "ebeamDestn": np.where(xray, SC_HXR, SC_BSYD),
        "ebeamCharge": np.full(n, 250),
        "ebeamEnergy": np.full((n, 4), 4000),
        "xWavelength": np.full((n, 2), 131),
        "dmod5": events % 5,
        "mpsLimits": np.zeros((n, 16)),
        "mpsPowerClass": np.full((n, 16), 5),
        "sequenceValues": sequence_values(codes),
        "inhibitCounts": np.zeros((n, 8)),
    }


GMD = Names(
    detector="gmd",
    type="gmd",
    algorithm="raw",
    version=(2, 1, 0),
    id="gmd1234",
    fields={
        "energy": ("f8", 0),
        "xpos": ("f8", 0),
        "ypos": ("f8", 0),
        "avgIntensity": ("f8", 0),
        "rmsElectronSum": ("i8", 0),
        "electron1BkgNoiseAvg": ("i2", 0),
        "electron2BkgNoiseAvg": ("i2", 0),
    },
)


def gmd(pulses: Pulses, events: NDArray[np.int64], random: np.random.Generator) -> Values:
    """The gas monitor: pulse energy in mJ to 2 %."""
    n, energy = len(events), pulses.energy_mj[events]
    return {
        "energy": energy * random.normal(1, 0.02, n) + random.normal(0, 0.003, n),
        "xpos": random.normal(0.1, 0.05, n),
        "ypos": random.normal(-0.2, 0.05, n),
        "avgIntensity": random.normal(0.9, 0.001, n),
        "rmsElectronSum": np.round(energy * 1e6),
        "electron1BkgNoiseAvg": random.integers(-5, 6, n),
        "electron2BkgNoiseAvg": random.integers(-5, 6, n),
    }


_EBEAM = {
    "ebeamCharge": (0.25, 0.002),
    "ebeamL3Energy": (8000.0, 2.0),
    "ebeamLTUPosX": (0.0, 0.02),
    "ebeamLTUPosY": (0.0, 0.02),
    "ebeamLUTAngX": (0.0, 0.001),
    "ebeamLTUAngY": (0.0, 0.001),
    "ebeamPkCurrBC2": (3000.0, 100.0),
    "ebeamEnergyBC2": (5000.0, 1.0),
    "ebeamPkCurrBC1": (220.0, 5.0),
    "ebeamEnergyBC1": (220.0, 0.1),
    "ebeamUndPosX": (0.0, 0.005),
    "ebeamUndPosY": (0.0, 0.005),
    "ebeamUndAngX": (0.0, 0.0005),
    "ebeamUndAngY": (0.0, 0.0005),
    "ebeamXTCAVAmpl": (0.0, 0.0),
    "ebeamXTCAVPhase": (0.0, 0.0),
    "ebeamDumpCharge": (1.5e9, 1e7),
    "ebeamPhotonEnergy": (0.0, 0.0),
    "ebeamLTU250": (0.0, 0.02),
    "ebeamLTU450": (0.0, 0.02),
}
"""Mean and rms of what is known of the electrons."""

EBEAM = Names(
    detector="ebeam",
    type="ebeam",
    algorithm="raw",
    version=(2, 0, 0),
    id="ebeam1234",
    fields={"damageMask": ("u4", 0), **dict.fromkeys(_EBEAM, ("f8", 0))},
)


def ebeam(pulses: Pulses, events: NDArray[np.int64], random: np.random.Generator) -> Values:
    """The electrons, and the photon energy in eV that follows from theirs."""
    n = len(events)
    drawn = {name: random.normal(*about, n) for name, about in _EBEAM.items()}
    photon_energy = pulses.photon_energy_kev[events] * 1e3
    return drawn | {"damageMask": np.zeros(n), "ebeamPhotonEnergy": photon_energy}


IPM2 = Names(
    detector="ipm2",
    type="bmmon",
    algorithm="raw",
    version=(1, 0, 0),
    id="ipm1234",
    fields={
        "totalIntensityJoules": ("f8", 0),
        "xPositionMeters": ("f8", 0),
        "yPositionMeters": ("f8", 0),
        "peakAmplitude": ("f8", 1),
        "peakTime": ("u2", 1),
    },
)


def ipm2(pulses: Pulses, events: NDArray[np.int64], random: np.random.Generator) -> Values:
    """The intensity-position monitor: pulse energy in J to 1 %, beam position in m."""
    n, energy = len(events), pulses.energy_mj[events]
    amplitude = energy[:, None] * random.normal(1, 0.02, (n, 16)) * np.linspace(0.5, 2, 16)
    return {
        "totalIntensityJoules": energy * random.normal(1e-3, 1e-5, n),
        "xPositionMeters": random.normal(0, 2e-5, n),
        "yPositionMeters": random.normal(0, 2e-5, n),
        "peakAmplitude": amplitude,
        "peakTime": random.integers(100, 104, (n, 16)),
    }


ENCODER = Names(
    detector="encoder",
    type="encoder",
    algorithm="raw",
    version=(3, 0, 0),
    id="encoder1234",
    fields={
        "encoderValue": ("u4", 0),
        "frameCount": ("u2", 0),
        "timing": ("u4", 0),
        "scale": ("u2", 0),
        "scaleDenom": ("u2", 0),
        "mode": ("u1", 0),
        "error": ("u1", 0),
    },
)


def encoder(
    pulses: Pulses, events: NDArray[np.int64], random: np.random.Generator
) -> Values:
    """The encoder of the delay stage: 10 mm at time zero, exact to a count."""
    n, (scale, denominator) = len(events), ENCODER_SCALE
    counts = (10 + pulses.lxt_ps[events] * MM_PER_PS) * denominator / scale
    return {
        "encoderValue": np.round(counts) + random.integers(-1, 2, n),
        "frameCount": events & 0xFFFF,
        "timing": np.zeros(n),
        "scale": np.full(n, scale),
        "scaleDenom": np.full(n, denominator),
        "mode": np.zeros(n),
        "error": np.zeros(n),
    }


_READ: Mapping[str, tuple[Sequence[Names], Callable[..., Any]]] = {
    "timing": ([TIMING], timing),
    "gmd": ([GMD], gmd),
    "ebeam": ([EBEAM], ebeam),
    "ipm2": ([IPM2], ipm2),
    "encoder": ([ENCODER], encoder),
    "fim0": ([FIM0_RAW, FIM0_FEX], fim0),
}

DIAGNOSTICS = tuple(_READ)
"""The detectors of this module."""


@dataclass(frozen=True, slots=True, eq=False)
class Diagnostic:
    """One of `DIAGNOSTICS`, as a `SimulatedDetector`."""

    names: Sequence[Names]
    read: Callable[..., Any]
    random: np.random.Generator
    stream: int = 0

    @classmethod
    def of(cls, name: str, simulation: Simulation) -> Diagnostic:
        """The diagnostic ``name``."""
        names, read = _READ[name]
        return cls(names, read, simulation.random(name))

    def contents(
        self, pulses: Pulses, events: NDArray[np.int64]
    ) -> Sequence[tuple[Names, Values]]:
        """What it says of ``events``."""
        values = self.read(pulses, events, self.random)
        parts = values if isinstance(values, tuple) else (values,)
        return list(zip(self.names, parts, strict=True))

    def configuration(self) -> Sequence[tuple[Names, Values]]:
        """Nothing."""
        return ()

    def truth(self) -> Mapping[str, Array]:
        """Nothing that is not in the pulses."""
        return {}

    def constants(self) -> None:
        """None: these detectors are calibrated when they are read out."""
