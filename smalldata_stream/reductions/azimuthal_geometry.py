"""Which bin of q and phi each pixel is in, and what it shows there of an intensity of 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream import poni
from smalldata_stream.batch import Array, Mask
from smalldata_stream.kernels import scattering
from smalldata_stream.kernels.azimuthal import spans_of
from smalldata_stream.kernels.scattering import Directions
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions import pixels

if TYPE_CHECKING:
    from smalldata_stream.reductions.azimuthal import Azimuthal

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """The bins of the pixels of one detector.

    ``pixel``, ``bins`` and ``weight`` are ``(parts,)``: of which pixel, to which bin, how
    much of it; one part for each pixel unless they are split. Bin number ``size`` is for
    what is in none. ``norm`` is per pixel; ``count``, ``norm_of_bin`` and ``norm2_of_bin``,
    the sum of its squares, per bin. ``spans`` are the stretches of pixels that are in bins,
    unless they are split.
    """

    shape: tuple[int, ...]
    phi_bins: int
    q_bins: int
    splitting: int
    pixel: NDArray[np.int32]
    bins: NDArray[np.unsignedinteger[Any]]
    weight: NDArray[np.float32]
    norm: Floats
    count: Floats
    norm_of_bin: Floats
    norm2_of_bin: Floats
    spans: NDArray[np.int64]
    config: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Number of bins."""
        return self.phi_bins * self.q_bins


def make_map(asked: Azimuthal, spec: Spec) -> Map:
    """The map for frames ``spec``; ValueError where parameters do not fit them."""
    what = f"azimuthal {asked.name!r}"
    shape = pixels.frame_shape(spec, what)
    x, y = positions(asked, spec, what)
    good = _good(asked, spec, what)
    wavelength = _wavelength(asked)
    z = behind(asked, spec)
    centres = _directions(asked, x, y, z)
    q = scattering.momentum_transfer(centres.theta, wavelength)
    norm = np.ones(shape)
    if asked.polarization is not None:
        norm = norm * scattering.polarization(centres, float(asked.polarization))
    if asked.solid_angle:
        norm = norm * scattering.solid_angle(centres)
    good = good & (norm > 0) & np.isfinite(q)
    if not good.any():
        raise ValueError(
            f"{what}: no pixel of {shape} is good; look at the masks, and at positions and "
            "centre"
        )
    q_edges = _q_edges(asked.q_bins, q[good])
    if asked.q_count is not None:
        q_edges = np.linspace(q[good].min(), q[good].max(), int(asked.q_count) + 1)
    n = int(asked.pixel_splitting)
    shifts = [(0.0, 0.0)] if n == 1 else _shifts(n)
    phi_bins, phi_centres = _phi_bins(asked.phi_bins)
    bins = np.empty((math.prod(shape), len(shifts)), np.int64)
    row, column = (None, None) if n == 1 else _steps(x, y, what)
    none = phi_bins * (len(q_edges) - 1)
    for k, (dr, dc) in enumerate(shifts):
        at = centres
        if row is not None and column is not None:
            sub_x = x + dr * row[0] + dc * column[0]
            at = _directions(asked, sub_x, y + dr * row[1] + dc * column[1], z)
        in_q = _bin_of(scattering.momentum_transfer(at.theta, wavelength), q_edges)
        in_phi = _bin_of_phi(at.phi, asked.phi_bins)
        inside = good & (in_q >= 0) & (in_phi >= 0)
        number = in_phi * (len(q_edges) - 1) + in_q
        bins[:, k] = np.where(inside, number, none).reshape(-1)
    pixel, bins, weight = _parts(bins, none)
    flat = norm.reshape(-1)
    count: Floats = np.bincount(bins, weight, none + 1)[:-1].astype(np.float64)
    of_bin: Floats = np.bincount(bins, weight * flat[pixel], none + 1)[:-1].astype(
        np.float64
    )
    # One after the other, as the sums of an event are that has pixels to leave out.
    of_bin2: Floats = np.bincount(bins, weight**2 * flat[pixel] ** 2, none + 1)[:-1].astype(
        np.float64
    )
    narrow = np.uint16 if none < 2**16 else np.uint32
    q_centres = 0.5 * (q_edges[1:] + q_edges[:-1])
    sine = np.clip(q_centres * wavelength / (4 * np.pi), 0, 1)
    config = {
        "q": q_centres,
        "qbins": q_edges,
        "theta": 2 * np.arcsin(sine),
        "phiVec": phi_centres,
        "nphi": phi_bins,
        "nq": len(q_centres),
        "wavelength": wavelength,
        "matrix_q": q,
        "matrix_theta": centres.theta,
        "matrix_phi": centres.phi,
        "correction": norm,
        "Cake_norm": count.reshape(phi_bins, -1),
        "mask": good,
    }
    return Map(
        shape,
        phi_bins,
        len(q_centres),
        n,
        pixel.astype(np.int32),
        bins.astype(narrow),
        weight.astype(np.float32),
        flat,
        count,
        of_bin,
        of_bin2,
        spans_of(bins != none) if n == 1 else np.empty((0, 2), np.int64),
        config,
    )


