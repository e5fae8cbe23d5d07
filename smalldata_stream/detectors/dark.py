"""Pedestal, noise and status of a detector from a dark run."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Values
from smalldata_stream.constants import Constants
from smalldata_stream.detectors.dark_limits import DarkLimits
from smalldata_stream.detectors.families import FAMILIES
from smalldata_stream.detectors.family import Config
from smalldata_stream.errors import ConstantsError
from smalldata_stream.kernels.dark import add_dark
from smalldata_stream.reductions.pixels import contiguous

NOISY, QUIET, EXTREME, UNSEEN = 1, 2, 4, 8
"""Bits of ``pixel_status``: far more noise than others, far less, a pedestal at an end of
the range, too few events to know."""

OTHERS = "write --detectors and the names of those that make a dark"

FEWEST = 10
"""Events that a pedestal is made of, at least."""

SIGMA_OF_MAD = 1.4826
"""A normal distribution's rms over the median of the deviations from its median."""


class Dark:
    """Sums of the frames of dark runs, per gain mode; exact, in any order.

    Parameters
    ----------
    detector, detector_type
        Its name and type.
    shape, dtype
        Of a raw frame.
    config
        What Configure says of the detector; may differ from run to run (`configure`).

    Raises
    ------
    ConstantsError
        If no calibration is known for this type, or its pixels are no integers of at most
        16 bits.

    >>> dark = Dark("cam", "opal", (1, 2), np.dtype("u2"))
    >>> dark.add(np.array([[[10, 20]]] * 6 + [[[12, 20]]] * 6, "u2"))
    >>> made = dark.constants(source="two lines")
    >>> made.pedestals.tolist(), made.pixel_rms.tolist()
    ([[11.0, 20.0]], [[1.0, 0.0]])
    """

    def __init__(
        self,
        detector: str,
        detector_type: str,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        config: Config | None = None,
    ):
        family = FAMILIES.get(detector_type)
        if family is None:
            raise ConstantsError(
                f"{detector}: no calibration is known for type {detector_type!r}; {OTHERS}"
            )
        if dtype.kind not in "iu" or (dtype.itemsize > 2 and family.arranged is None):
            raise ConstantsError(
                f"{detector}: pedestals are made of integers of 16 bits, not {dtype}; "
                + OTHERS
            )
        self.detector, self._family = detector, family
        self._arrange = None
        if family.arranged is not None:
            shape, self._arrange = family.arranged(shape)
        self.shape = shape
        self.modes = family.modes[0] if family.modes else 1
        bits = family.bits.as_array() if family.bits else None
        # Without gain bits all are data.
        self._bits = np.array([0xFFFF, 0, 0, 1, 1], np.uint16) if bits is None else bits
        sums = (self.modes, int(np.prod(shape)))
        self.number, self.total, self.squares = (np.zeros(sums, np.int64) for _ in range(3))
        self.configure(config or {})

    def configure(self, config: Config) -> None:
        """Go on with a run of another configuration."""
        pixels = self.number.shape[1]
        if self._family.states is not None:
            states = self._family.states(config, self.shape, self.modes)
            self._mode_of = states.reshape(len(states), pixels)
        else:
            modes = np.arange(self.modes, dtype=np.int8)
            self._mode_of = np.repeat(modes[:, None], pixels, axis=1)

    def add(self, values: Values) -> None:
        """Take the raw frames of some events."""
        for frame in values:
            arranged = frame if self._arrange is None else self._arrange(frame)
            raw = contiguous(arranged).reshape(-1)
            add_dark(raw, self._bits, self._mode_of, self.number, self.total, self.squares)

    def merge(self, other: Self) -> None:
        """Take all that ``other`` has taken."""
        if self.shape != other.shape or self.modes != other.modes:
            raise ValueError(f"frames of {other.shape} do not add to {self.shape}")
        self.number += other.number
        self.total += other.total
        self.squares += other.squares

    def constants(self, *, source: str, limits: DarkLimits | None = None) -> Constants:
        """Pedestals, noise (both ADU) and status; NaN where they are not known.

        A pedestal is the mean of at least `FEWEST` events, the noise the rms about it. A
        mode that fewer than half of the pixels were in is not known: its status is 0. In
        any other mode a pixel that is not known has status `UNSEEN`.
        """
        limits = limits or DarkLimits()
        number = self.number.astype(float)
        seen = self.number >= FEWEST
        seen &= (2 * seen.sum(axis=1) > seen.shape[1])[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            pedestals = np.where(seen, self.total / number, np.nan)
            # n * squares - total^2 of integers is exact in float128, never below 0.
            spread = (
                number.astype(np.longdouble) * self.squares
                - self.total.astype(np.longdouble) ** 2
            )
            noise = np.where(seen, np.sqrt(spread.clip(0)).astype(float) / number, np.nan)
        status = np.zeros(number.shape, np.uint64)
        for mode in range(self.modes):
            if seen[mode].any():
                status[mode] = self._status(pedestals[mode], noise[mode], limits)
        shape = (self.modes, *self.shape) if self._family.modes else self.shape
        return Constants(
            detector=self.detector,
            pedestals=pedestals.astype(np.float32).reshape(shape),
            pixel_rms=noise.astype(np.float32).reshape(shape),
            pixel_status=status.reshape(shape),
            source=source,
        )

    def _status(
        self, pedestals: Array, noise: Array, limits: DarkLimits
    ) -> NDArray[np.uint64]:
        data, shift = int(self._bits[0]), int(self._bits[1])
        most = data >> shift
        middle = np.nanmedian(noise)
        sigma = SIGMA_OF_MAD * np.nanmedian(np.abs(noise - middle))
        reach = limits.sigmas * sigma
        low, high = limits.margin_adu, most - limits.margin_adu
        found = np.zeros(pedestals.shape, np.uint64)
        for bit, bad in (
            (NOISY, noise > middle + reach),
            (QUIET, (noise < middle - reach) | ((noise == 0) & (middle > 0))),
            (EXTREME, (pedestals < low) | (pedestals > high)),
            (UNSEEN, np.isnan(pedestals)),
        ):
            found |= np.where(bad, np.uint64(bit), np.uint64(0))
        return found
