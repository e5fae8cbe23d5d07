"""What psana's own detector classes compute beyond what is known here, found by asking."""

from __future__ import annotations

import inspect
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from smalldata_stream.batch import STRING, Array, Signal
from smalldata_stream.run import DetectorInfo, FieldInfo
from smalldata_stream.sources.psana_child_open import Opened
from smalldata_stream.sources.psana_samples import DgramInFile
from smalldata_stream.xtc2.derived import Derived
from smalldata_stream.xtc2.describe import Description, is_large
from smalldata_stream.xtc2.known import is_known
from smalldata_stream.xtc2.recipes import Kind, Recipe

_HEADER = struct.Struct("<QI")
_L1_ACCEPT = 12
_MOST_EVENTS = 100

FAILURES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a method may raise on an event that it cannot handle."""


@dataclass(slots=True)
class Methods:
    """psana's methods by signal; one that gives many values is called once per event."""

    opened: Opened
    info: dict[Signal, FieldInfo] = field(default_factory=dict)
    _origin: dict[Signal, str] = field(default_factory=dict)
    _last: dict[tuple[str, str, str], tuple[Any, dict[str, Any]]] = field(
        default_factory=dict
    )

    def get(self, signal: Signal) -> Callable[[Any], Any]:
        """What computes the value of ``signal`` from psana's event."""
        if signal not in self.info:
            return self.opened.method(signal)
        info, name = self.info[signal], self._origin[signal]
        return lambda event: as_said(self._values(signal, name, event), signal.field, info)

    def _values(self, signal: Signal, name: str, event: Any) -> dict[str, Any]:
        key = (signal.detector, signal.algorithm, name)
        last = self._last.get(key)
        if last is None or last[0] is not event:
            method = self.opened.method(signal._replace(field=name))
            last = self._last[key] = (event, dict(leaves(name, method(event))))
        return last[1]

    def describe(
        self,
        description: Description,
        samples: Sequence[DgramInFile],
        progress: Callable[[int], None],
    ) -> Description:
        """``description`` with the methods of classes that are not known here.

        ``progress`` is told the number, from 1, of the sample that psana looks at.
        """
        more = {
            (detector, algorithm): names
            for (detector, algorithm) in description.segments
            if not _known(description.detectors[detector], algorithm)
            and (names := self._names(Signal(detector, algorithm, ""), description))
        }
        if not more:
            return description
        met: dict[Signal, list[Any]] = {}
        for number, dgrams in self._events(samples):
            progress(number)
            event = self.opened.event(dgrams)
            for (detector, algorithm), names in more.items():
                for name in names:
                    signal = Signal(detector, algorithm, name)
                    for leaf, value in self._sample(signal, event):
                        one = signal._replace(field=leaf)
                        met.setdefault(one, []).append(value)
                        self._origin[one] = name
        found = {signal: info_of(values) for signal, values in met.items()}
        self.info = {signal: info for signal, info in found.items() if info is not None}
        return extended(description, self.info)

    def _sample(self, signal: Signal, event: Any) -> list[tuple[str, Any]]:
        try:
            return list(leaves(signal.field, self.opened.method(signal)(event)))
        except (*FAILURES, NotImplementedError):
            return []

    def _names(self, signal: Signal, description: Description) -> list[str]:
        """The methods of a class that take an event, and of which nothing is known here."""
        interface = self.opened.interface(signal)
        if interface is None:
            return []
        mine = {s.field: r for s, r in description.recipes.items() if s[:2] == signal[:2]}
        derived = {name for name, recipe in mine.items() if recipe.derived is not None}
        handed_on = set(mine) & set(vars(interface))
        methods = methods_of(type(interface), interface)
        return [name for name in methods if name not in derived | handed_on]

    def _events(
        self, samples: Sequence[DgramInFile]
    ) -> Iterator[tuple[int, Sequence[Any]]]:
        """Number of the first sample and the datagrams of some events."""
        together: dict[int, list[int]] = {}
        for number, one in enumerate(samples):
            timestamp, service = _header(one)
            if service == _L1_ACCEPT:
                together.setdefault(timestamp, []).append(number)
        for numbers in list(together.values())[:_MOST_EVENTS]:
            dgrams: list[Any] = [None] * len(self.opened.configures)
            for number in numbers:
                dgrams[samples[number].stream] = self.opened.decode(samples[number])
            yield numbers[0] + 1, dgrams


