"""What a default detector is: what a scientist gets of a detector without writing a line.

It is a frozen dataclass of parameters, in a file named as the scientists name the thing.
Asked to ``read`` a run, it says before the first event which signals it takes and what it
puts out for each event, or that the run does not have it (`NotInRun`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np

from smalldata_stream.batch import Array, Column, Frames, Ragged, Signal, Values
from smalldata_stream.detectors.fields import Outputs, output_of, spec_of
from smalldata_stream.errors import did_you_mean
from smalldata_stream.protocols import Spec
from smalldata_stream.run import DetectorInfo, FieldInfo, RunInfo

Names: TypeAlias = str | tuple[str, ...]
"""What a detector is called in the data; of several names, the first that is there."""

STEP = Signal("", "", "step")
"""Stands for the number of the scan step of an event, from 0; a gap before the first."""


class NotInRun(LookupError):
    """The run does not have what a default detector reads; ``hint`` says what it has."""

    def __init__(self, what: str, hint: str = ""):
        self.what, self.hint = what, hint
        super().__init__(what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Outputs made of some signals, in the events that have all of these.

    ``compute`` takes the values of those events, one argument per signal, and returns for
    each output the values, or a `Column` where some events have none. None hands the one
    signal on as the one output. ``inner`` is computed like the outputs, to chain words to,
    and not written.
    """

    inputs: tuple[Signal, ...]
    outputs: Mapping[str, Spec]
    compute: Callable[..., Mapping[str, Values | Column]] | None = None
    inner: Mapping[str, Spec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a default detector takes from a run, and what it puts out.

    Attributes
    ----------
    parts
        Outputs and what they are made of.
    config
        For ``/UserDataCfg``.
    lacking, hint
        What was asked for by name and is not in this run, and what is.
    damage
        Detectors of which nothing but the damage is written.
    once
        Whether the outputs are written once, as they were in the first event of the run
        that has them, and not for each event.
    """

    parts: tuple[Part, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    hint: str = ""
    damage: tuple[str, ...] = ()
    once: bool = False


class DefaultDetector(Protocol):
    """A frozen dataclass of parameters; a wrong one raises ValueError when it is made.

    ``OUTPUTS`` has every output that it may have, for the pages.
    """

    OUTPUTS: ClassVar[Outputs]

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""

    def read(self, run: RunInfo) -> Reading:
        """What it takes from ``run`` and puts out; `NotInRun` if the run lacks it."""


@dataclass(frozen=True, slots=True)
class OneDetector:
    """A default detector that reads one detector of the data, and hands its fields on.

    Parameters
    ----------
    detector
        What the data call it; of several names, the first that is in the run. ``-`` may be
        ``_`` there, as in runs that were converted.
    name
        The HDF5 group; as the data call it unless given. A detector that the data call so
        is read where none of the others is there.
    """

    OUTPUTS: ClassVar[Outputs] = {}

    detector: Names
    _: KW_ONLY
    name: str = ""

    @property
    def group(self) -> str:
        """The HDF5 group of its outputs."""
        return self.name or self.said

    @property
    def said(self) -> str:
        """The name of the detector, the first of several."""
        return self.detector if isinstance(self.detector, str) else self.detector[0]

    def read(self, run: RunInfo) -> Reading:
        """Every field but frames, under its name in the data."""
        info = self.find(run)
        return Reading(parts=tuple(handed_on(info, self.OUTPUTS)), config=self.config(info))

    def find(self, run: RunInfo) -> DetectorInfo:
        """The detector in the run; `NotInRun` if it is not there."""
        names = (self.detector,) if isinstance(self.detector, str) else self.detector
        if self.name in run.detectors and not any(in_run(run, one) for one in names):
            return run.detectors[self.name]
        return find(run, names)

    def config(self, info: DetectorInfo) -> Mapping[str, Any]:
        """The parameters, and which detector of the data was read."""
        return {"detname": info.name} | parameters(self)


def parameters(kind: Any) -> dict[str, Any]:
    """The parameters of a default detector but for the names of what it reads."""
    names = [one.name for one in fields(kind)]
    return {name: getattr(kind, name) for name in names if name not in ("detector", "name")}


def find(run: RunInfo, names: Names) -> DetectorInfo:
    """The first of ``names`` that is in the run; `NotInRun` if none is."""
    names = (names,) if isinstance(names, str) else names
    for name in names:
        if there := in_run(run, name):
            return run.detectors[there]
    hint = did_you_mean(names[0], run.detectors)
    raise NotInRun(f"no detector {' or '.join(map(repr, names))} in this run", hint)


def in_run(run: RunInfo, name: str) -> str:
    """What the run calls the detector ``name``; empty where it has none."""
    converted = name.replace("-", "_")
    return next((one for one in (name, converted) if one in run.detectors), "")


def called(outputs: Outputs, name: str) -> str:
    """The name of an output for a field of the data that may have another."""
    if output_of(outputs, name) is None:
        for output, known in outputs.items():
            if name in known.also:
                return output
    return name


def small_fields(info: DetectorInfo) -> Iterator[tuple[Signal, FieldInfo]]:
    """Every field but frames and those that psana hides."""
    for signal in info.signals():
        one = info.fields[signal[1:]]
        if not (one.frame or signal.field.startswith("_")):
            yield signal, one


def handed_on(
    info: DetectorInfo, outputs: Outputs, *, prefix: bool = False
) -> Iterator[Part]:
    """Every small field of a detector as it is; ``prefix`` puts the algorithm before it."""
    known_as = [called(outputs, signal.field) for signal, _ in small_fields(info)]
    for signal, one in small_fields(info):
        name = called(outputs, signal.field)
        var = "var_" if one.variable else ""
        spec = spec_of(one, output_of(outputs, f"{var}{name}"))
        if prefix or known_as.count(name) > 1:
            name = f"{signal.algorithm}_{name}"
        yield Part(inputs=(signal,), outputs={f"{var}{name}": spec})


def field_of(
    info: DetectorInfo, names: tuple[str, ...], what: str = ""
) -> tuple[Signal, FieldInfo]:
    """The first field of these names; `NotInRun` if the detector has none of them."""
    for name in names:
        for signal in info.signals():
            if signal.field == name:
                return signal, info.fields[signal[1:]]
    known = [name for _, name in info.fields]
    raise NotInRun(
        f"{info.name} (type {info.type}) has no field {' or '.join(map(repr, names))}"
        + (f", which {what} needs" if what else ""),
        did_you_mean(names[0], known),
    )


def has_field(info: DetectorInfo, *names: str) -> bool:
    """Whether a detector has a field of one of these names."""
    return any(field_name in names for _, field_name in info.fields)


def dense(values: Values) -> Array:
    """Values of one shape, frames too, as one array ``(n, ...)``."""
    if isinstance(values, Frames):
        return values.stack()
    if isinstance(values, Ragged):
        raise TypeError("the values of these events differ in length")
    return values


def scalar(says: str, unit: str = "", dtype: Any = np.float64) -> Spec:
    """What is put out where an output is one number per event."""
    return Spec(dtype=np.dtype(dtype), unit=unit, long_name=says)
