"""The detectors of `smalldata_stream.sources.simulated`: values by formula.

==================  =====================================================================
timing              raw.pulseId, raw.destination, raw.eventcodes: 40 always, 90 with
                    laser (even events), else 91, 162 without x-rays (every tenth)
gmd                 raw.energy, a float
diode               raw.trace, 50 samples
cam                 raw.image, frames (2, 16, 24) of uint16
peaks               raw.time, variable length, also none
andor_slow          raw.value (4, 6), with every tenth event
epics               raw.sample_x, and raw.shutter, a text; from event 3
scan                raw.lxt, raw.step_docstring; by step
==================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smalldata_stream.batch import STRING, Array
from smalldata_stream.run import FieldInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedDetector:
    """A detector whose values are functions of the number of the event.

    ``fields`` has by (algorithm, field) what the values are, and the function. The
    detector is there from event ``first``, in the last of ``every`` so many. With
    ``by_step`` the functions take the number of the step.
    """

    type: str
    fields: Mapping[tuple[str, str], tuple[FieldInfo, Callable[[int], Any]]]
    first: int = 0
    every: int = 1
    by_step: bool = False

    def there(self, event: int) -> bool:
        """Whether an event has the detector."""
        return event >= self.first and event % self.every == self.every - 1


def trace(event: int) -> Array:
    """A pulse on 50 samples, as high as the number of the event.

    >>> trace(3).max()
    np.float32(3.0)
    """
    return (event * np.exp(-(((np.arange(50) - 20) / 4) ** 2))).astype(np.float32)


def image(event: int) -> Array:
    """A frame whose pixels count up from 100 times the number of the event.

    >>> image(2)[0, 0, :3]
    array([200, 201, 202], dtype=uint16)
    """
    count = np.arange(2 * 16 * 24, dtype=np.uint16).reshape(2, 16, 24)
    return count + np.uint16(event * 100 % 60_000)


def peaks(event: int) -> Array:
    """As many times as the remainder of the number of the event by 4.

    >>> peaks(6)
    array([6. , 6.5])
    """
    return event + 0.5 * np.arange(event % 4)


def slow(event: int) -> Array:
    """The number of the event in all pixels."""
    return np.full((4, 6), event, np.float32)


def eventcodes(event: int) -> Array:
    """288 flags.

    >>> np.flatnonzero(eventcodes(4)).tolist()
    [40, 90, 162]
    """
    flags = np.zeros(288, np.uint8)
    flags[[40, 91 if event % 2 else 90]] = 1
    flags[162] = event % 10 == 4
    return flags


def _info(dtype: Any, shape: tuple[int, ...] = (), **more: Any) -> FieldInfo:
    return FieldInfo(dtype=np.dtype(dtype), rank=len(shape), shape=shape, **more)


DETECTORS: Mapping[str, ScriptedDetector] = {
    "timing": ScriptedDetector(
        type="ts",
        fields={
            ("raw", "pulseId"): (_info(np.uint64), lambda event: 2**60 + event),
            ("raw", "destination"): (
                _info(np.uint8),
                lambda event: 2 if event % 10 == 4 else 3,
            ),
            ("raw", "eventcodes"): (_info(np.uint8, (288,)), eventcodes),
        },
    ),
    "gmd": ScriptedDetector(
        type="gmd",
        fields={
            ("raw", "energy"): (
                _info(np.float64, unit="mJ"),
                lambda event: round(1 + 0.1 * event, 3),
            )
        },
    ),
    "diode": ScriptedDetector(
        type="wave8", fields={("raw", "trace"): (_info(np.float32, (50,)), trace)}
    ),
    "cam": ScriptedDetector(
        type="axis",
        fields={("raw", "image"): (_info(np.uint16, (2, 16, 24), frame=True), image)},
    ),
    "peaks": ScriptedDetector(
        type="hsd",
        fields={
            ("raw", "time"): (
                FieldInfo(dtype=np.dtype(np.float64), rank=1, variable=True),
                peaks,
            )
        },
    ),
    "andor_slow": ScriptedDetector(
        type="axis",
        fields={("raw", "value"): (_info(np.float32, (4, 6)), slow)},
        every=10,
    ),
    "epics": ScriptedDetector(
        type="epics",
        fields={
            ("raw", "sample_x"): (
                _info(np.float64, unit="mm"),
                lambda event: 0.5 * (event // 5),
            ),
            ("raw", "shutter"): (
                _info(STRING),
                lambda event: "OPEN" if event // 5 % 2 else "CLOSED",
            ),
        },
        first=3,
    ),
    "scan": ScriptedDetector(
        type="scan",
        fields={
            ("raw", "lxt"): (_info(np.float64), lambda step: 0.25 * step),
            ("raw", "step_docstring"): (_info(STRING), lambda step: f"step {step}"),
        },
        by_step=True,
    ),
}
"""All of them, by name."""