def methods_of(kind: type, interface: object | None = None) -> list[str]:
    """Names of the public methods of psana's class ``kind`` that take an event alone.

    Calibration and images are none of a source's business; nor is what every class has.
    """
    from psana.detector.areadetector import AreaDetector, AreaDetectorRaw
    from psana.detector.detector_impl import DetectorImpl

    owner: Any = kind if interface is None else interface
    calibrated = {"calib", "image"} if issubclass(kind, AreaDetector) else {"calib"}
    found = []
    for name in sorted(set(dir(owner)) - set(dir(DetectorImpl)) - calibrated):
        method = getattr(owner, name)
        generic = getattr(kind, name, None) is AreaDetectorRaw.raw  # stacks the field raw
        if name.startswith("_") or not callable(method) or generic:
            continue
        if not hasattr(method, "_hidden") and _takes_event(method, interface is None):
            found.append(name)
    return found


def _takes_event(method: Callable[..., Any], unbound: bool) -> bool:
    try:
        parameters = list(inspect.signature(method).parameters.values())[unbound:]
    except (TypeError, ValueError):
        return False
    first, others = parameters[:1], parameters[1:]
    named = bool(first) and first[0].name == "evt"
    optional = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return named and all(
        one.default is not inspect.Parameter.empty or one.kind in optional for one in others
    )


def _known(info: DetectorInfo, algorithm: str) -> bool:
    return is_known(info.type, algorithm, info.versions[algorithm])


def _header(one: DgramInFile) -> tuple[int, int]:
    """Timestamp and service of a datagram."""
    file = os.open(one.path, os.O_RDONLY)
    timestamp, env = _HEADER.unpack(os.pread(file, _HEADER.size, one.offset))
    os.close(file)
    return timestamp, env >> 24 & 15


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The numbers, texts and arrays in what a method gives, named by where they are.

    >>> dict(leaves("peaks", {0: {"times": 1.5, "more": [[1], [2, 3]]}}))
    {'peaks_0_times': 1.5}
    """
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from leaves(f"{name}_{key}", below)
    elif value is not None and _is_plain(value):
        yield name, value


def _is_plain(value: Any) -> bool:
    try:
        return np.asarray(value).dtype.kind in "biufUT"
    except ValueError:  # lists of different lengths
        return False


def info_of(values: Sequence[Any]) -> FieldInfo | None:
    """What field has these values; None where no column can hold them."""
    arrays = [np.asarray(value) for value in values]
    shapes = {array.shape for array in arrays}
    ranks = {array.ndim for array in arrays}
    if len(ranks) > 1 or (len(shapes) > 1 and ranks != {1}):
        return None
    variable = len(shapes) > 1
    shape = None if variable else arrays[0].shape
    dtype = _common(arrays)
    return FieldInfo(
        dtype=dtype,
        rank=arrays[0].ndim,
        shape=shape,
        variable=variable,
        frame=is_large(dtype, shape),
    )


def _common(arrays: Iterable[Array]) -> np.dtype[Any]:
    """One dtype for all; large integers of Python's are uint64 to numpy, others int64."""
    kinds = {array.dtype for array in arrays}
    if any(dtype.kind in "UT" for dtype in kinds):
        return STRING
    if kinds == {np.dtype(np.int64), np.dtype(np.uint64)}:
        return np.dtype(np.uint64)
    return np.result_type(*kinds)


def as_said(values: Mapping[str, Any], field: str, info: FieldInfo) -> Array | None:
    """The value of a field as its column wants it; ValueError for one of another shape."""
    if field not in values:
        return None
    array = np.asarray(values[field], info.dtype)
    if array.ndim != info.rank or (info.shape is not None and array.shape != info.shape):
        raise ValueError(f"a value of shape {array.shape} instead of {info.shape}")
    return array


def extended(description: Description, more: Mapping[Signal, FieldInfo]) -> Description:
    """``description`` with further fields that psana computes."""
    recipes = dict(description.recipes)
    detectors = dict(description.detectors)
    for signal, info in more.items():
        by_method = Derived(signal.field, (), None)
        recipes[signal] = Recipe(info=info, kind=Kind.EVENT, derived=by_method)
        old = detectors[signal.detector]
        fields = {**old.fields, (signal.algorithm, signal.field): info}
        detectors[signal.detector] = replace(old, fields=fields)
    return replace(description, recipes=recipes, detectors=detectors)
