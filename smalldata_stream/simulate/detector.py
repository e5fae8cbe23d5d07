"""What a simulated detector is to the run that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array
from smalldata_stream.constants import Constants
from smalldata_stream.simulate.machine import Pulses
from smalldata_stream.simulate.xtc2_writer import Names, Values


class SimulatedDetector(Protocol):
    """A detector of a simulated run; its events are asked for once and in order."""

    @property
    def stream(self) -> int:
        """Number of the file that it is written to."""

    @property
    def names(self) -> Sequence[Names]:
        """Its algorithms, as Configure announces them."""

    def contents(
        self, pulses: Pulses, events: NDArray[np.int64]
    ) -> Sequence[tuple[Names, Values]]:
        """What it says of ``events`` (numbers of events of ``pulses``, consecutive)."""

    def configuration(self) -> Sequence[tuple[Names, Values]]:
        """What Configure says of it beside its names."""

    def truth(self) -> Mapping[str, Array]:
        """What was behind the events so far, by name."""

    def constants(self) -> Constants | None:
        """Its calibration constants, if it needs any."""


PERIOD = {3: 10}
"""Streams with fewer events: the last one of so many."""
