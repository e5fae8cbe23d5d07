"""epix10ka: each pixel is configured for one of five gain modes, and tells when it is low.

Of the seven modes of its constants the configuration of the pixel leaves one or two; bit
14 of the data chooses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.detectors.common_mode import CommonMode, Method
from smalldata_stream.detectors.family import Config, Family, GainBits, Old
from smalldata_stream.detectors.ghost import Ghost
from smalldata_stream.errors import ConstantsError

MODES = ("FH", "FM", "FL", "AHL-H", "AML-M", "AHL-L", "AML-L")
"""The gain modes in the order of the constants: fixed high, medium, low; automatic."""

HIGH_GAIN, PIXEL_BITS = 0x10, 0x0C
"""Of the control bits: trbit, of an ASIC, and ga and g, of a pixel."""

_FH, _FM, _FL, _AHL_H, _AML_M, _AHL_L, _AML_L = range(7)


def epix10ka_panel(pixel_config: Array, trbits: Array) -> NDArray[np.uint8]:
    """The control bits of a panel of four ASICs, from those of each.

    ``pixel_config`` is ``(4, 176 or more, columns)``; further rows are not pixels. ASICs 1
    and 2 are the upper right and left ones, turned by half a turn.

    >>> epix10ka_panel(np.full((4, 178, 192), 12), np.array([1, 1, 0, 0]))[0, [0, 383]]
    array([12, 28], dtype=uint8)
    """
    asic: NDArray[np.uint8] = (np.asarray(pixel_config)[:, :176] & PIXEL_BITS).astype(
        np.uint8
    )
    high = np.where(np.asarray(trbits) != 0, HIGH_GAIN, 0).astype(np.uint8)
    asic |= high[:, None, None]
    upper = np.hstack([asic[2, ::-1, ::-1], asic[1, ::-1, ::-1]])
    lower = np.hstack([asic[3], asic[0]])
    panel: NDArray[np.uint8] = np.vstack([upper, lower])
    return panel


def epixhr2x2_panel(pixel_config: Array, trbits: Array) -> NDArray[np.uint8]:
    """The control bits of a panel, whose pixels are configured in the order of the data.

    >>> epixhr2x2_panel(np.full(288 * 384, 12), np.array([0, 1, 0, 0]))[0, [0, 383]]
    array([28, 12], dtype=uint8)
    """
    pixels: Array = np.reshape(pixel_config, (288, 384))
    bits: NDArray[np.uint8] = (pixels & PIXEL_BITS).astype(np.uint8)
    high = np.where(np.asarray(trbits) != 0, HIGH_GAIN, 0).astype(np.uint8)
    bits[:144, :192] |= high[1]
    bits[144:, :192] |= high[0]
    bits[:144, 192:] |= high[3]
    bits[144:, 192:] |= high[2]
    return bits


def control_bits(config: Config, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The control bits of each pixel, of all segments, from what Configure says.

    Raises
    ------
    ConstantsError
        If Configure does not say it.
    """
    whole = config.get(("config", "cbitsConfig"))
    panels: list[Array]
    if whole is not None:
        panels = [np.asarray(one) & (HIGH_GAIN | PIXEL_BITS) for one in _each(whole, 2)]
    else:
        pixels = config.get(("config", "asicPixelConfig"))
        trbits = config.get(("config", "trbit"))
        if pixels is None or trbits is None:
            raise ConstantsError(
                "the gain of its pixels is not known: Configure has no asicPixelConfig "
                "and trbit, and no cbitsConfig; write calibration='raw' or 'adu'"
            )
        small = shape[-2:] == (288, 384)
        panel = epixhr2x2_panel if small else epix10ka_panel
        both = zip(_each(pixels, 1 if small else 3), _each(trbits, 1), strict=True)
        panels = [panel(p, t) for p, t in both]
    try:
        return np.reshape(np.stack(panels), shape)
    except ValueError:
        told = ", ".join(str(panel.shape) for panel in panels) or "none that is known"
        raise ConstantsError(
            f"Configure tells the gain of these panels: {told}; the frames are {shape}; "
            "write calibration='raw' or 'adu'"
        ) from None


def _each(values: Any, axes: int) -> list[Array]:
    """One array per segment: Configure has a tuple of them where there are several."""
    many = values if isinstance(values, tuple) else (values,)
    return [np.asarray(one) for one in many if np.asarray(one).ndim == axes]


def states(config: Config, shape: tuple[int, ...], modes: int) -> NDArray[np.int8]:
    """The mode of each pixel while bit 14 is 0, and while it is 1.

    >>> config = {("config", "cbitsConfig"): np.array([[28, 12, 8, 16, 0, 4]])}
    >>> states(config, (1, 1, 6), 7).tolist()
    [[[[0, 1, 2, 3, 4, -1]]], [[[0, 1, 2, 5, 6, -1]]]]
    """
    bits = control_bits(config, shape)
    found = np.full((2, *shape), -1, np.int8)
    pixel, high = bits & PIXEL_BITS, (bits & HIGH_GAIN) != 0
    for mode, where in (
        (_FH, (pixel == 12) & high),
        (_FM, (pixel == 12) & ~high),
        (_FL, pixel == 8),
    ):
        found[:, where] = mode
    automatic = pixel == 0
    found[0, automatic] = np.where(high[automatic], _AHL_H, _AML_M)
    found[1, automatic] = np.where(high[automatic], _AHL_L, _AML_L)
    return found


def _old(method: Method) -> Old:
    return Old(kind="gain", common_mode=CommonMode(method=method))


_NUMBERS = {
    80: Old(kind="gain"),
    81: Old(kind="gain"),
    82: Old(kind="gain"),
    83: _old("rows"),
    84: _old("columns"),
    85: _old("rows+columns"),
    0: Old(kind="pedestal"),
    -1: Old(kind="adu"),
    -2: Old(kind="raw"),
    30: Old(kind="gain"),
}
_GHOST = Old(kind="gain", ghost=Ghost())

EPIX10KA = Family(
    modes=(7,),
    bits=GainBits(data=0x3FFF, gain=0x4000),
    states=states,
    counting=(_FH, _FM, _AHL_H, _AML_M),
    status_modes=5,
    bank=(176, 48),
    asic=(176, 192),
    old=_NUMBERS | {180: _GHOST, 181: _GHOST},
)
"""A bank is 176 rows of 48 columns; the common mode is that of high and medium gain."""

EPIXHR2X2 = Family(
    modes=(7,),
    bits=GainBits(data=0x3FFF, gain=0x8000),
    states=states,
    counting=(_FH, _FM, _AHL_H, _AML_M),
    status_modes=5,
    bank=(144, 48),
    asic=(144, 192),
    old=_NUMBERS,
)
"""A bank is 144 rows of 48 columns; the common mode is that of high and medium gain."""
