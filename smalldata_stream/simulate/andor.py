"""A slow camera that integrates: one image for every ten shots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.constants import Constants
from smalldata_stream.simulate.detector import PERIOD
from smalldata_stream.simulate.machine import PHOTON_ENERGY_KEV, Pulses
from smalldata_stream.simulate.simulation import Simulation
from smalldata_stream.simulate.xtc2_writer import Names, Values

SHAPE = (128, 512)
"""Rows and columns of the camera."""

PHOTONS_PER_MJ = 20_000.0
"""Photons on the whole camera, per pulse energy."""

GAIN, PEDESTAL, NOISE = 2.0, 300.0, 3.0
"""ADU per keV, and ADU."""

VALUE = Names(
    detector="andor_slow",
    type="axis",
    algorithm="raw",
    version=(1, 0, 0),
    id="andor1234",
    fields={"value": ("u2", 2)},
)


class Andor:
    """The integrating camera andor_slow, as a `SimulatedDetector`.

    It sees an emission spectrum of two lines. The image that comes with an event is the
    sum over that event and the nine before.
    """

    stream = 3
    names: Sequence[Names] = (VALUE,)

    def __init__(self, simulation: Simulation):
        self._random = simulation.random("andor_slow")
        rows, columns = (np.arange(n) for n in SHAPE)
        lines = sum(
            weight * np.exp(-(((columns - at) / width) ** 2))
            for at, width, weight in ((200, 8, 1.0), (330, 14, 0.4))
        )
        spectrum = np.exp(-(((rows - 64) / 12) ** 2))[:, None] * lines
        self._spectrum = spectrum / spectrum.sum()
        self._pedestals = self._random.normal(PEDESTAL, 5, SHAPE).astype(np.float32)
        self._gain = self._random.normal(GAIN, 0.02, SHAPE).astype(np.float32)
        self._photons: list[int] = []
        self._energy_mj: list[float] = []

    def contents(
        self, pulses: Pulses, events: NDArray[np.int64]
    ) -> Sequence[tuple[Names, Values]]:
        """The images that end with ``events``."""
        return [(VALUE, {"value": np.stack([self._image(pulses, i) for i in events])})]

    def _image(self, pulses: Pulses, last: int) -> NDArray[np.uint16]:
        energy = pulses.energy_mj[last + 1 - PERIOD[self.stream] : last + 1].sum()
        photons = self._random.poisson(self._spectrum * energy * PHOTONS_PER_MJ)
        self._photons.append(int(photons.sum()))
        self._energy_mj.append(float(energy))
        noise = self._random.normal(0, NOISE, SHAPE)
        adu = self._pedestals + noise + photons * (PHOTON_ENERGY_KEV * self._gain)
        image: NDArray[np.uint16] = np.round(adu).clip(0, 0xFFFF).astype(np.uint16)
        return image

    def configuration(self) -> Sequence[tuple[Names, Values]]:
        """Nothing."""
        return ()

    def truth(self) -> Mapping[str, Array]:
        """Per image, the photons in it and the pulse energy that made them."""
        return {
            "photons": np.array(self._photons, np.int64),
            "energy_mj": np.array(self._energy_mj),
        }

    def constants(self) -> Constants:
        """Pedestals, gain and noise."""
        return Constants(
            detector="andor_slow",
            pedestals=self._pedestals,
            pixel_gain=self._gain,
            pixel_rms=np.full(SHAPE, NOISE, np.float32),
            source="simulation",
        )
