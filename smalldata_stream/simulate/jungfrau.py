"""A jungfrau: an integrating pixel detector that switches the gain of each pixel.

A pixel starts in gain 0 (single photons far above the noise). When it is full it goes on
in gain 1, then 2, in which ADU fall with the charge. Two bits above the 14 of the ADC say
which: 00, 01, 11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.constants import Constants
from smalldata_stream.simulate.ghost import Ghost
from smalldata_stream.simulate.machine import Pulses
from smalldata_stream.simulate.scattering import (
    CHIP,
    GAP,
    PIXEL_UM,
    Pattern,
    Photons,
    ring_factor,
)
from smalldata_stream.simulate.simulation import Simulation
from smalldata_stream.simulate.xtc2_writer import Names, Values

GAIN = ((41.0, 1.0), (-1.45, 0.04), (-0.11, 0.003))
"""Per gain mode, ADU per keV: mean over the pixels, and rms."""

PEDESTAL = ((2800.0, 120.0), (14_700.0, 100.0), (14_300.0, 100.0))
"""Per gain mode, ADU: mean over the pixels, and rms."""

NOISE = (2.5, 1.6, 1.6)
"""Per gain mode, ADU rms."""

OFFSET = 2.0
"""rms over the pixels of what the pedestal lacks, ADU."""

FULL = (15_000.0, 1500.0)
"""ADU at which gain 0 is left upwards, and gain 1 downwards."""

GAIN_BITS = (0, 1 << 14, 3 << 14)
"""Of each gain mode, above the ADC's 14 bits."""

CLOUD = 0.17
"""rms radius of a photon's charge when it reaches the pixels, in pixels."""

BAD_ONE_IN, HOT, DEAD = 20_000, 12_000, 0
"""One pixel in so many is hot and one is dead, and the ADU that they give."""

DISTANCE_UM = 100_000
"""From the sample to the detector."""

_POOL = 1 << 22

_NEAR = np.linspace(0, 0.5, 1024)
_SHARED = np.array([0.5 * math.erfc(near / (CLOUD * math.sqrt(2))) for near in _NEAR])
_FIELDS = {
    "raw": ("u2", 3),
    "frame_cnt": ("u8", 0),
    "timestamp": ("u8", 0),
    "hotPixelThresh": ("u2", 0),
    "numHotPixels": ("u4", 0),
    "maxHotPixels": ("u4", 0),
}


