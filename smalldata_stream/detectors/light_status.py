"""Were there X-rays, was the laser on: from the event codes of an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from smalldata_stream.batch import Mask, Values
from smalldata_stream.protocols import PerEvent, Spec

CODES = 288
"""Event codes are 0 to 287: 18 words of 16 bits in the timing message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LightStatus:
    """X-rays and laser on or off, from event codes.

    A light is on when none of its excluded codes is in the event and, where there are
    required codes, at least one of them is. Outputs ``xray`` and ``laser``, bool; an event
    without timing is a gap. The input is the event codes as the timing detector gives them,
    ``(288,)``, 1 where the code is in the event.

    Examples
    --------
    >>> status = LightStatus(xray_excluded=(162,), laser_required=(90,))
    >>> codes = np.zeros((2, 288), int)
    >>> codes[0, 90] = codes[1, 162] = 1
    >>> prepared = status.prepare(Spec(dtype=codes.dtype, shape=(288,)))
    >>> {name: on.tolist() for name, on in prepared.compute(codes).items()}
    {'xray': [True, False], 'laser': [True, False]}
    """

    xray_required: tuple[int, ...] = ()
    xray_excluded: tuple[int, ...] = ()
    laser_required: tuple[int, ...] = ()
    laser_excluded: tuple[int, ...] = ()
    name: str = field(default="lightStatus", repr=False)

    def __post_init__(self) -> None:
        for side in ("xray_required", "xray_excluded", "laser_required", "laser_excluded"):
            codes = tuple(getattr(self, side))
            object.__setattr__(self, side, codes)
            wrong = [code for code in codes if not 0 <= code < CODES]
            if wrong:
                raise ValueError(f"{side}={wrong}: event codes are 0 to {CODES - 1}")

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check that the input is a table of event codes."""
        (codes,) = inputs
        if codes.shape not in (None, (CODES,)):
            raise ValueError(f"event codes have shape {codes.shape}, not ({CODES},)")
        return PerEvent(
            outputs={
                "xray": Spec(dtype=np.dtype(bool), long_name="X-rays on"),
                "laser": Spec(dtype=np.dtype(bool), long_name="laser on"),
            },
            compute=self._compute,
        )

    def _compute(self, codes: Values) -> Mapping[str, Values]:
        table = np.asarray(codes).astype(bool)
        return {
            "xray": light_on(table, self.xray_required, self.xray_excluded),
            "laser": light_on(table, self.laser_required, self.laser_excluded),
        }


def light_on(codes: Mask, required: tuple[int, ...], excluded: tuple[int, ...]) -> Mask:
    """Whether a light is on in each event, from a table ``(events, 288)`` of its codes."""
    on: Mask = ~np.any(codes[:, list(excluded)], axis=1)
    if required:
        on &= np.any(codes[:, list(required)], axis=1)
    return on
