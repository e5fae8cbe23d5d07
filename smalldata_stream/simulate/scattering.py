"""What is scattered onto the jungfrau: where each photon falls, and how many.

A ring, whose intensity the laser changes; a diffuse background of single photons; and
around the beam a spot so strong that its pixels switch their gain.

Positions are (row, column) of the stacked segments, in pixels: pixel (r, c) reaches from
r to r + 1 and from c to c + 1. A chip has 256 x 256 pixels; between two chips there is
room for two, where photons are lost (in the real detector the pixels at the edge of a
chip are larger and take them).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHIP, GAP = 256, 2
"""Pixels of a chip along each axis, and pixels that would fit between two."""

PIXEL_UM = 75.0
"""Size of a pixel."""

RING_WIDTH, RING_DENSITY = 12.0, 0.04
"""Of the ring: rms width in pixels, photons per pixel and mJ on its crest."""

BACKGROUND = 1e-3
"""Photons per pixel and mJ everywhere."""

SPOT_WIDTH, SPOT_DENSITY = 5.0, 3000.0
"""Of the spot: rms width in pixels, photons per pixel and mJ in its middle."""

SPOT_FROM, HALO_FROM = 10.0, 0.01
"""Where the spot has fewer photons per pixel and mJ it is a halo of single photons, and
where the halo has fewer there is nothing."""

PUMPED, RISE_PS = 0.5, 0.05
"""The pumped ring: by how much it is stronger long after the laser, and how fast."""


def to_pixels(place: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """From places on the detector (gaps included) to pixels; NaN where there is none.

    >>> to_pixels(np.array([255.5, 256.5, 258.5, -1.0]), 512)
    array([255.5,   nan, 256.5,   nan])
    """
    chip = np.floor(place / (CHIP + GAP))
    pixel = place - GAP * chip
    lost = (pixel >= CHIP * (chip + 1)) | (pixel < 0) | (pixel >= n)
    return np.where(lost, np.nan, pixel)


def to_place(pixel: NDArray[np.float64]) -> NDArray[np.float64]:
    """From pixels to places on the detector, gaps included.

    >>> to_place(np.array([255.5, 256.5]))
    array([255.5, 258.5])
    """
    place: NDArray[np.float64] = pixel + GAP * np.floor(pixel / CHIP)
    return place


def ring_factor(
    delay_ps: NDArray[np.float64], laser: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """How much stronger the ring is: the signal that a pump-probe experiment looks for.

    >>> ring_factor(np.array([10.0, 10.0, -10.0]), np.array([True, False, True])).round(3)
    array([1.5, 1. , 1. ])
    """
    response = 0.5 * (1 + np.tanh(delay_ps / (2 * RISE_PS)))
    return 1 + PUMPED * response * laser


@dataclass(frozen=True, slots=True, eq=False)
class Photons:
    """Photons of one event that are single: positions in pixels."""

    row: NDArray[np.float64]
    column: NDArray[np.float64]


class Pattern:
    """The pattern on a detector of ``shape`` (rows of all segments, columns).

    Attributes
    ----------
    centre
        Where the beam would hit, as a place (row, column), gaps included.
    radius
        Of the ring, in pixels.
    spot_pixels
        Pixels of the spot, as numbers of the flattened image.
    spot_density
        Photons per mJ in each of them.
    """

    def __init__(self, shape: tuple[int, int]):
        self.shape = shape
        rows, columns = (to_place(np.arange(n, dtype=float) + 0.5) for n in shape)
        self._extent = (rows[-1] + 0.5, columns[-1] + 0.5)
        self.centre = (0.45 * self._extent[0], 0.4 * self._extent[1])
        self.radius = 0.35 * min(self._extent)
        r2 = (rows[:, None] - self.centre[0]) ** 2 + (columns - self.centre[1]) ** 2
        density = (SPOT_DENSITY * np.exp(-r2 / (2 * SPOT_WIDTH**2))).ravel()
        self.spot_pixels = np.flatnonzero(density > SPOT_FROM)
        self.spot_density = density[self.spot_pixels]
        self._halo = np.flatnonzero((density > HALO_FROM) & (density <= SPOT_FROM))
        self._halo_density = density[self._halo]
        circumference = 2 * math.pi * self.radius
        self._ring = RING_DENSITY * circumference * math.sqrt(2 * math.pi) * RING_WIDTH
        self._background = BACKGROUND * self._extent[0] * self._extent[1]

    def scatter(
        self, energy_mj: float, factor: float, random: np.random.Generator
    ) -> Photons:
        """The single photons of a pulse: ring, background and halo, not the spot."""
        n = random.poisson(energy_mj * factor * self._ring)
        radius = random.normal(self.radius, RING_WIDTH, n)
        angle = random.uniform(0, 2 * math.pi, n)
        diffuse = random.random((2, random.poisson(energy_mj * self._background)))
        place = (
            np.append(
                self.centre[0] + radius * np.sin(angle), diffuse[0] * self._extent[0]
            ),
            np.append(
                self.centre[1] + radius * np.cos(angle), diffuse[1] * self._extent[1]
            ),
        )
        row, column = (to_pixels(p, n) for p, n in zip(place, self.shape, strict=True))
        hit = ~(np.isnan(row) | np.isnan(column))
        halo = np.repeat(self._halo, random.poisson(energy_mj * self._halo_density))
        within = random.random((2, len(halo)))
        return Photons(
            np.append(row[hit], halo // self.shape[1] + within[0]),
            np.append(column[hit], halo % self.shape[1] + within[1]),
        )

    def spot(self, energy_mj: float, random: np.random.Generator) -> NDArray[np.int64]:
        """Photons in each of `spot_pixels`."""
        photons: NDArray[np.int64] = random.poisson(energy_mj * self.spot_density)
        return photons