def positions(asked: Azimuthal, spec: Spec, what: str) -> tuple[Floats, Floats]:
    """x and y of the pixels, of the shape of the frame."""
    shape = spec.shape or ()
    if (asked.x_um is None) != (asked.y_um is None):
        raise ValueError(f"{what}: x_um and y_um go together; one is missing")
    if asked.x_um is not None and asked.y_um is not None:
        if asked.x_um.shape != shape or asked.y_um.shape != shape:
            raise ValueError(
                f"{what}: x_um is {asked.x_um.shape}, y_um {asked.y_um.shape}, the frame "
                f"{shape}; give one value for each pixel"
            )
        return asked.x_um, asked.y_um
    size, corner = (asked.pixel_size_um, asked.pixel_size_um), 0.0
    if asked.poni is not None:
        size, corner = poni.pixel_size_um(asked.poni), 0.5
    where = spec.positions
    if where is not None and asked.pixel_size_um is None:
        x, y = where.x.astype(np.float64), where.y.astype(np.float64)
        if asked.poni is None or size[0] is None or size[1] is None:
            return x, y
        # pyFAI counts from the corner of the assembled image.
        x0, y0, _ = where.origin
        return x - x0 + corner * size[0], y - y0 + corner * size[1]
    flat = tuple(n for n in shape if n > 1)
    if size[0] is None or size[1] is None or len(flat) != 2:
        raise ValueError(
            f"{what}: the positions of {shape} pixels are not known; give x_um and y_um, "
            "of the shape of the frame, or pixel_size_um where it is one grid of rows and "
            "columns, or constants with positions (smalldata-stream constants fetch)"
        )
    rows, columns = np.indices(flat, dtype=np.float64)
    x, y = (rows + corner) * size[0], (columns + corner) * size[1]
    return x.reshape(shape), y.reshape(shape)


def behind(asked: Azimuthal, spec: Spec) -> Floats | float:
    """How far behind their mean z the pixels are; 0 where all are in one plane."""
    where = spec.positions
    if where is None or asked.pixel_size_um is not None or asked.x_um is not None:
        return 0.0
    z: Floats = where.z.astype(np.float64) - where.origin[2]
    return z if z.any() else 0.0


def _good(asked: Azimuthal, spec: Spec, what: str) -> Mask:
    shape = spec.shape or ()
    found = pixels.good_pixels(spec, asked.mask, what)
    good = np.ones(shape, bool) if found is None else found
    for name, image in (("dark", asked.dark), ("gain", asked.gain)):
        if image is None:
            continue
        if image.shape != shape:
            raise ValueError(
                f"{what}: {name} is {image.shape}, the frame {shape}; give one value for "
                "each pixel"
            )
        good = good & np.isfinite(image) & ((image != 0) | (name == "dark"))
    return good


def _wavelength(asked: Azimuthal) -> float:
    if asked.photon_energy_kev is not None:
        return scattering.HC_KEV_ANGSTROM / float(asked.photon_energy_kev)
    found = poni.wavelength_angstrom(asked.poni or "")
    if found is None:
        raise ValueError(f"{asked.poni} says no wavelength: write photon_energy_kev, too")
    return found


