"""What of a calibration is kept in ``/UserDataCfg``, under the names of smalldata_tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Mask
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.common_mode import CommonMode
from smalldata_stream.detectors.family import Kind
from smalldata_stream.detectors.ghost import Ghost

NAMES = {
    "pedestals": "ped",
    "pixel_gain": "gain",
    "pixel_offset": "offset",
    "pixel_rms": "rms",
    "pixel_status": "pixel_status",
    "pixel_x": "x",
    "pixel_y": "y",
    "pixel_z": "z",
    "image_row": "ix",
    "image_column": "iy",
    "ghost_p0": "ghost_p0",
    "ghost_p1": "ghost_p1",
}
"""Constants and what smalldata_tools calls them."""


def kept(
    kind: Kind,
    constants: Constants | None,
    good: Mask | None,
    common_mode: CommonMode | None = None,
    local_gain: float | Array | None = None,
    ghost: Ghost | None = None,
) -> Mapping[str, Any]:
    """How the frames were calibrated and with what: constants, their hash, the mask.

    >>> constants = Constants(detector="cam", pedestals=np.ones((1, 2)))
    >>> sorted(kept("pedestal", constants, np.ones((1, 2), bool)))
    ['calibration', 'constants_sha256', 'mask', 'ped']
    """
    config: dict[str, Any] = {"calibration": kind}
    if good is not None:
        config["mask"] = good
    if constants is not None:
        config |= {NAMES[k]: a for k, a in constants.arrays().items() if k in NAMES}
        config["constants_sha256"] = constants.digest
    if common_mode is not None:
        config["common_mode"] = common_mode.method
        pars = (common_mode.most_adu, float(common_mode.least_pixels))
        config["common_mode_pars"] = np.array(pars)
    if local_gain is not None:
        config["local_gain"] = local_gain
    if ghost is not None:
        config["ghost_most_ms"] = ghost.most_ms
    return config
