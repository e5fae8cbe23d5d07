"""Azimuthal integration: mean intensity in bins of q and of the angle around the beam."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Mask, Values, read_only
from smalldata_stream.kernels import azimuthal as kernels
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.azimuthal_geometry import Map, make_map

Floats = NDArray[np.float64]
Bins = float | Sequence[float] | NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Azimuthal:
    """The mean intensity of each frame in bins of q, and of phi, the angle around the beam.

    Outputs, per event, each ``(phi bins, q bins)``, float64:

    =========  ========================================================================
    ``azav``   sum of the pixels / sum of what each would show of an intensity of 1
               (polarisation x solid angle); NaN where a bin has no good pixel
    ``count``  number of pixels; only with ``counts=True``
    ``sem``    standard error of ``azav``, from the spread of the pixels of the bin; NaN
               below two pixels; only with ``standard_error=True``
    =========  ========================================================================

    What is chained behind it works on ``azav``, with one bin of phi on the profile
    ``(q bins,)``. Bad pixels and pixels that are not finite in the event are left out. The
    value of a pixel is (frame - ``dark``) / ``gain``.

    Parameters
    ----------
    center_um
        (x, y) where the beam hits the plane of the detector, as ``x_um`` and ``y_um``.
    distance_mm
        From the sample to the plane of the detector, along its normal.
    photon_energy_kev
        Of the beam.
    tilt_deg
        (tx, ty) of the detector; see `smalldata_stream.kernels.scattering.directions`.
    poni
        A file of pyFAI that says the four above; the energy may still be given here. x is
        its axis 1, y its axis 2.
    x_um, y_um
        Positions of the pixels, of the shape of the frame; as psana has them, x is
        vertical and y horizontal. Left out, they are those of the detector's geometry, with
        z, too, where its pixels are not in one plane: ``distance_mm`` is then that of their
        mean z.
    pixel_size_um
        Instead of positions: the frame is one grid, the first pixel at (0, 0), x along the
        rows' axis and y along the columns'.
    q_bins
        Width of the bins in 1/Å, which then begin at multiples of it; or their edges.
    q_count
        Instead: that many bins of one width, from the least to the largest q of the good
        pixels.
    phi_bins
        Number of bins around the beam, the first around phi = 0, which is +y; pi / 2 is +x.
        Or their edges in radian, within 0 to 2 pi.
    polarization
        Part of the beam's intensity that is polarised along y (the rest along x): 1 at a
        horizontal undulator. None: not corrected for.
    solid_angle
        Correct for the solid angle of the pixels.
    mask
        True = good pixel, of the shape of the frame; counts together with the detector's.
    threshold_adu
        ``x``: values below x count as 0; ``(low, high)``: values outside count as 0.
    threshold_sigma
        Pixels of the frame below so many times their noise count as 0; the noise is that
        of the detector's constants.
    dark, gain
        Of the shape of the frame. A pixel without a finite dark, or with a gain of 0 or
        none, is bad.
    pixel_splitting
        n: pixels are divided into n x n parts, each of which goes to its own bin.
    counts, standard_error
        Write these, too.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) does not fit the frame.

    Notes
    -----
    q = 4 pi / wavelength sin(theta / 2). J. Chem. Phys. 113, 9140 (2000), in the form of
    ``azimuthalBinning`` of smalldata_tools; mean and standard error are those of pyFAI with
    ``error_model="azimuthal"``. Bins have their lower edge, and the last of given edges
    both; pixels outside all bins are in none.

    Examples
    --------
    >>> ring = Azimuthal(center_um=(75, 75), distance_mm=0.1, photon_energy_kev=9.5,
    ...                  pixel_size_um=75, q_bins=[0, 1, 4], polarization=None)
    >>> spec = Spec(dtype=np.dtype("f4"), shape=(3, 3))
    >>> ring.prepare(spec).compute(np.ones((1, 3, 3), "f4"))["azav"].round(3).tolist()
    [[[1.0, 2.396]]]
    """

    center_um: tuple[float, float] | None = None
    distance_mm: float | None = None
    photon_energy_kev: float | None = None
    tilt_deg: tuple[float, float] = (0.0, 0.0)
    poni: str | None = None
    x_um: Array | None = None
    y_um: Array | None = None
    pixel_size_um: float | None = None
    q_bins: Bins = 5e-3
    q_count: int | None = None
    phi_bins: int | Sequence[float] | NDArray[Any] = 1
    polarization: float | None = 1.0
    solid_angle: bool = True
    mask: Mask | None = None
    threshold_adu: pixels.Threshold = None
    threshold_sigma: float | None = None
    dark: Array | None = None
    gain: Array | None = None
    pixel_splitting: int = 1
    counts: bool = False
    standard_error: bool = False
    name: str = "azav"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "azav")
        _check(self)
        set_ = partial(object.__setattr__, self)
        set_("threshold_adu", pixels.threshold(self.threshold_adu))
        set_("mask", pixels.user_mask(self.mask))
        if self.threshold_sigma is not None:
            pixels.check_positive("threshold_sigma", self.threshold_sigma)
        for name in ("x_um", "y_um", "dark", "gain"):
            if getattr(self, name) is not None:
                set_(name, read_only(np.array(getattr(self, name), np.float64)))

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Find the bin of each pixel."""
        (spec,) = inputs
        made = make_map(self, spec)
        shape = (made.phi_bins, made.q_bins)
        f8 = np.dtype(np.float64)
        where = "per bin of phi and q"
        outputs = {
            "azav": Spec(
                dtype=f8, shape=shape, unit=spec.unit, long_name=f"mean intensity {where}"
            )
        }
        if self.counts:
            outputs["count"] = Spec(
                dtype=f8, shape=shape, long_name=f"number of pixels {where}"
            )
        if self.standard_error:
            outputs["sem"] = Spec(
                dtype=f8, shape=shape, unit=spec.unit, long_name="standard error of azav"
            )
        integrator = _integrator(self, spec, made)
        what = f"azimuthal {self.name!r}"
        levels = pixels.noise_levels(spec, self.threshold_sigma, what)
        levels = None if levels is None else levels.reshape(-1)
        inner = {}
        if made.phi_bins == 1:
            inner["profile"] = replace(outputs["azav"], shape=shape[1:])
        return PerEvent(
            outputs=outputs,
            compute=partial(_compute, integrator, levels, tuple(outputs)),
            chained="profile" if inner else "azav",
            inner=inner,
            config=made.config,
        )


