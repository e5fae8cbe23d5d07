"""Analog inputs (acromag): slow voltages of sixteen channels, read for each event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from smalldata_stream.batch import Values
from smalldata_stream.detectors.default import (
    Names,
    NotInRun,
    OneDetector,
    Part,
    Reading,
    field_of,
    scalar,
)
from smalldata_stream.detectors.fields import Output, Outputs
from smalldata_stream.run import RunInfo


@dataclass(frozen=True, slots=True)
class Acromag(OneDetector):
    """One output per channel: volts * scale + offset.

    Parameters
    ----------
    names
        Of the channels by number; the others are ``ch00``, ``ch01`` ...
    scale, offset
        Of the channels by number; 1 and 0 where not given.
    unit
        Of what comes out, by number; V where not given.

    Raises
    ------
    ValueError
        If two channels have one name; if a channel is named that the data do not have.

    >>> Acromag("XPP-AIN-01", names={2: "diode"}, scale={2: -0.5}).group
    'ai'
    """

    OUTPUTS: ClassVar[Outputs] = {
        "ch*": Output("voltage of a channel, scaled", "V"),
        "*": Output("a channel under the name given to it", "V"),
    }

    detector: Names = "ai"
    _: KW_ONLY
    names: Mapping[int, str] | Sequence[str] = ()
    scale: Mapping[int, float] | Sequence[float] = ()
    offset: Mapping[int, float] | Sequence[float] = ()
    unit: Mapping[int, str] | Sequence[str] = ()

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""
        return self.name or "ai"

    def read(self, run: RunInfo) -> Reading:
        """As many channels as the data have."""
        info = self.find(run)
        signal, one = field_of(info, ("channelVoltages", "voltages", "channels", "value"))
        if one.shape is None or len(one.shape) != 1:
            raise NotInRun(f"{info.name}: {signal.field} is {one.shape}, not (channels,)")
        (channels,) = one.shape
        names, scales, offsets, units = (
            of_channels(what, getattr(self, what), channels, info.name)
            for what in ("names", "scale", "offset", "unit")
        )
        outputs = [names.get(i, f"ch{i:02d}") for i in range(channels)]
        if len(set(outputs)) < channels:
            raise ValueError(
                f"{info.name}: two channels have one name: {', '.join(outputs)}; write "
                "names= that differ"
            )
        scale = np.array([scales.get(i, 1.0) for i in range(channels)])
        offset = np.array([offsets.get(i, 0.0) for i in range(channels)])
        part = Part(
            inputs=(signal,),
            outputs={
                name: scalar("voltage, scaled", units.get(i, "V"))
                for i, name in enumerate(outputs)
            },
            compute=partial(_scaled, outputs, scale, offset),
        )
        config = {
            "detname": info.name,
            "channels": np.arange(channels),
            "names": outputs,
            "scale": scale,
            "offset": offset,
        }
        return Reading(parts=(part,), config=config)


def of_channels(
    what: str, given: Mapping[int, Any] | Sequence[Any], channels: int, detector: str
) -> Mapping[int, Any]:
    """What is given by channel: a mapping, or a sequence from channel 0 on.

    >>> of_channels("scale", [1.0, 2.0], 4, "ai")
    {0: 1.0, 1: 2.0}

    Raises
    ------
    ValueError
        If something is given of a channel that there is not, or one text for all.
    """
    if isinstance(given, str):
        raise ValueError(f"{what}={given!r}: write it by channel, as in {{0: {given!r}}}")
    numbers = dict(given) if isinstance(given, Mapping) else dict(enumerate(given))
    beyond = [one for one in numbers if one not in range(channels)]
    if beyond:
        raise ValueError(
            f"{what} is given of channel {', '.join(map(repr, beyond))}; {detector} has "
            f"the channels 0 to {channels - 1}"
        )
    return numbers


def _scaled(names: list[str], scale: Any, offset: Any, volts: Any) -> Mapping[str, Values]:
    values = np.asarray(volts, np.float64) * scale + offset
    return {name: values[:, i] for i, name in enumerate(names)}
