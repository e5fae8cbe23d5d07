"""Functions of a prod_config for frames, in the words of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalldata_stream.prod_config.entry import (
    AS_NONE,
    Call,
    Old,
    Said,
    Steps,
    as_lined,
    given,
    mask_of,
    threshold,
    whole,
)
from smalldata_stream.prod_config.of_photons import droplets


def roi(old: Old) -> Steps:
    """An entry of getROIs, with its projections; of LCLS-I, with a list of boxes."""
    boxes = old.take("ROIs")
    if isinstance(boxes, list):
        for number, box in enumerate(boxes):
            entry = {key: one for key, one in old.entry.items() if key != "ROIs"}
            name = {"name": f"ROI_{number}", "ROI": box}
            yield from roi(Old(old.what, old.line, as_lined(entry | name)))
        return
    then = []
    projections = old.take("pj") or ()
    for one in [projections] if isinstance(projections, dict) else projections:
        inner = Old(f"{old.what} pj", old.at("pj"), as_lined(one))
        then += [step for step in projection(inner) if isinstance(step, Call)]
        old.said += inner.said
    if old.has("proj_ax"):
        axis = old.take("proj_ax")
        then.append(Call("projection", {"axis": axis}, old.at("proj_ax")))
    area = old.take("writeArea", default=False)
    parameters = {"name": old.take("name", "ROI"), "bounds": old.take("ROI")}
    more = given(area=area or None, threshold_adu=threshold(old), mask=mask_of(old))
    old.ignore("calcPars")
    yield Call("roi", given(**parameters) | more, old.line, tuple(then))
    yield from old.rest()


def projection(old: Old, axis: int | None = None) -> Steps:
    """projectionFunc, with its own or the function's axis."""
    parameters = given(
        axis=old.take("axis", axis if axis is not None else -1),
        mean=old.take("mean", default=False) or None,
        threshold_adu=threshold(old),
        threshold_sigma=old.take("thresRms"),
        single_photon=old.take("singlePhoton", default=False) or None,
        name=old.take("name"),
    )
    yield Call("projection", parameters, old.line)
    yield from old.rest()


def azimuthal(old: Old) -> Steps:
    """azimuthalBinning."""
    center = old.take("center")
    low, high = old.take("thresADU"), old.take("thresADUhigh")
    limits = low if high is None else (float("-inf") if low is None else low, high)
    if old.take("polCorr", default=True):
        polarization = old.take("Pplane")
        if polarization is None:
            old.said.append(
                Said(
                    old.line,
                    f"{old.what}: Pplane was 0 (vertical) unless given; here it is 1",
                )
            )
    else:
        old.ignore("Pplane")
        polarization = AS_NONE
    tilt = (old.take("tx", 0), old.take("ty", 0))
    yield Call(
        "azimuthal",
        given(
            center_um=tuple(center) if center else None,
            distance_mm=old.take("dis_to_sam"),
            photon_energy_kev=old.take("eBeam"),
            tilt_deg=tilt if any(tilt) else None,
            q_bins=old.take("qbin"),
            phi_bins=old.take("phiBins"),
            polarization=polarization,
            solid_angle=None if old.take("geomCorr", default=True) else False,
            threshold_adu=tuple(limits) if isinstance(limits, list) else limits,
            threshold_sigma=old.take("thresRms"),
            mask=mask_of(old),
            name=old.take("name"),
        ),
        old.line,
    )
    old.ignore("ADU_per_photon", "ADU_per_Photon", "square")
    yield from old.rest()


KEV_ANGSTROM = 12.398419843
"""Photon energy times wavelength."""


def azimuthal_pyfai(old: Old) -> Steps:
    """azav_pyfai: geometry from a .poni file, or given without rotations."""
    geometry: Mapping[str, Any] = old.take("ai_kwargs") or {}
    rotated = [name for name in ("rot1", "rot2", "rot3") if geometry.get(name)]
    if rotated:
        old.say("ai_kwargs", f"{', '.join(rotated)}: write a .poni file, and poni=")
    wavelength = geometry.get("wavelength")
    center = [
        round(1e6 * geometry[name], 6) for name in ("poni1", "poni2") if name in geometry
    ]
    unit = old.take("int_units", "2th_deg")
    if unit != "q_A^-1":
        old.say("int_units", f"bins are in q (1/A), not in {unit}")
    yield Call(
        "azimuthal",
        given(
            poni=old.take("poni_file"),
            center_um=tuple(center) if len(center) == 2 else None,
            distance_mm=round(1e3 * geometry["dist"], 6) if "dist" in geometry else None,
            photon_energy_kev=round(KEV_ANGSTROM / (1e10 * wavelength), 6)
            if wavelength
            else None,
            pixel_size_um=round(1e6 * geometry["pixel1"], 6)
            if "pixel1" in geometry
            else None,
            q_count=whole(old.take("npts", 256)),
            polarization=polarization_of(old),
            phi_bins=old.take("npts_az") if old.take("return2d", default=False) else None,
            threshold_adu=old.take("thres"),
            mask=mask_of(old),
            name=old.take("name", "pyfai"),
        ),
        old.line,
    )
    old.ignore("azav_kwargs")
    yield from old.rest()


def polarization_of(old: Old) -> float | str | None:
    """pyFAI's factor, from -1 (vertical) to 1, as the part polarised along y.

    >>> polarization_of(Old("azav", 1, as_lined({"polarization_factor": 0.9})))
    0.95
    """
    if "polarization_factor" not in old.entry:
        return None
    factor = old.take("polarization_factor")
    return AS_NONE if factor is None else (1 + factor) / 2


def autocorrelation(old: Old) -> Steps:
    """Autocorrelation."""
    lags = old.take("save_range")
    yield Call(
        "autocorrelation",
        given(
            lags=tuple(lags) if lags else None,
            threshold_adu=threshold(old),
            lineouts=old.take("save_lineout", default=False) or None,
            mask=mask_of(old),
            name=old.take("name"),
        ),
        old.line,
    )
    if old.has("illumination_correction"):
        old.say("illumination_correction", "illumination_correction has no counterpart")
    yield from old.rest()


def curvature(old: Old) -> Steps:
    """PolynomialCurveCorrection, of frames or of a frame of the droplets in them."""
    then: tuple[Call, ...] = ()
    if old.has("projection"):
        axis = as_lined(old.take("projection")).get("axis", -1)
        then = (Call("projection", {"axis": axis}, old.at("projection")),)
    parameters = given(
        coefficients=old.take("polynomial_coefficients"), axis=old.take("axis"), area=True
    )
    straight = Call("curvature", parameters, old.line, then)
    old.ignore("method")
    if old.has("droplet"):
        frame = Call("unsparsify", {}, old.line, (straight,))
        for step in droplets(old.part("droplet")):
            if isinstance(step, Call):
                numbers = {**step.parameters, "sparse": False}
                yield Call("droplets", numbers, step.line, (frame,))
            else:
                yield step
    else:
        yield straight
    yield from old.rest()
