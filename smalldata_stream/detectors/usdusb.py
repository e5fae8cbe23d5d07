"""The USB encoder box (usdusb): four encoders, each with a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from smalldata_stream.batch import Values
from smalldata_stream.detectors.acromag import of_channels
from smalldata_stream.detectors.default import (
    OneDetector,
    Part,
    Reading,
    field_of,
    scalar,
)
from smalldata_stream.detectors.fields import Output, Outputs
from smalldata_stream.run import DetectorInfo, RunInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Usdusb(OneDetector):
    """One output per channel, under the name that the box gives it.

    The values are (count + offset) * scale as the box is set up; of LCLS-I, counts.

    Parameters
    ----------
    names
        Of the channels by number, instead of those of the box; ``ch0`` ... without either.
    scale
        The values are multiplied by it, by number.
    unit
        Of what comes out, by number.

    Raises
    ------
    ValueError
        If two channels have one name; if a channel is named that the box does not have.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "ch*": Output("position of a channel without a name"),
        "*": Output("position of the channel of that name"),
    }

    names: Mapping[int, str] | Sequence[str] = ()
    scale: Mapping[int, float] | Sequence[float] = ()
    unit: Mapping[int, str] | Sequence[str] = ()

    def read(self, run: RunInfo) -> Reading:
        """As many channels as the data have."""
        info = self.find(run)
        signal, one = field_of(info, ("encoder_values", "values", "encoder_count"))
        channels = one.shape[0] if one.shape else 4
        given, factors, units = (
            of_channels(what, getattr(self, what), channels, info.name)
            for what in ("names", "scale", "unit")
        )
        names = {**described(info), **given}
        outputs = [names.get(i) or f"ch{i}" for i in range(channels)]
        if len(set(outputs)) < channels:
            raise ValueError(
                f"{info.name}: two channels have one name: {', '.join(outputs)}; write "
                "names= that differ"
            )
        scale = np.array([factors.get(i, 1.0) for i in range(channels)])
        part = Part(
            inputs=(signal,),
            outputs={
                name: scalar("position", units.get(i, "")) for i, name in enumerate(outputs)
            },
            compute=partial(_scaled, outputs, scale),
        )
        config = {"detname": info.name, "names": outputs, "scale": scale}
        return Reading(parts=(part,), config=config)


def described(info: DetectorInfo) -> dict[int, str]:
    """The names that the box gives its channels, where the run says them beforehand.

    That of a channel without one is empty.
    """
    for (_, field), value in info.config.items():
        if field == "_name":
            raw = np.ascontiguousarray(value).view(np.uint8).tobytes()
            texts = [raw[i : i + 48] for i in range(0, len(raw), 48)]
            names = [text.split(b"\0")[0].decode("utf-8", "replace") for text in texts]
            return {i: name.strip() for i, name in enumerate(names)}
    return {}


def _scaled(names: list[str], scale: Any, values: Any) -> Mapping[str, Values]:
    scaled = np.asarray(values, np.float64) * scale
    return {name: scaled[:, i] for i, name in enumerate(names)}