def _directions(asked: Azimuthal, x: Floats, y: Floats, z: Floats | float) -> Directions:
    if asked.poni is not None:
        return poni.directions(asked.poni, x, y, z)
    assert asked.center_um is not None
    assert asked.distance_mm is not None
    tx, ty = np.deg2rad(asked.tilt_deg)
    center = (float(asked.center_um[0]), float(asked.center_um[1]))
    return scattering.directions(x, y, center, 1e3 * asked.distance_mm, (tx, ty), z)


def _q_edges(given: Any, q: Floats) -> Floats:
    edges = np.asarray(given, np.float64)
    if edges.ndim == 0 and 0 < edges < math.inf:
        width = float(edges)
        first, last = math.floor(q.min() / width), math.floor(q.max() / width) + 1
        if last - first > 1_000_000:
            raise ValueError(f"q_bins={given!r} makes {last - first} bins; write a width")
        return np.arange(first, last + 1) * width
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(
            f"q_bins={given!r}: write the width of the bins in 1/Å, such as 0.005, or "
            "their increasing edges"
        )
    return edges


def _phi_bins(given: Any) -> tuple[int, Floats]:
    """Number of bins and their centres."""
    if isinstance(given, (int, np.integer)) and given >= 1:
        return int(given), np.arange(float(given)) * (2 * np.pi / int(given))
    edges = np.asarray(given, np.float64)
    if (
        edges.ndim != 1
        or len(edges) < 2
        or not (np.diff(edges) > 0).all()
        or edges[0] < 0
        or edges[-1] > 2 * np.pi
    ):
        raise ValueError(
            f"phi_bins={given!r}: write a number of bins, or their increasing edges in "
            "radian, from 0 to 2 pi at most"
        )
    return len(edges) - 1, 0.5 * (edges[1:] + edges[:-1])


def _bin_of(value: Floats, edges: Floats) -> NDArray[np.int64]:
    """The bin of each value, -1 where it is in none."""
    number = np.searchsorted(edges, value, side="right") - 1
    last = len(edges) - 1
    number = np.where(value == edges[-1], last - 1, number)
    return np.where((number < 0) | (number >= last), -1, number).astype(np.int64)


def _bin_of_phi(phi: Floats, given: Any) -> NDArray[np.int64]:
    if isinstance(given, (int, np.integer)):
        width = 2 * np.pi / given
        phi = np.where(np.isfinite(phi), phi, 0.0)  # in no bin of q: any will do
        number: NDArray[np.int64] = ((phi + width / 2) // width).astype(np.int64) % given
        return number
    return _bin_of(phi, np.asarray(given, np.float64))


def _shifts(n: int) -> list[tuple[float, float]]:
    """The middles of n x n parts of a pixel, in pixels from its own."""
    at = (np.arange(n) + 0.5) / n - 0.5
    return [(float(r), float(c)) for r in at for c in at]


def _steps(x: Floats, y: Floats, what: str) -> tuple[Any, Any]:
    """From a pixel to the next row and to the next column: (x, y), one for each tile."""
    if x.ndim < 2 or x.shape[-2] < 2 or x.shape[-1] < 2:
        raise ValueError(f"{what}: pixel_splitting needs rows and columns, not {x.shape}")
    steps = []
    for axis in (-2, -1):
        # The median: pixels at the edges of chips may be larger.
        pair = [
            np.median(np.diff(a, axis=axis), axis=(-2, -1), keepdims=True) for a in (x, y)
        ]
        steps.append(pair)
    return steps[0], steps[1]


def _parts(bins: NDArray[np.int64], none: int) -> tuple[Array, Array, Array]:
    """(pixel, bin, weight) of all parts; those of one pixel in one bin as one."""
    n, of_each = bins.shape
    if of_each == 1:
        return np.arange(n), bins[:, 0], np.ones(n)
    bins = np.sort(bins, axis=1)
    new = np.ones(bins.shape, bool)
    new[:, 1:] = bins[:, 1:] != bins[:, :-1]
    first = np.flatnonzero(new)
    # As the kernels have it: what sums are divided by must have the same rounding.
    weight = (np.diff(first, append=bins.size) / of_each).astype(np.float32).astype(float)
    number = bins.reshape(-1)[first]
    kept = number < none
    return (first // of_each)[kept], number[kept], weight[kept]
