"""An intensity and position monitor: four diodes behind a thin target (ipimb box)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from smalldata_stream.batch import Array, Column, Signal, Values
from smalldata_stream.detectors.default import (
    OneDetector,
    Part,
    Reading,
    field_of,
    has_field,
    scalar,
)
from smalldata_stream.detectors.fields import Output, Outputs, spec_of
from smalldata_stream.protocols import Spec
from smalldata_stream.run import DetectorInfo, RunInfo

DIODES = 4
_CHANNELS = ("channel", "channels", "peakAmplitude", "peakA")
_VOLTS = tuple(f"channel{i}Volts" for i in range(DIODES))
_BOARD = {
    "sum": ("sum", "totalIntensityJoules", "TotalIntensity"),
    "xpos": ("xpos", "xPositionMeters", "X_Position"),
    "ypos": ("ypos", "yPositionMeters", "Y_Position"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipm(OneDetector):
    """Intensity and position of the beam from diodes: sum, channels, xpos, ypos.

    What the DAQ computed is handed on, also of a beam monitor (`Bmmon`), under these names.
    Where the data have the four channels or voltages alone, they are computed:
    channel = ``scale`` (volts - ``base``), sum of the channels, x = ``x_scale`` (c1 - c3) /
    (c1 + c3), y = ``y_scale`` (c0 - c2) / (c0 + c2). Without light there is no position: a
    gap.

    Sum and positions are those of LCLS-I's DAQ (ipimb/LusiDiagFex.cc of its package pds),
    which takes diodes 1 and 3 for x, 0 and 2 for y, in all boxes; the signs of the scales
    say how a box is mounted. Its channel is scale (base - volts): take its ``base``,
    ``x_scale`` and ``y_scale`` as they are, and its ``scale`` with the other sign.

    Parameters
    ----------
    base, scale
        Of each channel, for voltages.
    x_scale, y_scale
        Of the positions.

    Raises
    ------
    ValueError
        If ``base`` or ``scale`` are not one number per channel.
    """

    OUTPUTS: ClassVar[Outputs] = {
        "sum": Output("intensity; J of a beam monitor"),
        "channels": Output("signal of each diode", shape="(4,)"),
        "peaks": Output("height of the peak in each channel", shape="(16,)"),
        "xpos": Output("position of the beam, x; m of a beam monitor"),
        "ypos": Output("position of the beam, y; m of a beam monitor"),
    }

    base: tuple[float, ...] = (0.0,) * DIODES
    scale: tuple[float, ...] = (1.0,) * DIODES
    x_scale: float = 1.0
    y_scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("base", "scale"):
            if len(getattr(self, name)) != DIODES:
                raise ValueError(f"{name}={getattr(self, name)}: give {DIODES} numbers")

    def read(self, run: RunInfo) -> Reading:
        """What the DAQ computed, and the rest from the channels."""
        info = self.find(run)
        parts = list(self._parts(info))
        if not parts:
            field_of(info, ("sum", *_CHANNELS, *_VOLTS))
        return Reading(parts=tuple(parts), config=self.config(info))

    def _parts(self, info: DetectorInfo) -> Iterator[Part]:
        inputs: tuple[Signal, ...] = ()
        channels: Callable[..., Array] = _stacked
        if has_field(info, *_CHANNELS):
            signal, one = field_of(info, _CHANNELS)
            inputs = (signal,)
            name = "peaks" if signal.field in ("peakAmplitude", "peakA") else "channels"
            spec = replace(spec_of(one), long_name=self.OUTPUTS[name].says)
            yield Part(inputs=inputs, outputs={name: spec})
        elif all(has_field(info, one) for one in _VOLTS):
            inputs = tuple(field_of(info, (one,))[0] for one in _VOLTS)
            channels = self._channels
            spec = Spec(
                dtype=np.dtype(np.float64),
                shape=(DIODES,),
                unit="V",
                long_name=self.OUTPUTS["channels"].says,
            )
            yield _part(inputs, "channels", spec, self._channels)
        makes: Mapping[str, Callable[[Array], Array | Column]] = {
            "sum": lambda c: c.sum(axis=1),
            "xpos": partial(position, at=(1, 3), scale=self.x_scale),
            "ypos": partial(position, at=(0, 2), scale=self.y_scale),
        }
        four = len(inputs) == DIODES or (
            len(inputs) == 1 and info.fields[inputs[0][1:]].shape == (DIODES,)
        )
        for name, make in makes.items():
            says = self.OUTPUTS[name].says
            if has_field(info, *_BOARD[name]):
                signal, one = field_of(info, _BOARD[name])
                unit = {"t": "J", "x": "m", "y": "m"}.get(signal.field[0].lower(), "")
                bld = signal.field != name
                known = Output(says, unit if bld else "")
                yield Part(inputs=(signal,), outputs={name: spec_of(one, known)})
            elif four:
                yield _part(inputs, name, scalar(says), partial(_made, make, channels))

    def _channels(self, *volts: Any) -> Array:
        stacked: Array = np.stack([np.asarray(v, np.float64) for v in volts], axis=1)
        made: Array = (stacked - np.array(self.base)) * np.array(self.scale)
        return made


def position(channels: Array, at: tuple[int, int], scale: float) -> Column:
    """scale (a - b) / (a + b) of two channels ``(n, 4)``; a gap where their sum is 0.

    >>> position(np.array([[3.0, 0, 1, 0], [0, 0, 0, 0]]), (0, 2), 2.0)
    Column(values=array([1.]), present=array([ True, False]))
    """
    one, other = (channels[:, i] for i in at)
    total = one + other
    light = total != 0
    return Column(scale * (one - other)[light] / total[light], light)


def _stacked(channels: Any) -> Array:
    return np.asarray(channels, np.float64)


def _made(
    make: Callable[[Array], Array | Column], channels: Callable[..., Array], *inputs: Any
) -> Array | Column:
    return make(channels(*inputs))


def _part(
    inputs: tuple[Signal, ...],
    name: str,
    spec: Spec,
    make: Callable[..., Array | Column],
) -> Part:
    def compute(*values: Values) -> Mapping[str, Values | Column]:
        return {name: make(*values)}

    return Part(inputs=inputs, outputs={name: spec}, compute=compute)
