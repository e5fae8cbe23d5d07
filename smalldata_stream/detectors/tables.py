"""Calibration constants as the tables that the kernels read, shaped as the frames are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Mask
from smalldata_stream.constants import Constants
from smalldata_stream.errors import ConstantsError

Kernel: TypeAlias = Callable[[Array, Array, Array, Array], None]
"""``(raw, offset, factor, out)``, flat but for an axis of gains of the two tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """calibrated = (raw - offset) * factor, for pixels that are ``good``.

    ``offset`` and ``factor`` are ``(*gain modes, pixels)`` float32, ``good`` has the shape
    of the frame.
    """

    offset: NDArray[np.float32]
    factor: NDArray[np.float32]
    good: Mask

    @classmethod
    def of(
        cls, constants: Constants, shape: tuple[int, ...], modes: int, *, gain: bool
    ) -> Tables:
        """The tables of a detector with ``modes`` gains (0: it has but one, no axis)."""
        full = (modes, *shape) if modes else shape
        pedestals = _fitted(constants, "pedestals", full)
        pixel_offset = _fitted(constants, "pixel_offset", full)
        pixel_gain = _fitted(constants, "pixel_gain", full)
        assert pedestals is not None
        offset = pedestals if pixel_offset is None else pedestals + pixel_offset
        factor = np.ones_like(offset)
        if gain and pixel_gain is not None:
            some = pixel_gain != 0
            ones = np.ones_like(pixel_gain)
            factor = np.divide(ones, pixel_gain, out=np.zeros_like(ones), where=some)
        usable = np.isfinite(offset) & np.isfinite(factor) & (factor != 0)
        good = good_in(constants, shape) & (usable.any(axis=0) if modes else usable)
        # 0 * (raw - 0) is +0; with a NaN in the table it would not be 0 at all.
        offset, factor = np.where(usable, offset, 0), np.where(usable, factor, 0)
        flat = (modes, -1) if modes else (-1,)
        return cls(
            offset.astype(np.float32).reshape(flat),
            factor.astype(np.float32).reshape(flat),
            good,
        )

    def restricted(self, good: Mask) -> Tables:
        """The tables that make every pixel that is not ``good`` 0."""
        bad = ~good.reshape(-1)
        offset, factor = self.offset.copy(), self.factor.copy()
        offset[..., bad] = 0
        factor[..., bad] = 0
        return Tables(offset, factor, good)


def good_in(constants: Constants, shape: tuple[int, ...]) -> Mask:
    """Pixels that ``pixel_status`` (of every gain) and ``pixel_mask`` call good."""
    good: Mask = np.ones(shape, bool)
    status, mask = constants.pixel_status, constants.pixel_mask
    for name, of_pixels in (
        ("pixel_status", None if status is None else status == 0),
        ("pixel_mask", mask),
    ):
        if of_pixels is not None:
            while of_pixels.size > good.size:
                of_pixels = of_pixels.all(axis=0)
            good &= _shaped(constants, name, of_pixels, shape)
    return good


def _fitted(constants: Constants, name: str, shape: tuple[int, ...]) -> Array | None:
    array: Array | None = getattr(constants, name)
    return None if array is None else _shaped(constants, name, array, shape)


def _shaped(constants: Constants, name: str, array: Any, shape: tuple[int, ...]) -> Array:
    """``array`` in ``shape``, from which only axes of length 1 may differ."""
    if [n for n in array.shape if n != 1] != [n for n in shape if n != 1]:
        raise ConstantsError(
            f"{constants.detector}: {name} is {array.shape}, these frames need {shape}; "
            f"the constants ({constants.source or 'of unknown source'}) are of another "
            "detector or another configuration"
        )
    shaped: Array = np.reshape(array, shape)
    return shaped
