"""jungfrau: three gains, chosen by each pixel in each event, told by its high bits."""

from __future__ import annotations

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.tables import Tables
from smalldata_stream.kernels.calibration import calibrate_switching
from smalldata_stream.protocols import Spec

GAINS = 3


def tables(constants: Constants, raw: Spec, *, gain: bool) -> Tables:
    """The tables ``(3, pixels)`` of frames ``(segments, rows, columns)`` of uint16.

    >>> constants = Constants(detector="jf", pedestals=np.ones((3, 1, 2, 2), "f4"))
    >>> raw = Spec(dtype=np.dtype("u2"), shape=(1, 2, 2))
    >>> tables(constants, raw, gain=False).offset.shape
    (3, 4)
    """
    if raw.dtype != np.uint16 or raw.shape is None:
        raise ValueError(
            f"{constants.detector}: frames of a jungfrau are uint16 of a known shape, not "
            f"{raw.dtype}{raw.shape}; write calibration='raw'"
        )
    return Tables.of(constants, raw.shape, GAINS, gain=gain)


def calibrated(raw: Array, offset: Array, factor: Array, out: Array) -> None:
    """Calibrate one flat frame; a pixel with the gain bits 10, which none means, is 0."""
    calibrate_switching(raw, offset, factor, out)
