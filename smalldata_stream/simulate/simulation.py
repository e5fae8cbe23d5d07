"""What to simulate: the parameters of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from smalldata_stream.errors import did_you_mean

BUNCH_CLOCK_HZ = 1_300e6 / 1_400
"""Rate of the superconducting linac at most; pulse ids count its buckets."""

DETECTORS = (
    "timing",
    "gmd",
    "ebeam",
    "ipm2",
    "encoder",
    "fim0",
    "atmopal",
    "jungfrau",
    "andor_slow",
)
"""Every detector of an ordinary run; scan and EPICS variables are always there."""

ON_REQUEST = ("hsd",)
"""Further detectors, for those who name them."""


MOST_RUN = 9999
"""The names of files have four digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A run at a pump-probe instrument, to be simulated.

    Every second shot has the laser; one shot in ten has no x-rays. The delay between the
    two is scanned in ``steps`` steps. ``jungfrau_shape`` is (segments, rows, columns);
    ``jungfrau_ghost`` is the share of its signal that a pixel keeps for the next pulse.
    The same parameters give the same bytes, and what one detector sees does not depend on
    which others are chosen.

    Raises
    ------
    ValueError
        If a detector is unknown or a number makes no sense.

    >>> Simulation(detectors=("jungfrua",))
    Traceback (most recent call last):
    ...
    ValueError: no detector 'jungfrua' is simulated; did you mean 'jungfrau'? There is: ...
    """

    events: int = 240
    seed: int = 0
    rate_hz: float = 120.0
    exp: str = "xpptut26"
    run: int = 1
    steps: int = 4
    detectors: tuple[str, ...] = DETECTORS
    jungfrau_shape: tuple[int, int, int] = (1, 512, 1024)
    jungfrau_ghost: float = 0.0

    def __post_init__(self) -> None:
        for name in self.detectors:
            if name not in (known := DETECTORS + ON_REQUEST):
                raise ValueError(
                    f"no detector {name!r} is simulated; " + did_you_mean(name, known)
                )
            if self.detectors.count(name) > 1:
                raise ValueError(f"detector {name!r} is named twice")
        if not re.fullmatch("[A-Za-z0-9]+", self.exp):
            raise ValueError(f"exp={self.exp!r}: write letters and digits, as in xpptut26")
        if not 0 <= self.run <= MOST_RUN:
            raise ValueError(f"run={self.run}: write a number from 0 to {MOST_RUN}")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: write 0 or more")
        if not 1 <= self.steps <= self.events:
            raise ValueError(
                f"a run has at least one step and one event in each, not "
                f"steps={self.steps} and events={self.events}"
            )
        if not 0 < self.rate_hz <= BUNCH_CLOCK_HZ:
            raise ValueError(
                f"rate_hz is above 0 and up to {BUNCH_CLOCK_HZ:.0f}, not {self.rate_hz}"
            )
        if not 0 <= self.jungfrau_ghost < 1:
            raise ValueError(f"jungfrau_ghost={self.jungfrau_ghost}: write 0 or up to 1")

    @property
    def stem(self) -> str:
        """What the names of its files begin with, before a hyphen."""
        return f"{self.exp}-r{self.run:04d}"

    def random(self, part: str) -> np.random.Generator:
        """The random numbers of one part of the run, a stream of their own."""
        return np.random.default_rng([self.seed, *part.encode()])
