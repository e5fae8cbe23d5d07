"""Were there X-rays, was the laser on: from event codes and from the beam's destination."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smalldata_stream.batch import Mask, Signal, Values
from smalldata_stream.detectors.default import (
    Names,
    Part,
    Reading,
    field_of,
    find,
    parameters,
    scalar,
)
from smalldata_stream.detectors.fields import Output, Outputs
from smalldata_stream.detectors.timing import CODES, DESTINATIONS, TIMING, codes_of
from smalldata_stream.errors import did_you_mean
from smalldata_stream.run import RunInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class LightStatus:
    """X-rays and laser on or off.

    A light is on when none of its excluded codes is in the event and, where there are
    required codes, at least one of them is; X-rays also only where the electrons went to
    ``xray_destination``, if one is given. A light of which nothing is said is on. An event
    without timing is a gap.

    Parameters
    ----------
    xray_required, xray_excluded, laser_required, laser_excluded
        Event codes, 0 to 287.
    xray_destination
        One of ``"SC_DIAG0"``, ``"SC_BSYD"``, ``"SC_HXR"``, ``"SC_SXR"``, ``"SC_LESA"`` (1
        to 5) and ``"LASER_Standby"`` (0), or a number.
    timing
        What the timing detector is called; of several names, the first that is there.

    Raises
    ------
    ValueError
        If what is given is no list of codes from 0 to 287, or no destination.

    Examples
    --------
    >>> status = LightStatus(xray_excluded=(162,), laser_required=(90,))
    >>> codes = np.zeros((2, 288), int)
    >>> codes[0, 90] = codes[1, 162] = 1
    >>> status.xray_on(codes).tolist(), status.laser_on(codes).tolist()
    ([True, False], [True, False])
    """

    OUTPUTS: ClassVar[Outputs] = {
        "xray": Output("X-rays on", dtype="bool"),
        "laser": Output("laser on", dtype="bool"),
    }

    xray_required: tuple[int, ...] | list[int] = ()
    xray_excluded: tuple[int, ...] | list[int] = ()
    laser_required: tuple[int, ...] | list[int] = ()
    laser_excluded: tuple[int, ...] | list[int] = ()
    xray_destination: int | str | None = None
    timing: Names = TIMING

    def __post_init__(self) -> None:
        for side in ("xray_required", "xray_excluded", "laser_required", "laser_excluded"):
            given: Any = getattr(self, side)
            if isinstance(given, int | str):
                raise ValueError(f"{side}={given!r}: write a list, as in {side}=[137]")
            codes = tuple(given)
            object.__setattr__(self, side, codes)
            wrong = [code for code in codes if not 0 <= code < CODES]
            if wrong:
                light, _, _ = side.partition("_")
                raise ValueError(
                    f"{side}={wrong}: event codes are 0 to {CODES - 1}"
                    + (
                        f"; one of smalldata_tools below 0 is one that is required: "
                        f"{light}_required=[{-min(wrong)}]"
                        if min(wrong) < 0
                        else ""
                    )
                )
        if isinstance(self.xray_destination, str):
            if self.xray_destination not in DESTINATIONS:
                hint = did_you_mean(self.xray_destination, DESTINATIONS)
                raise ValueError(f"no destination {self.xray_destination!r}; {hint}")
            number = DESTINATIONS[self.xray_destination]
            object.__setattr__(self, "xray_destination", number)

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""
        return "lightStatus"

    def read(self, run: RunInfo) -> Reading:
        """Event codes, and the destination where X-rays depend on it."""
        info = find(run, self.timing)
        codes, table = codes_of(info)
        inputs: tuple[Signal, ...] = (codes,)
        if self.xray_destination is not None:
            names = ("destination", "ebeamDestn")
            inputs += (field_of(info, names, "xray_destination")[0],)

        def xray(codes: Values, *destination: Any) -> Mapping[str, Values]:
            return {"xray": self.xray_on(table(codes), *destination)}

        def laser(codes: Values) -> Mapping[str, Values]:
            return {"laser": self.laser_on(table(codes))}

        return Reading(
            parts=(_part("xray", inputs, xray), _part("laser", inputs[:1], laser)),
            config={"detname": info.name} | parameters(self),
        )

    def xray_on(self, codes: Any, destination: Any = None) -> Mask:
        """Whether there were X-rays, by table ``(n, 288)`` and destination ``(n,)``."""
        on = light_on(codes, self.xray_required, self.xray_excluded)
        if destination is not None:
            on &= np.asarray(destination) == self.xray_destination
        return on

    def laser_on(self, codes: Any) -> Mask:
        """Whether the laser was on, from a table ``(n, 288)``."""
        return light_on(codes, self.laser_required, self.laser_excluded)


def _part(
    name: str, inputs: tuple[Signal, ...], compute: Callable[..., Mapping[str, Values]]
) -> Part:
    says = LightStatus.OUTPUTS[name].says
    return Part(inputs=inputs, outputs={name: scalar(says, dtype=bool)}, compute=compute)


def light_on(
    codes: Any, required: tuple[int, ...] | list[int], excluded: tuple[int, ...] | list[int]
) -> Mask:
    """Whether a light is on in each event, from a table ``(events, 288)`` of its codes."""
    table = np.asarray(codes)
    on: Mask = np.ones(len(table), bool)
    for code in excluded:
        on &= table[:, code] == 0
    if required:
        on &= np.any([table[:, code] != 0 for code in required], axis=0)
    return on
