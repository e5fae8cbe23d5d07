"""Geometry from pyFAI's ``.poni`` files: the only module that knows pyFAI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from smalldata_stream.kernels.scattering import Directions, Floats


def directions(
    path: Path | str, x_um: Floats, y_um: Floats, z_um: Floats | float = 0.0
) -> Directions:
    """The directions of pixels as the file says.

    ``x_um`` and ``y_um`` are the positions of the centres of the pixels along pyFAI's axes
    1 (rows) and 2 (columns), from the corner of the detector: half a pixel for the first;
    ``z_um`` is how far behind the plane of the detector they are.

    Raises
    ------
    ValueError
        If pyFAI is not installed, or cannot read the file.
    """
    ai = _loaded(path)
    detector = ai.detector
    rows = x_um * 1e-6 / detector.pixel1 - 0.5
    columns = y_um * 1e-6 / detector.pixel2 - 0.5
    behind = np.asarray(z_um) * 1e-6
    if behind.any():
        # pyFAI's compiled code takes one height for all pixels, its numpy one for each.
        flat = [a.ravel() for a in np.broadcast_arrays(behind, rows, columns)]
        made = ai.calc_pos_zyx(*flat, use_cython=False)
        z, along_1, along_2 = (a.reshape(rows.shape) for a in made)
    else:
        z, along_1, along_2 = ai.calc_pos_zyx(d1=rows, d2=columns)
    r = np.sqrt(z**2 + along_1**2 + along_2**2)
    theta = np.arctan2(np.hypot(along_1, along_2), z)
    height = ai.dist + behind
    return Directions(
        theta,
        np.arctan2(along_1, along_2) % (2 * np.pi),
        height / r,
        ai.dist / height,
    )


def wavelength_angstrom(path: Path | str) -> float | None:
    """The wavelength that the file says, in Å; None where it says none."""
    metres = _loaded(path).wavelength
    return None if metres is None else float(metres) * 1e10


def pixel_size_um(path: Path | str) -> tuple[float, float]:
    """Size of a pixel along the rows' axis and along the columns', in µm."""
    detector = _loaded(path).detector
    return float(detector.pixel1) * 1e6, float(detector.pixel2) * 1e6


def _loaded(path: Path | str) -> Any:
    try:
        import pyFAI
    except ImportError as error:
        raise ValueError(
            f"poni={str(path)!r} needs pyFAI: pip install 'smalldata_stream[pyfai]', or "
            "write center_um, distance_mm and photon_energy_kev instead"
        ) from error
    if not Path(path).is_file():
        raise ValueError(f"poni={str(path)!r}: there is no such file")
    try:
        return pyFAI.load(str(path))
    except (KeyError, ValueError, RuntimeError, OSError) as error:
        raise ValueError(f"poni={str(path)!r}: pyFAI cannot read it: {error}") from error