class _Integrator(NamedTuple):
    """What the kernels need beside a frame, which they see as a row of pixels."""

    map: Map
    dark: Array | None
    factor: Array | None
    low: float | None
    high: float | None

    def sums(self, frame: Array, room: Floats, out: Floats) -> bool:
        """The sum of each bin into ``out``; whether all pixels in bins are finite."""
        room[:] = 0.0
        lanes = (room[0], room[1 % len(room)], room[2 % len(room)], room[3 % len(room)])
        m, limits = self.map, (self.low, self.high)
        if m.splitting == 1:
            kernels.add(frame, m.spans, m.bins, self.dark, self.factor, *limits, lanes)
        else:
            parts = (m.pixel, m.bins, m.weight)
            kernels.add_parts(frame, *parts, self.dark, self.factor, *limits, lanes)
        return kernels.total(room, out)

    def spread(self, frame: Array, room: Floats, out: Floats) -> bool:
        """Sums of v, v2 and n v of each bin; whether all pixels in bins are finite."""
        m = self.map
        limits = (self.low, self.high)
        fixed = (m.spans, m.bins, m.norm, self.dark, self.factor)
        return kernels.add_spread(frame, *fixed, *limits, room, out)

    def totals(self, frame: Array, bad: Mask, number: int) -> Floats:
        """The first ``number`` totals over the finite pixels of ``bad`` bins."""
        m, of = self.map, np.zeros((number, self.map.size))
        pixel, weight = (m.pixel, m.weight) if m.splitting > 1 else (None, None)
        limits, asked = (self.low, self.high), np.append(bad, False)
        parts = (pixel, m.bins, weight, m.norm)
        kernels.add_finite(frame, *parts, self.dark, self.factor, *limits, asked, of)
        return of[:, bad]


def _integrator(asked: Azimuthal, spec: Spec, made: Map) -> _Integrator:
    low, high = None, None
    if asked.threshold_adu is not None:
        limits = asked.threshold_adu
        low, high = limits if isinstance(limits, tuple) else (limits, math.inf)
    dark = None if asked.dark is None else asked.dark.reshape(-1)
    factor = None
    if asked.gain is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = 1 / asked.gain.reshape(-1)
    return _Integrator(made, dark, factor, low, high)


