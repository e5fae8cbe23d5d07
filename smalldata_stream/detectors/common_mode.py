"""The common mode: what all pixels of a group have too much of, in one event."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.kernels import common_mode as kernels
from smalldata_stream.kernels import common_mode_banks as of_banks
from smalldata_stream.kernels import common_mode_columns as of_columns
from smalldata_stream.kernels.median import merges

Method = Literal[
    "rows",
    "columns",
    "banks",
    "segments",
    "rows+columns",
    "banks+rows",
    "banks+columns",
    "banks+rows+columns",
    "quiet",
    "quiet_zeroed",
    "banks+quiet",
    "zero_peak",
    "unbonded",
    "overscan",
]

Floats: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]
Step: TypeAlias = Callable[[Floats, Bytes], None]
"""Corrects values in place, by what of them takes part."""

FROM_OTHERS = {
    "unbonded": "pixels that are not bonded to the sensor",
    "overscan": "pixels read out beyond the sensor",
}
"""Methods that find the common mode from pixels that see no photons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonMode:
    """How the common mode is found; it is subtracted in ADU, before the gain.

    Parameters
    ----------
    method
        ===================  ==========================================================
        ``rows``             median of each row of each bank
        ``columns``          median of each column of each half of a segment
        ``banks``            median of each bank
        ``segments``         median of each segment
        ``banks+rows`` ...   one after the other, in this order
        ``quiet``            columns, then rows, of pixels without signal (epix100)
        ``quiet_zeroed``     the same, after the mean of each segment
        ``banks+quiet``      ``banks``, then ``quiet``
        ``zero_peak``        peak of the histogram of each segment (cspad)
        ``unbonded``         mean of the unbonded pixels of each segment (cspad)
        ``overscan``         median of the overscan of each row of each bank (archon)
        ===================  ==========================================================

        What a bank is, is said with each type of detector.
    most_adu
        A common mode of this magnitude or more is not subtracted.
    least_pixels
        Nor is one of so many pixels or fewer (banks and segments: of fewer).

    Only good pixels count and are corrected; where pixels switch their gain, only those in
    high (epix10ka: or medium) gain.

    >>> CommonMode(method="rows")
    CommonMode(method='rows', most_adu=100.0, least_pixels=10)
    """

    method: Method
    most_adu: float = 100.0
    least_pixels: int = 10

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            known = ", ".join(map(repr, get_args(Method)))
            raise ValueError(f"common_mode={self.method!r}: write one of {known}")
        if not self.most_adu > 0 or math.isnan(self.most_adu):
            raise ValueError(f"most_adu={self.most_adu}: write ADU above 0")
        if self.least_pixels < 0:
            raise ValueError(f"least_pixels={self.least_pixels}: write 0 or more")

    def needs_noise(self) -> bool:
        """Whether it is found from pixels without signal, by their noise."""
        return "quiet" in self.method

    def only_rows(self) -> bool:
        """Whether rows are all there is to correct: that is done in one pass."""
        return self.method == "rows"

    def steps(
        self, shape: tuple[int, ...], bank: tuple[int, int], noise: Array | None
    ) -> list[Step]:
        """The functions that correct a flat frame of ``shape``, to be called in order.

        ``bank`` is (rows, columns); ``noise``, ADU rms, is needed by ``quiet``.
        """
        rows_, columns_ = (1, *shape)[-2:]
        segment = (rows_, columns_)
        height, width = bank
        limits: dict[str, Any] = {"most": self.most_adu, "least": self.least_pixels}

        def rows(width: int = width) -> Step:
            return partial(kernels.rows, width=width, pairs=merges(width), **limits)

        def columns() -> Step:
            return partial(
                of_columns.columns,
                height=height,
                width=segment[1],
                **limits,
            )

        def banks(what: int, height: int = height, width: int = width) -> Step:
            return partial(
                of_banks.banks,
                height=height,
                columns_=segment[1],
                width=width,
                what=what,
                **limits,
            )

        made: dict[str, Callable[[], Step]] = {
            "rows": rows,
            "columns": columns,
            "banks": partial(banks, of_banks.MEDIAN),
            "segments": partial(banks, of_banks.MEDIAN, *segment),
            "zero_peak": partial(banks, of_banks.ZERO_PEAK, *segment),
            "unbonded": partial(banks, of_banks.MEAN, *segment),
            "overscan": rows,
        }
        steps: list[Step] = []
        for name in self.method.split("+"):
            if name in ("quiet", "quiet_zeroed"):
                zeroed = name == "quiet_zeroed"
                steps += self._quiet_steps(segment, bank, noise, zeroed=zeroed)
            else:
                steps.append(made[name]())
        return steps

    def _quiet_steps(
        self,
        segment: tuple[int, int],
        bank: tuple[int, int],
        noise: Array | None,
        *,
        zeroed: bool,
    ) -> list[Step]:
        rms = np.zeros(0, np.float32) if noise is None else np.ravel(noise)
        (rows, columns), (height, width) = segment, bank
        pixels = rows * columns
        steps: list[Step] = [
            partial(
                of_banks.only_quiet,
                noise=np.ascontiguousarray(rms, np.float32),
                sigmas=QUIET_SIGMAS,
                most=self.most_adu,
                height=rows,
                width=columns,
            )
        ]
        if zeroed:
            steps.append(
                partial(
                    of_banks.banks,
                    height=rows,
                    columns_=columns,
                    width=columns,
                    what=of_banks.MEAN,
                    most=math.inf,
                    least=int(pixels * QUIET_PART),
                )
            )
        steps += [
            partial(
                of_columns.columns,
                height=height,
                width=columns,
                most=self.most_adu,
                least=int(height * QUIET_PART) - 1,
            ),
            partial(
                kernels.rows,
                width=width,
                pairs=merges(width),
                most=self.most_adu,
                least=int(width * QUIET_PART) - 1,
            ),
        ]
        return steps


QUIET_SIGMAS = 10.0
"""Pixels of so many times their noise have signal."""

QUIET_PART = 0.25
"""Of the pixels of a group, so many must be quiet."""


Choice: TypeAlias = int | Method | CommonMode
"""What the user may write for ``common_mode``; numbers are those of smalldata_tools."""
