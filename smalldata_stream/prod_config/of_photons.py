"""Functions of a prod_config for droplets and photons, in the words of a graph."""

from __future__ import annotations

from smalldata_stream.prod_config.entry import (
    Call,
    Old,
    Steps,
    given,
    mask_of,
    text_of,
    threshold,
    whole,
)


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
    for key in ("roi_mask", "mask"):
        if photons.has(key):
            photons.say(
                key,
                f"{key}={text_of(photons.entry[key])} was not used: the mask is that of "
                "droplets, mask=; rois= counts the photons of regions",
            )
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
