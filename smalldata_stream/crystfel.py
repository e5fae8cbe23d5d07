"""Positions of pixels from CrystFEL's geometry files: the owner of cfelpyutils."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np

from smalldata_stream.errors import ConstantsError
from smalldata_stream.positions import Positions


def crystfel_positions(path: Path | str, shape: tuple[int, ...]) -> Positions:
    """The positions of the pixels of frames of ``shape`` as a ``.geom`` file says.

    The file describes its panels in one slab of rows, which are those of all segments one
    below the other. CrystFEL's x (to the left along the beam) goes along the columns of
    the image, its y (upwards) against the rows.

    Raises
    ------
    ConstantsError
        If cfelpyutils is not installed, cannot read the file, or the file is of another
        detector.
    """
    if not Path(path).is_file():
        raise ConstantsError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():  # of its own old-fashioned type annotations
            warnings.simplefilter("ignore", DeprecationWarning)
            from cfelpyutils.geometry import compute_pix_maps, load_crystfel_geometry
    except ImportError:
        raise ConstantsError(
            f"{path}: reading a CrystFEL geometry needs cfelpyutils; install "
            "smalldata_stream[crystfel]"
        ) from None
    try:
        detector = load_crystfel_geometry(str(path)).detector
        maps = compute_pix_maps(detector)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        raise ConstantsError(f"{path}: cfelpyutils cannot read it: {error}") from error
    sizes = {panel["res"] for panel in detector["panels"].values()}
    if len(sizes) != 1 or not min(sizes) > 0:
        raise ConstantsError(f"{path}: panels need one pixel size (res), not {sizes}")
    if maps.x.size != math.prod(shape):
        raise ConstantsError(
            f"{path}: it has {maps.x.shape} pixels, the frames are {shape}"
        )
    pixel_um = 1e6 / sizes.pop()
    x, y, z = (np.reshape(one, shape) for one in (maps.x, maps.y, maps.z))
    return Positions.of(-y * pixel_um, x * pixel_um, z * 1e6, pixel_um=pixel_um)
