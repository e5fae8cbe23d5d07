"""Bragg peaks by psana's compiled peakFinder8, without psana itself.

Importing psana starts MPI, and psana's Python side may end the process on bad data. Its
peakFinder8 is one compiled file that needs numpy alone: this module, its owner, loads that
file and nothing else of psana.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = ("x", "y", "sum", "index", "npix", "max", "sigma", "snr")
"""What is found of each peak, in this order."""


@cache
def _compiled() -> Callable[..., Any]:
    """psana's function; ImportError where there is none."""
    package = importlib.util.find_spec("psana")
    places = [] if package is None else list(package.submodule_search_locations or ())
    for place in places:
        for suffix in EXTENSION_SUFFIXES:
            file = Path(place) / f"peakfinder8{suffix}"
            if not file.exists():
                continue
            loader = ExtensionFileLoader("psana.peakfinder8", str(file))
            spec = importlib.util.spec_from_file_location(loader.name, file, loader=loader)
            assert spec is not None
            module = importlib.util.module_from_spec(spec)
            loader.exec_module(module)
            found: Callable[..., Any] = module.peakfinder_8
            return found
    where = ", ".join(places) or "no package psana"
    raise ImportError(f"psana's compiled peakFinder8 is not there ({where})")


def available() -> str:
    """Why peaks cannot be found on this machine; an empty text where they can."""
    try:
        _compiled()
    except ImportError as error:
        return str(error)
    return ""


def find_peaks(
    frame: NDArray[np.float32],
    good: NDArray[np.int8],
    radius: NDArray[np.float32],
    panel: tuple[int, int],
    *,
    threshold: float,
    min_snr: float,
    min_pixels: int,
    max_pixels: int,
    background_radius: int,
    most_peaks: int,
) -> NDArray[np.float64]:
    """The peaks of a frame of panels, ``(peaks, 8)``, columns as `COLUMNS` says.

    Parameters
    ----------
    frame
        ``(rows, columns)``, all finite: panels beside and above each other.
    good
        1 = good pixel, else 0, of the same shape.
    radius
        Distance of each pixel from the beam in pixels, not negative.
    panel
        Rows and columns of a panel; peaks and background end at its edges.
    threshold, min_snr, min_pixels, max_pixels, background_radius
        As peakFinder8 has them.
    most_peaks
        Further peaks are not found.

    Notes
    -----
    Barty et al., J. Appl. Cryst. 47, 1118 (2014).

    >>> find_peaks(
    ...     np.zeros((8, 8), np.float32), np.ones((8, 8), np.int8),
    ...     np.zeros((8, 8), np.float32), (8, 8), threshold=1, min_snr=5, min_pixels=1,
    ...     max_pixels=9, background_radius=2, most_peaks=9,
    ... ).shape
    (0, 8)
    """
    rows, columns = panel
    found = _compiled()(
        most_peaks,
        frame,
        good,
        radius,
        columns,
        rows,
        frame.shape[1] // columns,
        frame.shape[0] // rows,
        threshold,
        min_snr,
        min_pixels,
        max_pixels,
        background_radius,
    )
    return np.array(found, np.float64).reshape(len(COLUMNS), -1).T
