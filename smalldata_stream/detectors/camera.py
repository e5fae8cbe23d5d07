"""Cameras with one gain: opal, axis, archon, epix100, piranha4."""

from __future__ import annotations

from smalldata_stream.batch import Array
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.tables import Tables
from smalldata_stream.kernels.calibration import calibrate
from smalldata_stream.protocols import Spec


def tables(constants: Constants, raw: Spec, *, gain: bool) -> Tables:
    """The tables ``(pixels,)`` of frames of any integer or float.

    >>> import numpy as np
    >>> constants = Constants(detector="opal", pedestals=np.ones((1, 2, 2), "f4"))
    >>> tables(constants, Spec(dtype=np.dtype("u2"), shape=(2, 2)), gain=False).good.shape
    (2, 2)
    """
    if raw.shape is None:
        raise ValueError(f"{constants.detector}: the shape of its frames is not known")
    return Tables.of(constants, raw.shape, 0, gain=gain)


def calibrated(raw: Array, offset: Array, factor: Array, out: Array) -> None:
    """Calibrate one flat frame."""
    calibrate(raw, offset, factor, out)
