"""Calibration constants as the tables that the kernels read, shaped as the frames are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Mask, read_only
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.common_mode import FROM_OTHERS, CommonMode, Step
from smalldata_stream.detectors.family import Config, Family
from smalldata_stream.errors import ConstantsError
from smalldata_stream.kernels import calibration
from smalldata_stream.kernels.calibrated_rows import origins, rows_in_one_pass
from smalldata_stream.kernels.gain import scale, scale_switching
from smalldata_stream.kernels.median import merges
from smalldata_stream.kernels.pedestal import COUNTS, GAINS, subtract, subtract_switching
from smalldata_stream.positions import Positions


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """calibrated = (ADU - offset) * factor, for pixels that are ``good``.

    ``offset`` and ``factor`` are ``(states of the gain bits, pixels)`` float32, one state
    where there are no such bits; ``good`` has the shape of the frame; ``counting`` says
    which pixels are in the common mode in which state, ``(states, pixels)``. ``rms`` is the
    noise in ADU of each pixel in its first state, ``(pixels,)``, if it is known.
    """

    offset: NDArray[np.float32]
    factor: NDArray[np.float32]
    good: Mask
    counting: Mask
    rms: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        constants: Constants | None,
        shape: tuple[int, ...],
        family: Family,
        config: Config,
        *,
        gain: bool,
    ) -> Tables:
        """The tables of a detector; without constants those that give its ADU."""
        if constants is None:
            return cls._adu(shape, family)
        pedestals = _fitted(constants, "pedestals", shape, family)
        pixel_offset = _fitted(constants, "pixel_offset", shape, family)
        pixel_gain = _fitted(constants, "pixel_gain", shape, family)
        assert pedestals is not None
        offset = pedestals if pixel_offset is None else pedestals + pixel_offset
        factor = np.ones_like(offset)
        if gain and pixel_gain is not None:
            some = pixel_gain != 0
            ones = np.ones_like(pixel_gain)
            factor = np.divide(ones, pixel_gain, out=np.zeros_like(ones), where=some)
        usable = np.isfinite(offset) & np.isfinite(factor) & (factor != 0)
        modes = len(offset)
        mode = np.broadcast_to(np.arange(modes)[:, None], (modes, offset[0].size))
        if family.states is not None:
            states = family.states(config, shape, modes)
            mode = states.reshape(len(states), -1).astype(np.intp)
        flat = (modes, -1)
        offset, factor, usable = (
            np.take_along_axis(table.reshape(flat), mode.clip(0), 0)
            for table in (offset, factor, usable)
        )
        usable = usable & (mode >= 0)
        rms = constants.pixel_rms
        if rms is not None:
            rms = np.take_along_axis(rms.reshape(flat), mode[:1].clip(0), 0)[0]
        # 0 * (raw - 0) is +0; with a NaN in the table it would not be 0 at all.
        return cls(
            np.where(usable, offset, 0).astype(np.float32),
            np.where(usable, factor, 0).astype(np.float32),
            good_in(constants, shape, family) & usable.any(axis=0).reshape(shape),
            np.isin(mode, family.counting) & usable,
            rms,
        )

    @classmethod
    def _adu(cls, shape: tuple[int, ...], family: Family) -> Tables:
        states = 1 if family.bits is None else 3
        pixels = int(np.prod(shape))
        return cls(
            np.zeros((states, pixels), np.float32),
            np.ones((states, pixels), np.float32),
            np.ones(shape, bool),
            np.ones((states, pixels), bool),
        )

    def restricted(self, good: Mask, blind: Mask | None = None) -> Tables:
        """The tables that make every pixel that is not ``good`` 0.

        Pixels that are ``blind`` keep their offset: a common mode is found from them.
        """
        bad = ~good.reshape(-1)
        offset, factor = self.offset.copy(), self.factor.copy()
        offset[..., bad if blind is None else bad & ~blind.reshape(-1)] = 0
        factor[..., bad] = 0
        return replace(
            self, offset=offset, factor=factor, good=good, counting=self.counting & ~bad
        )

    @property
    def noise(self) -> Array | None:
        """Noise of the calibrated frame, of its shape; 0 where there is no calibration."""
        if self.rms is None:
            return None
        return read_only((self.rms * abs(self.factor[0])).reshape(self.good.shape))

    def scaled(self, gain: Array) -> Tables:
        """The tables for calibrated values times ``gain``, a number or one per pixel."""
        by = np.asarray(gain, np.float32)
        return replace(self, factor=self.factor * (by if by.ndim == 0 else by.reshape(-1)))

    def takes(
        self, common_mode: CommonMode, family: Family, name: str
    ) -> NDArray[np.uint8]:
        """What each pixel has to do with the common mode, as the kernels take it.

        Raises
        ------
        ValueError
            If it is found from pixels that this type of detector does not have.
        """
        counting = corrected = self.counting
        if common_mode.method in FROM_OTHERS:
            if family.blind is None or family.blind[0] != common_mode.method:
                raise ValueError(
                    f"common_mode={common_mode.method!r} needs "
                    f"{FROM_OTHERS[common_mode.method]}; {name} has none; "
                    "write 'rows'"
                )
            blind = family.blind[1](self.good.shape)
            counting = np.broadcast_to(blind.reshape(1, -1), counting.shape)
            corrected = np.broadcast_to(self.good.reshape(1, -1), counting.shape)
        takes = np.zeros(self.good.size, np.uint8)
        for state in range(GAINS):  # the last stands for all that are not named
            at = min(state, len(counting) - 1)
            takes |= counting[at] * np.uint8(COUNTS << state)
            takes |= corrected[at] * np.uint8(COUNTS << (state + GAINS))
        return takes


def calibrating(
    tables: Tables,
    family: Family,
    raw_dtype: np.dtype[Any],
    common_mode: CommonMode | None,
    noise: Array | None,
    name: str,
) -> Callable[[Array, NDArray[np.float32]], None]:
    """``(raw, out)`` from one flat raw frame to a calibrated one.

    Raises
    ------
    ValueError
        If the frames are not of 16 bits and yet have gain bits, or there is no such common
        mode for this type of detector.
    """
    offset, factor = tables.offset, tables.factor
    switching = family.bits is not None
    if switching and raw_dtype != np.uint16:
        raise ValueError(
            f"{name}: frames of its type are uint16, not {raw_dtype}; write "
            "calibration='raw'"
        )
    bits = family.bits.as_array() if family.bits is not None else np.zeros(5, np.uint16)
    if common_mode is None:
        if switching:
            return lambda raw, out: calibration.calibrate_switching(
                raw, bits, offset, factor, out
            )
        return lambda raw, out: calibration.calibrate(raw, offset[0], factor[0], out)
    takes = tables.takes(common_mode, family, name)
    bank = family.bank_of(tables.good.shape)
    if switching and common_mode.only_rows():
        pairs = merges(bank[1])
        most, least = common_mode.most_adu, common_mode.least_pixels
        origin, usual = origins(offset[0], factor[0], takes, bank[1])
        return lambda raw, out: rows_in_one_pass(
            raw,
            bits,
            offset,
            takes,
            origin,
            usual,
            factor,
            out,
            bank[1],
            pairs,
            most,
            least,
        )
    steps: list[Step] = common_mode.steps(tables.good.shape, bank, noise)

    def in_steps(raw: Array, out: NDArray[np.float32]) -> None:
        part = np.empty(takes.size, np.uint8)
        if switching:
            subtract_switching(raw, bits, offset, takes, out, part)
        else:
            subtract(raw, offset[0], takes, out, part)
        for step in steps:
            step(out, part)
        if switching:
            scale_switching(raw, bits, factor, out)
        else:
            scale(factor[0], out)

    return in_steps


def good_in(
    constants: Constants, shape: tuple[int, ...], family: Family | None = None
) -> Mask:
    """Pixels that ``pixel_status`` (of every gain) and ``pixel_mask`` call good."""
    good: Mask = np.ones(shape, bool)
    status, mask = constants.pixel_status, constants.pixel_mask
    if status is not None and status.size > good.size and family is not None:
        status = status[: family.status_modes]
    for name, of_pixels in (
        ("pixel_status", None if status is None else status == 0),
        ("pixel_mask", mask),
    ):
        if of_pixels is not None:
            while of_pixels.size > good.size:
                of_pixels = of_pixels.all(axis=0)
            good &= _shaped(constants, name, of_pixels, shape)
    return good


def positions_in(
    constants: Constants | None, shape: tuple[int, ...], name: str
) -> Positions | None:
    """Where the pixels of frames of ``shape`` are, if the constants know."""
    found = None if constants is None else constants.positions
    try:
        return None if found is None else found.shaped(shape)
    except ValueError as error:
        raise ConstantsError(
            f"{name}: its constants have positions of {found and found.shape} pixels, the "
            f"frames are {shape}; fetch them again for this run"
        ) from error


def _fitted(
    constants: Constants, name: str, shape: tuple[int, ...], family: Family
) -> Array | None:
    """A constant as ``(modes, *shape)``; one mode where the family has none."""
    array: Array | None = getattr(constants, name)
    if array is None:
        return None
    if not family.modes:
        return _shaped(constants, name, array, shape)[None]
    modes = next((m for m in family.modes if array.shape[:1] == (m,)), family.modes[0])
    return _shaped(constants, name, array, (modes, *shape))


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
