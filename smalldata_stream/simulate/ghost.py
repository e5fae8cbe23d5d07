"""A ghost: what the pixels of a frame still have of the frame before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array

P0_KEV, P0_RMS_KEV = 0.05, 0.02
"""Mean over the pixels, and rms, of what they have in any case."""

P1_RMS = 0.2
"""Of the share that they keep, rms over its mean."""


class Ghost:
    """Adds ``p0 + p1 * the frame before``, in keV, to frames in their order.

    ``zero`` and ``gain`` are ADU, and ADU per keV, of each gain mode, ``(modes, pixels)``;
    ``bits`` what says the mode in the data, above the ADU.
    """

    def __init__(
        self,
        p1: float,
        zero: Array,
        gain: Array,
        bits: tuple[int, ...],
        random: np.random.Generator,
    ):
        self._zero, self._gain = zero, gain
        self._bits = np.array(bits, np.uint16)
        normal = random.standard_normal((2, zero.shape[1]), np.float32)
        self.p0 = np.float32(P0_KEV) + np.float32(P0_RMS_KEV) * normal[0]
        self.p1 = np.float32(p1) + np.float32(P1_RMS * p1) * normal[1]
        self._before: NDArray[np.float32] | None = None

    def add(self, frame: NDArray[np.uint16]) -> None:
        """Add to ``frame``, ``(pixels,)``, in the gain that each of its pixels has.

        As in a detector, the ghost of one frame is in the frame before the next one.
        """
        above = frame & self._bits.max()
        adu = (frame - above).astype(np.float32)
        mode = np.argmax(above == self._bits[:, None], axis=0)
        pixels = np.arange(len(frame))
        zero, gain = self._zero[mode, pixels], self._gain[mode, pixels]
        if self._before is not None:
            adu += gain * (self.p0 + self.p1 * self._before)
            adu = np.round(adu).clip(0, self._bits[1] - 1)
        frame[:] = above | adu.astype(np.uint16)
        self._before = (adu - zero) / gain
