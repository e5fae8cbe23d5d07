"""The table: what functions and lists of a prod_config are in the words of a graph.

One translator per function of the old file, in `FUNCTIONS`; to add one, write a function
that takes the detector's parameters and yields `Call` and `Said`, and a line in the table.
A call whose word does not exist, or whose parameters the word refuses, becomes a comment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from smalldata_stream.prod_config.entry import Old, Steps
from smalldata_stream.prod_config.of_frames import (
    autocorrelation,
    azimuthal,
    azimuthal_pyfai,
    curvature,
    projection,
    roi,
)
from smalldata_stream.prod_config.of_photons import droplets, droplets_to_photons, photons
from smalldata_stream.prod_config.of_waveforms import hits, integral, svd_fit

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
    "get_psplot_configs": "plots are words: .plot.scan(...), docs/plots.md",
    "get_pressio_compression": "its result was not used",
    "get_mectt": "never ran",
    "xdetectors": "only what the graph asks for is read",
}
"""Names that are left out, and why."""
