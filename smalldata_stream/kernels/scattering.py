"""Where pixels are as seen from the sample: angles, momentum transfer, corrections.

The frame is that of the detector: x, y in its plane (in psana's geometry x along the rows,
vertical, and y along the columns), z along its normal, away from the sample.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HC_KEV_ANGSTROM = 12.398419843320026
"""Planck's constant times the speed of light (CODATA 2018, exact)."""


class Directions(NamedTuple):
    """Of the pixels as seen from the sample, each of the shape of the positions.

    ``theta`` between beam and scattered ray, ``phi`` around the beam from +y (0) to +x
    (pi / 2), in radian; ``incidence`` the cosine of the angle between ray and normal of
    the detector; ``nearness`` the distance of the detector's plane over that of the
    pixel's own, along the normal.
    """

    theta: Floats
    phi: Floats
    incidence: Floats
    nearness: Floats | float = 1.0


def directions(
    x: Floats,
    y: Floats,
    center: tuple[float, float],
    distance: float,
    tilt: tuple[float, float] = (0.0, 0.0),
    z: Floats | float = 0.0,
) -> Directions:
    """The directions of pixels of a detector.

    Parameters
    ----------
    x, y
        Positions of the pixels.
    center
        Where the beam hits the plane of the detector, in the unit of ``x``.
    distance
        From the sample to the plane, along its normal, in the unit of ``x``.
    tilt
        (tx, ty) in radian: the beam goes along (-sin ty cos tx, sin tx, cos ty cos tx).
    z
        How far behind the plane the pixels are, in the unit of ``x``.

    Notes
    -----
    J. Chem. Phys. 113, 9140 (2000), as in smalldata_tools, but such that the beam itself
    is at theta = 0 for any tilt.

    >>> found = directions(np.array([0.0, 1.0]), np.array([1.0, 0.0]), (0, 0), 1.0)
    >>> np.rad2deg(found.theta).round(6).tolist(), np.rad2deg(found.phi).round(6).tolist()
    ([45.0, 45.0], [0.0, 90.0])
    """
    tx, ty = tilt
    beam = (-math.sin(ty) * math.cos(tx), math.sin(tx), math.cos(ty) * math.cos(tx))
    # The sample is at the origin.
    dx = x - center[0] + distance * beam[0] / beam[2]
    dy = y - center[1] + distance * beam[1] / beam[2]
    dz = distance + z
    r = np.sqrt(dx**2 + dy**2 + dz**2)
    # e_y is y without what it has of the beam; e_x = e_y x beam.
    norm = math.hypot(beam[0], beam[2])
    e_y = (-beam[0] * beam[1] / norm, norm, -beam[1] * beam[2] / norm)
    e_x = (beam[2] / norm, 0.0, -beam[0] / norm)
    along = beam[0] * dx + beam[1] * dy + beam[2] * dz
    to_x = e_x[0] * dx + e_x[2] * dz
    to_y = e_y[0] * dx + e_y[1] * dy + e_y[2] * dz
    # Not the arc cosine: it loses half of the digits near the beam.
    theta = np.arctan2(np.hypot(to_x, to_y), along)
    return Directions(theta, np.arctan2(to_x, to_y) % (2 * np.pi), dz / r, distance / dz)


def momentum_transfer(theta: Floats, wavelength: float) -> Floats:
    """q = 4 pi / wavelength sin(theta / 2), in the inverse of the unit of ``wavelength``.

    >>> float(momentum_transfer(np.array(np.pi), 2.0)).__round__(6)
    6.283185
    """
    q: Floats = 4 * np.pi / wavelength * np.sin(theta / 2)
    return q


def polarization(of: Directions, along_y: float) -> Floats:
    """How much of the intensity a linearly polarised beam scatters there.

    ``along_y`` is the part of the beam's intensity that is polarised along y; the rest is
    along x.

    >>> polarization(Directions(*np.array([[np.pi / 2], [0], [1]])), 1.0).tolist()
    [0.0]
    """
    s = np.sin(of.theta)
    in_y: Floats = 1 - (np.cos(of.phi) * s) ** 2
    in_x: Floats = 1 - (np.sin(of.phi) * s) ** 2
    mixed: Floats = along_y * in_y + (1 - along_y) * in_x
    return mixed


def solid_angle(of: Directions) -> Floats:
    """Solid angle of a pixel relative to one in the plane at normal incidence.

    In the plane it is the cosine of the incidence to the third.

    >>> solid_angle(Directions(*np.array([[0.0], [0.0], [0.5]]))).tolist()
    [0.125]
    """
    angle: Floats = of.incidence**3 * of.nearness**2
    return angle