def _compute(
    integrator: _Integrator,
    levels: Array | None,
    outputs: tuple[str, ...],
    values: Values,
) -> Mapping[str, Values]:
    made = integrator.map
    n, spread = len(values), "sem" in outputs
    # Sums of v, count, n and, for the spread, v2, n v and n2: see the kernels.
    sums = np.empty((n, made.size))
    count, norm = (np.broadcast_to(of, sums.shape) for of in (made.count, made.norm_of_bin))
    v2, nv = np.empty((2, n, made.size)) if spread else np.empty((2, n, 0))
    n2 = np.broadcast_to(made.norm2_of_bin, sums.shape)
    # Where memory for four does not stay in the cache, one is faster.
    size = made.size + 1
    room = np.empty((size, 4, 4) if spread else (4 if size <= 8192 else 1, size))
    # All bins are bad where nothing has been found.
    found = np.full((3, made.size), np.nan)
    for which, frames in pixels.stacks(values, (math.prod(made.shape),)):
        events = range(which.start, which.stop)
        for event, one in zip(events, frames, strict=True):
            frame, finite = pixels.at_least(one, levels), False
            if not spread:
                finite = integrator.sums(frame, room, found[0])
                sums[event] = found[0]
            elif made.splitting == 1:
                finite = integrator.spread(frame, room, found)
                sums[event], v2[event], nv[event] = found
            if finite:
                continue
            # Only bins that have such a pixel are added up again, without it.
            bad = ~np.isfinite(found[: 3 if spread else 1]).all(axis=0)
            if not count.flags.writeable:
                count, norm, n2 = count.copy(), norm.copy(), n2.copy()
            of_event = integrator.totals(frame, bad, 6 if spread else 3)
            sums[event, bad], count[event, bad], norm[event, bad] = of_event[:3]
            if spread:
                v2[event, bad], nv[event, bad], n2[event, bad] = of_event[3:]
    results: dict[str, Floats] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums / norm
        if spread:
            square = np.maximum(v2 - 2 * mean * nv + mean**2 * n2, 0)
            results["sem"] = np.where(count >= 2, np.sqrt(square) / norm, np.nan)
        results["azav"] = np.where(count > 0, mean, np.nan)
    if "count" in outputs:
        results["count"] = np.array(count)
    shape = (n, made.phi_bins, made.q_bins)
    written = {field: results[field].reshape(shape) for field in outputs}
    if made.phi_bins == 1:
        written["profile"] = written["azav"][:, 0]
    return written


def _check(asked: Azimuthal) -> None:
    """Raise ValueError where parameters are missing, too many, or not of their form."""
    plane = {n: getattr(asked, n) for n in ("center_um", "distance_mm")}
    missing = [n for n, value in plane.items() if value is None]
    if asked.poni is None and (missing or asked.photon_energy_kev is None):
        missing += ["photon_energy_kev"] if asked.photon_energy_kev is None else []
        raise ValueError(f"azimuthal needs {', '.join(missing)}, or poni, a file of pyFAI")
    if asked.poni is not None and (len(missing) < 2 or any(asked.tilt_deg)):
        raise ValueError(
            f"poni={asked.poni!r} says where the detector is: leave out center_um, "
            "distance_mm and tilt_deg"
        )
    for name, value in (
        ("distance_mm", asked.distance_mm),
        ("photon_energy_kev", asked.photon_energy_kev),
        ("pixel_size_um", asked.pixel_size_um),
    ):
        if value is not None and not (_is_number(value) and 0 < value < math.inf):
            raise ValueError(f"{name}={value!r}: write a positive number")
    for name in ("center_um", "tilt_deg"):
        pair = getattr(asked, name)
        if pair is not None and not (
            isinstance(pair, (tuple, list))
            and len(pair) == 2
            and all(map(_is_number, pair))
        ):
            raise ValueError(f"{name}={pair!r}: write two numbers, (x, y)")
    if max(map(abs, asked.tilt_deg)) >= 90:
        raise ValueError(f"tilt_deg={asked.tilt_deg!r}: write angles below 90 degrees")
    if asked.polarization is not None and not (
        _is_number(asked.polarization) and 0 <= asked.polarization <= 1
    ):
        raise ValueError(
            f"polarization={asked.polarization!r}: write the part that is polarised along "
            "y, from 0 to 1, or None"
        )
    if asked.q_count is not None and not pixels.is_count(asked.q_count):
        raise ValueError(f"q_count={asked.q_count!r}: write a number of bins, 1 or more")
    n: Any = asked.pixel_splitting
    if not (isinstance(n, (int, np.integer)) and 1 <= n <= 16):
        raise ValueError(f"pixel_splitting={n!r}: write a whole number, 1 to 16")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isfinite(value)