def share(
    photons: Photons, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The charge of each photon on its pixel and three neighbours.

    Returns the pixels, as numbers of the flattened image, and their shares; ``(4 n,)``.
    Neighbours on another chip get nothing: their share is lost.

    >>> pixels, part = share(Photons(np.array([2.5]), np.array([4.0])), (8, 8))
    >>> pixels[:2].tolist(), part[:2].round(2).tolist()
    ([20, 19], [0.5, 0.5])
    """
    axes = []
    for position, n in zip((photons.row, photons.column), shape, strict=True):
        own = position.astype(np.int64)
        within = position - own
        other = own + np.where(within < 0.5, -1, 1)
        part = np.interp(np.minimum(within, 1 - within), _NEAR, _SHARED)
        there = (other // CHIP == own // CHIP) & (other < n)
        axes.append(((own, 1 - part), (other.clip(0, n - 1), part * there)))
    pairs = [(row, column) for row in axes[0] for column in axes[1]]
    pixels = [row[0] * shape[1] + column[0] for row, column in pairs]
    return np.concatenate(pixels), np.concatenate([r[1] * c[1] for r, c in pairs])


class Jungfrau:
    """The jungfrau, as a `SimulatedDetector`."""

    stream = 2

    def __init__(self, simulation: Simulation):
        segments, rows, columns = self._shape = simulation.jungfrau_shape
        self._tall = (segments * rows, columns)
        self._random = simulation.random("jungfrau")
        self._pattern = Pattern(self._tall)
        self.names: Sequence[Names] = [
            Names(
                detector="jungfrau",
                type="jungfrau",
                algorithm="raw",
                version=(0, 2, 0),
                segment=segment,
                id=f"800000002{segment:04d}-230920-20004002c",
                fields=_FIELDS,
            )
            for segment in range(segments)
        ]
        maps = (3, segments * rows * columns)
        self._pedestals, self._gain = (
            np.stack([self._draw(*about, maps[1]) for about in table])
            for table in (PEDESTAL, GAIN)
        )
        self._offset = self._draw(0, OFFSET, maps)
        self._rms = np.stack([np.full(maps[1], noise, np.float32) for noise in NOISE])
        self._zero = self._pedestals + self._offset + np.float32(0.5)  # 0.5 to round
        bad = self._random.choice(maps[1], 2 * max(1, maps[1] // BAD_ONE_IN), replace=False)
        self._hot, self._dead = np.split(bad, 2)
        # Approximation: the noise of a frame is a piece, from a random place, of a pool of
        # eight frames (of half a megapixel; else four at least). Within a frame and, over
        # frames, within a pixel the values are independent; but frames whose pieces overlap
        # have noise in common, shifted by a random number of pixels.
        self._pool = NOISE[0] * self._random.standard_normal(
            max(_POOL, 4 * maps[1]), np.float32
        )
        self._ghost = None
        if simulation.jungfrau_ghost:
            self._ghost = Ghost(
                simulation.jungfrau_ghost,
                self._pedestals + self._offset,
                self._gain,
                GAIN_BITS,
                simulation.random("ghost"),
            )
        self._photons: list[Photons] = []
        self._energies: list[NDArray[np.float32]] = []
        self._spots: list[NDArray[np.uint32]] = []
        self._factors: list[float] = []

    def _draw(self, mean: float, rms: float, shape: int | tuple[int, ...]) -> Array:
        drawn = self._random.standard_normal(shape, np.float32)
        return np.float32(mean) + np.float32(rms) * drawn

    def contents(
        self, pulses: Pulses, events: NDArray[np.int64]
    ) -> Sequence[tuple[Names, Values]]:
        """The frames of ``events``, as raw ADU and gain bits."""
        factors = ring_factor(pulses.delay_ps, pulses.laser)
        frames = np.empty((len(events), *self._shape), np.uint16)
        for frame, i in zip(frames, events, strict=True):
            energy_mj, kev = float(pulses.energy_mj[i]), float(pulses.photon_energy_kev[i])
            photons = self._pattern.scatter(energy_mj, float(factors[i]), self._random)
            spot = self._pattern.spot(energy_mj, self._random)
            self._expose(frame.reshape(-1), photons, spot, kev)
            if self._ghost is not None:
                self._ghost.add(frame.reshape(-1))
            self._remember(photons, spot, kev, float(factors[i]))
        scalars = {
            "frame_cnt": events,
            "timestamp": pulses.timestamps[events],
            "hotPixelThresh": np.full(len(events), 1000),
            "numHotPixels": np.full(len(events), len(self._hot)),
            "maxHotPixels": np.full(len(events), 1000),
        }
        return [
            (names, scalars | {"raw": frames[:, k : k + 1]})
            for k, names in enumerate(self.names)
        ]

    def _expose(
        self, frame: NDArray[np.uint16], photons: Photons, spot: Array, kev: float
    ) -> None:
        start = self._random.integers(len(self._pool) - frame.size + 1)
        adu = self._zero[0] + self._pool[start : start + frame.size]
        pixels, part = share(photons, self._tall)
        np.add.at(adu, pixels, self._gain[0, pixels] * (kev * part).astype(np.float32))
        # In the spot neighbours exchange as much charge as they share: none is shared.
        at = self._pattern.spot_pixels
        adu[at] += self._gain[0, at] * (kev * spot).astype(np.float32)
        frame[:] = np.minimum(adu, FULL[0])
        full = at[adu[at] >= FULL[0]]
        frame[full] = self._switch(
            full, (adu[full] - self._zero[0, full]) / self._gain[0, full]
        )
        frame[self._hot] = HOT + self._random.integers(0, 2000, len(self._hot))
        frame[self._dead] = DEAD

    def _switch(self, pixels: Array, kev: Array) -> NDArray[np.uint16]:
        one, two = (
            self._zero[g, pixels]
            + self._gain[g, pixels] * kev
            + NOISE[g] * self._random.standard_normal(len(pixels), np.float32)
            for g in (1, 2)
        )
        second = one < FULL[1]
        adu = np.where(second, two, one).clip(0, GAIN_BITS[1] - 1).astype(np.uint16)
        bits = np.where(second, GAIN_BITS[2], GAIN_BITS[1]).astype(np.uint16)
        raw: NDArray[np.uint16] = adu | bits
        return raw

    def _remember(self, photons: Photons, spot: Array, kev: float, factor: float) -> None:
        self._photons.append(photons)
        self._energies.append(np.full(len(photons.row), kev, np.float32))
        self._spots.append(spot.astype(np.uint32))
        self._factors.append(factor)

    def configuration(self) -> Sequence[tuple[Names, Values]]:
        """Nothing."""
        return ()

    def truth(self) -> Mapping[str, Array]:
        """Single photons (ragged), photons of the spot, strength of the ring, the beam."""
        lengths = [len(energies) for energies in self._energies]
        empty = np.empty(0, np.float32)
        rows, columns = (
            np.concatenate([empty, *(getattr(one, axis) for one in self._photons)])
            for axis in ("row", "column")
        )
        pixels = self._pattern.spot_pixels
        return {
            "photon_offsets": np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            "photon_row": rows.astype(np.float32),
            "photon_column": columns.astype(np.float32),
            "photon_kev": np.concatenate([empty, *self._energies]),
            "spot_pixel": pixels,
            "spot_photons": np.array(self._spots, np.uint32).reshape(-1, len(pixels)),
            "ring_factor": np.array(self._factors),
            "ring_radius": np.array(self._pattern.radius),
            "centre": np.array(self._pattern.centre),
        }

    def constants(self) -> Constants:
        """Pedestals, gains, offsets, noise and status of each gain mode; geometry."""
        shape, ghost = (3, *self._shape), self._ghost
        status = np.zeros(self._rms.shape, np.uint64)
        status[:, self._hot], status[:, self._dead] = 1, 2
        return Constants(
            detector="jungfrau",
            pedestals=self._pedestals.reshape(shape),
            pixel_gain=self._gain.reshape(shape),
            pixel_offset=self._offset.reshape(shape),
            pixel_rms=self._rms.reshape(shape),
            pixel_status=status.reshape(shape),
            ghost_p0=ghost.p0.reshape(self._shape) if ghost else None,
            ghost_p1=ghost.p1.reshape(self._shape) if ghost else None,
            geometry=self._geometry() if self._shape[1:] == (512, 1024) else None,
            source="simulation",
        )

    def _geometry(self) -> str:
        """psana's geometry text, with the beam at (0, 0): places of the segments in µm."""
        height, width = 2 * CHIP + GAP, 4 * CHIP + 3 * GAP
        row, column = self._pattern.centre
        x = PIXEL_UM * (width / 2 - column)
        lines = []
        for segment in range(self._shape[0]):
            y = PIXEL_UM * (segment * (height + GAP) + height / 2 - row)
            lines.append(f"DET:V1 0 JUNGFRAU:V2 {segment} {x:.2f} {y:.2f} 0 0 0 0 0 0 0")
        lines.append(f"IP 0 DET:V1 0 0 0 {DISTANCE_UM} 0 0 0 0 0 0")
        return "\n".join(lines) + "\n"
