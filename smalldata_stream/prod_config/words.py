"""The table: what functions and lists of a prod_config are in the words of a graph.

One translator per function of the old file, in `FUNCTIONS`; to add one, write a function
that takes the detector's parameters and yields `Call` and `Said`, and a line in the table.
A call whose word does not exist, or whose parameters the word refuses, becomes a comment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

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
    window_of,
)

# ------------------------------------------------------------------------ translators


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
            polarization=old.take("polarization_factor"),
            phi_bins=old.take("npts_az") if old.take("return2d", default=False) else None,
            threshold_adu=old.take("thres"),
            mask=mask_of(old),
            name=old.take("name", "pyfai"),
        ),
        old.line,
    )
    old.ignore("azav_kwargs")
    yield from old.rest()


def droplets(old: Old) -> Steps:
    """dropletFunc and what is made of it."""
    high, low = old.take("threshold", 5), old.take("thresholdLow")
    sigma = old.take("useRms", default=True)
    unit = "sigma" if sigma else "adu"
    yield Call(
        "droplets",
        given(
            **{f"threshold_{unit}": high, f"threshold_low_{unit}": low},
            droplet_adu=threshold(old),
            pixel_max_adu=old.take("pixmax"),
            n_data=whole(old.take("nData")),
            mask=mask_of(old),
            name=old.take("name"),
        ),
        old.line,
    )
    old.ignore("relabel")
    yield from old.rest()


def droplets_to_photons(old: Old) -> Steps:
    """dropletFunc, and photons of the droplets."""
    inner, photons = old.part("droplet"), old.part("d2p")
    then = Call(
        "droplet2photon",
        given(
            adu_per_photon=photons.take("aduspphot"),
            n_data=whole(old.take("nData")),
        ),
        photons.line,
    )
    photons.ignore("cputime")
    for step in droplets(inner):
        if isinstance(step, Call):
            yield Call(step.word, step.parameters, step.line, (then,))
        else:
            yield step
    yield from photons.rest()
    old.ignore("get_photon_img")
    yield from old.rest()


def photons(old: Old) -> Steps:
    """photonFunc."""
    yield Call(
        "photons",
        given(
            adu_per_photon=old.take("ADU_per_photon", 154),
            fraction=old.take("thr_fraction"),
            threshold_adu=threshold(old),
            name=old.take("name"),
        ),
        old.line,
    )
    yield from old.rest()


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


def integral(old: Old) -> Steps:
    """WfIntegration."""
    yield Call(
        "integral",
        given(
            signal=window_of(old, "sig_roi"),
            background=window_of(old, "bkg_roi"),
            negative=old.take("negative_signal", default=False) or None,
            name=old.take("name"),
        ),
        old.line,
    )
    yield from old.rest()


def hits(old: Old) -> Steps:
    """SimpleHitFinder."""
    sigma = old.take("use_rms", default=True)
    most = old.take("threshold_max", old.take("treshold_max"))
    yield Call(
        "hits",
        given(
            threshold=old.take("threshold"),
            in_sigma=sigma or None,
            background=window_of(old, "bkg_roi") if sigma else None,
            most=None if sigma else most,
            name=old.take("name"),
        ),
        old.line,
    )
    if sigma and most is not None:
        old.say("threshold_max", f"threshold_max={most}: most= is over the background here")
    old.ignore("bkg_roi")
    yield from old.rest()


def svd_delays(old: Old) -> tuple[int, ...] | None:
    """Delays of several pulses, in samples."""
    pulses, delays = old.take("n_pulse"), old.take("delay")
    sampling = old.take("sampling", 1)
    if pulses in (None, 1) or not isinstance(delays, list | tuple):
        return None
    return tuple(round(delay / sampling) for delay in delays)


def svd_fit(old: Old) -> Steps:
    """SvdFit; of a list of entries, each is for one channel."""
    intensity = old.take("mode")
    if intensity == "both":
        old.say("mode", "mode='both': intensity= is 'norm' or 'max'; norm is written")
        intensity = "norm"
    basis = old.take("basis_file")
    channel = old.take(CHANNEL)
    name = "svdFit" if channel is None else f"svdFit_ch{channel}"
    yield Call(
        "svd_fit",
        given(
            basis=basis,
            components=old.take("n_components"),
            delays=svd_delays(old),
            intensity=intensity,
            name=old.take("name", name),
        ),
        old.line,
        field="" if channel is None else f"raw_{channel}",
        refused=(
            f"basis_file={basis!r}: write a basis with 'smalldata-stream basis', which "
            "has the windows, too"
        ),
    )
    if not old.take("return_reconstructed", default=False):
        old.ignore("return_reconstructed")
    else:
        old.say("return_reconstructed", "the fitted waveform is not written")
    yield from old.rest()


def curvature(old: Old) -> Steps:
    """PolynomialCurveCorrection."""
    then: tuple[Call, ...] = ()
    if old.has("projection"):
        axis = as_lined(old.take("projection")).get("axis", -1)
        then = (Call("projection", {"axis": axis}, old.at("projection")),)
    yield Call(
        "curvature",
        given(
            coefficients=old.take("polynomial_coefficients"),
            axis=old.take("axis"),
            area=True,
        ),
        old.line,
        then,
    )
    old.ignore("method")
    yield from old.rest()


CHANNEL = "channel of the old list"
"""Key of an entry under which the place that it had in a list is found."""

Translator: TypeAlias = Callable[[Old], Steps]

FUNCTIONS: Mapping[str, Translator] = {
    "getROIs": roi,
    "getROI": roi,
    "getProjection": projection,
    "getProjection_ax0": lambda old: projection(old, 0),
    "getProjection_ax1": lambda old: projection(old, 1),
    "getAzIntParams": azimuthal,
    "get_azav": azimuthal,
    "getAzIntPyFAIParams": azimuthal_pyfai,
    "get_azav_pyfai": azimuthal_pyfai,
    "get_droplet": droplets,
    "getDropletParams": droplets,
    "get_droplet2photon": droplets_to_photons,
    "getDroplet2Photons": droplets_to_photons,
    "getPhotonParams": photons,
    "get_photon": photons,
    "getAutocorrParams": autocorrelation,
    "get_autocorr": autocorrelation,
    "get_wf_integrate": integral,
    "get_wf_hitfinder": hits,
    "get_wf_svd": svd_fit,
    "getSvdParams": svd_fit,
    "get_polynomial_correction": curvature,
}
"""Functions that return ``{detector: entry}`` or ``{detector: [entry, ...]}``."""

OF_WAVEFORMS: Iterable[str] = ("integral", "hits", "svd_fit")
"""Words that work on the traces of a wave8, its field ``raw_all``."""

OF_CHANNELS: Iterable[str] = ("get_wf_svd", "getSvdParams")
"""Functions whose lists have one entry for each channel."""

HAVE_NO_MEANING: Mapping[str, str] = {
    "getDetImages": "was read and not used",
    "slow_detectors": "was read and not used",
    "integrating_detectors": "was read and not used",
    "get_psplot_configs": "plots are words: .plot.scan(...), docs/plots.md",
    "get_pressio_compression": "its result was not used",
    "get_mectt": "never ran",
    "xdetectors": "only what the graph asks for is read",
}
"""Names that are left out, and why."""
