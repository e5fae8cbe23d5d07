"""epixuhr: ASICs of 168 rows and 192 columns; 12 bits per pixel, as they come from the DAQ.

The epixuhr (35 kHz) packs the pixels of an ASIC into bytes, lane by lane; the epixuhr3x2
has one 16-bit number per pixel, six ASICs a segment, and tells its gain by bit 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.detectors.family import Config, Family, GainBits, Old
from smalldata_stream.errors import ConstantsError

ROWS, COLUMNS = 168, 192
LANES, CLUSTERS = 8, 14
PACKED_BYTES = ROWS * COLUMNS * 3 // 2

MODES = ("FHG", "FMG", "FLG1", "FLG2", "AHLG1", "AHLG2", "AMLG1", "AMLG2")
"""The gain modes in the order of the constants; four more are the low gains of the last."""

_CODES = (32, 40, 1, 33, 16, 48, 24, 56)
_GAIN_BITS = 0o73


@cache
def unpacking() -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Where each pixel of an ASIC has its low byte, its high byte, and in which halves.

    Each of 8 lanes has every 8th byte: two pixels in three bytes, least significant first.
    Its 4032 pixels are 1008 groups of four; each two of a group, one after the other, are
    half a lane: 12 columns of 168 rows, of which the bottom one comes first. There the
    numbers go over 14 clusters, in each over 12 rows of twice three columns.

    The third array tells where the pixel begins in the middle of its low byte.

    >>> low, high, middle = unpacking()
    >>> low.shape, int(high.max()), int(middle.sum())
    ((168, 192), 48383, 16128)
    """
    in_cluster = np.empty((12, 6), np.intp)
    in_cluster[:, :3] = np.arange(36).reshape(12, 3)
    in_cluster[:, 3:] = np.arange(36, 72).reshape(12, 3)[:, ::-1]
    pixel = (CLUSTERS * in_cluster + np.arange(CLUSTERS)[:, None, None]).reshape(ROWS, 6)
    strip = np.hstack([2 * pixel, 2 * pixel + 1])[::-1]
    place = np.empty((ROWS, COLUMNS), np.intp)
    lane = np.empty((ROWS, COLUMNS), np.intp)
    for column in range(0, COLUMNS, 12):
        half = column // 12
        group, second = strip // 2, strip % 2
        place[:, column : column + 12] = 4 * group + 2 * (half % 2) + second
        lane[:, column : column + 12] = half // 2
    begin = place // 2 * 3 + place % 2
    return begin * LANES + lane, (begin + 1) * LANES + lane, place % 2 == 1


def unpacked(raw: Array) -> Array:
    """An ASIC's bytes ``(..., 48384)`` as pixels ``(..., 168, 192)``, uint16.

    The lowest bit of the 12, the gain, comes above the other 11.

    >>> unpacked(np.full(48384, 255, np.uint8)).max()
    np.uint16(4095)
    """
    low_at, high_at, middle = unpacking()
    raw = np.asarray(raw)[..., :PACKED_BYTES]
    low = raw[..., low_at].astype(np.uint16)
    high = raw[..., high_at].astype(np.uint16)
    twelve = np.where(middle, low >> 4 | high << 4, low | (high & 0x0F) << 8)
    pixels: Array = (twelve >> 1 | (twelve & 1) << 11).astype(np.uint16)
    return pixels


def _packed_frames(
    shape: tuple[int, ...],
) -> tuple[tuple[int, ...], Callable[[Array], Array]]:
    """Frames of ASICs in bytes, ``(asics, 48384)``."""
    if shape[-1] != PACKED_BYTES:
        raise ValueError(f"an ASIC of an epixuhr has {PACKED_BYTES} bytes, not {shape[-1]}")
    return (*shape[:-1], ROWS, COLUMNS), unpacked


def six_asics(values: Array) -> Array:
    """Six ASICs ``(..., 6, 32256)`` as a segment ``(..., 336, 576)``.

    The upper three are mirrored left to right, the lower three upside down.

    >>> six_asics(np.arange(6 * 32256).reshape(6, -1))[0, [0, 191]].tolist()
    [191, 0]
    """
    asics = np.reshape(values, (*np.shape(values)[:-2], 6, ROWS, COLUMNS))
    upper = np.concatenate([asics[..., i, :, ::-1] for i in range(3)], axis=-1)
    lower = np.concatenate([asics[..., i, ::-1, :] for i in range(3, 6)], axis=-1)
    return np.concatenate([upper, lower], axis=-2)


def _segment_frames(
    shape: tuple[int, ...],
) -> tuple[tuple[int, ...], Callable[[Array], Array]]:
    """Frames of segments of six ASICs, ``(segments, 6, 32256)`` or one segment alone."""
    if shape[-2:] != (6, ROWS * COLUMNS):
        raise ValueError(f"a segment of an epixuhr3x2 has (6, 32256) pixels, not {shape}")
    segments = shape[0] if len(shape) == 3 else 1
    whole = (segments, 2 * ROWS, 3 * COLUMNS)
    return whole, lambda raw: six_asics(raw).reshape(whole) & np.uint16(0x0FFF)


def control_bits(config: Config, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The control bits of each pixel: those of its ASIC, or if these are 0 its own."""
    asics, pixels = (
        config.get(("config", "gainAsic")),
        config.get(("config", "gainCSVAsic")),
    )
    if asics is None or pixels is None:
        raise ConstantsError(
            "the gain of its pixels is not known: Configure has no gainAsic and "
            "gainCSVAsic; write calibration='raw' or 'adu'"
        )
    found = []
    for asic, own in zip(_each(asics), _each(pixels), strict=True):
        bits = np.reshape(own, (6, -1)).astype(np.uint8)
        chosen = np.where(np.reshape(asic, (6, 1)) > 0, np.reshape(asic, (6, 1)), bits)
        found.append(six_asics(chosen.astype(np.uint8)))
    return np.reshape(np.stack(found), shape)


def _each(values: Any) -> list[Any]:
    return list(values) if isinstance(values, tuple) else [values]


def states(config: Config, shape: tuple[int, ...], modes: int) -> NDArray[np.int8]:
    """The mode of each pixel while its gain bit is 0, and while it is 1.

    Constants of 8 modes have the low gains of automatic pixels at those of fixed ones.
    """
    bits = control_bits(config, shape)
    found = np.full((2, *shape), -1, np.int8)
    lower = (2, 3, 2, 3) if modes == 8 else (8, 9, 10, 11)
    for mode, code in enumerate(_CODES):
        where = bits & _GAIN_BITS == code
        found[0, where] = mode
        found[1, where] = mode if mode < 4 else lower[mode - 4]
    return found


EPIXUHR = Family(
    arranged=_packed_frames,
    asic=(ROWS, COLUMNS),
    old={-1: Old(kind="raw"), 30: Old(kind="raw")},
)
"""psana unpacks its frames, and does not calibrate them."""

EPIXUHR3X2 = Family(
    modes=(8, 12),
    bits=GainBits(data=0x0FFE, shift=1, gain=0x0001),
    states=states,
    arranged=_segment_frames,
    asic=(ROWS, COLUMNS),
    old={0: Old(kind="gain"), -1: Old(kind="raw"), 30: Old(kind="gain")},
)
"""The gain is told by bit 0, the ADU are the 11 bits above it."""
