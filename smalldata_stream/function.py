"""A plain Python function of named inputs as a reduction."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from smalldata_stream.batch import (
    STRING,
    Array,
    Column,
    Frames,
    Ragged,
    Values,
    read_only,
)
from smalldata_stream.counted import counted
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels

Outputs: TypeAlias = Mapping[str, Spec | np.dtype[Any] | type | str]
"""Per field what a function returns: a `Spec`, or the dtype of a scalar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the values of one event, or of the columns of many.

    With ``vectorized`` false, ``function`` gets the values of one event, in the order of
    the inputs, and returns one value, or None for a gap. With ``vectorized`` true it gets
    the values of all events that have all inputs, ``(n, ...)`` (frames too, copied for it;
    lists as `Ragged`), and returns ``(n, ...)``, or a `Column` where some events have no
    result.

    With ``outputs``, the function returns a mapping with a value for each field, written
    to ``<name>_<field>``; a field that is None (or not there) is a gap, and None instead
    of the mapping is a gap in all of them.

    Parameters
    ----------
    function
        It must not write into what it gets, and must depend on one event at a time: on no
        other event of the batch, and on nothing that it remembers of events before. A
        batch job gives events to several processes, in any order, and a live one begins
        anew when its graph is edited; what adds up over events is ``.sum(...)`` and the
        plots.
    name
        The word in the output path.
    dtype, shape, unit
        What the function returns; of one output. ``str`` is text. A value that is none of
        the dtype (1.5 of int64, -1 of uint8) is an error of its event.
    outputs
        Per field the dtype of a scalar, or a `Spec`: arrays of one shape, frames, or
        lists of variable length (``kind="ragged"``).
    vectorized
        Whether it takes the columns of many events.

    Raises
    ------
    ValueError
        If both ``outputs`` and a shape or unit are given, a field is no word, a dtype or
        shape is none, or (in ``prepare``) the function does not take so many inputs.

    Examples
    --------
    >>> ratio = Function(function=lambda a, b: a / b if b else None, name="ratio")
    >>> prepared = ratio.prepare(Spec(dtype=np.dtype(float)), Spec(dtype=np.dtype(float)))
    >>> column = prepared.compute(np.array([1.0, 1.0]), np.array([4.0, 0.0]))[""]
    >>> column.values, column.present
    (array([0.25]), array([ True, False]))
    >>> both = Function(
    ...     function=lambda wave: {"peak": wave.max(), "at": wave.argmax()},
    ...     name="wave",
    ...     outputs={"peak": Spec(dtype=np.dtype(float), unit="V"), "at": int},
    ... )
    >>> prepared = both.prepare(Spec(dtype=np.dtype(float), shape=(3,)))
    >>> prepared.compute(np.array([[0.0, 5.0, 1.0]]))["at"].values
    array([1])
    """

    function: Callable[..., Any]
    name: str
    dtype: np.dtype[Any] | type | str = "float64"
    shape: tuple[int, ...] = ()
    unit: str = ""
    outputs: Outputs | None = None
    vectorized: bool = False

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ValueError(f"function={self.function!r}: write a function")
        if self.outputs is None:
            _dtype_of(self.name, self.dtype)
            if not _is_shape(self.shape):
                raise ValueError(
                    f"function {self.name!r}: shape={self.shape!r}: write one number for "
                    "each axis, such as (3, 4), and () for one number"
                )
            return
        if not isinstance(self.outputs, Mapping):
            raise ValueError(
                f"outputs={self.outputs!r}: write the dtype of each output, such as "
                "{'peak': 'float64', 'position': 'int64'}"
            )
        for given in self.outputs.values():
            if not isinstance(given, Spec):
                _dtype_of(self.name, given)
        if self.shape or self.unit:
            raise ValueError(
                f"function {self.name!r}: with outputs, write shape and unit of each as "
                "Spec(dtype=..., shape=..., unit=...)"
            )
        words = all(pixels.is_text(f) and "/" not in f for f in self.outputs)
        if not self.outputs or not words:
            raise ValueError(
                f"outputs={dict(self.outputs)!r}: write one word for each output, such as "
                "{'peak': 'float64', 'position': 'int64'}"
            )

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Declare the outputs, and see that the function takes the inputs."""
        _check_arguments(self.function, self.name, len(inputs))
        specs = self._specs()
        for field, spec in specs.items():
            if spec.kind != "ragged" and spec.shape is None:
                raise ValueError(
                    f"function {self.name!r}: the shape of {field!r} is missing"
                )
        return PerEvent(outputs=specs, compute=self._compute)

    def _specs(self) -> dict[str, Spec]:
        if self.outputs is None:
            dtype = _dtype_of(self.name, self.dtype)
            return {"": Spec(dtype=dtype, shape=tuple(self.shape), unit=self.unit)}
        return {
            field: given
            if isinstance(given, Spec)
            else Spec(dtype=_dtype_of(self.name, given))
            for field, given in self.outputs.items()
        }

    def _compute(self, *inputs: Values) -> Mapping[str, Values | Column]:
        specs = self._specs()
        if self.vectorized:
            n = len(inputs[0])
            arrays = [v.stack() if isinstance(v, Frames) else v for v in inputs]
            found = self._by_field(self.function(*map(_read_only, arrays)))
            if found.keys() != specs.keys():
                raise ValueError(f"returned {sorted(found)}, declared {sorted(specs)}")
            return {field: _vectorized(found[field], specs[field], n) for field in specs}
        events = [self.function(*values) for values in zip(*inputs, strict=True)]
        fields = [{} if event is None else self._by_field(event) for event in events]
        for event in fields:
            if not event.keys() <= specs.keys():
                raise ValueError(f"returned {sorted(event)}, declared {sorted(specs)}")
        return {
            field: _column([event.get(field) for event in fields], spec)
            for field, spec in specs.items()
        }

    def _by_field(self, returned: Any) -> Mapping[str, Any]:
        """What the function returned, by field."""
        if self.outputs is None:
            if isinstance(returned, Mapping):
                raise ValueError("returned several results: declare them, outputs={...}")
            return {"": returned}
        if not isinstance(returned, Mapping):
            raise ValueError(
                f"returned {type(returned).__name__} {returned!r}: with outputs, return "
                f"a dictionary, such as {{{next(iter(self.outputs))!r}: ...}}"
            )
        return returned


def _read_only(values: Values) -> Values:
    return read_only(values) if isinstance(values, np.ndarray) else values


def _check_arguments(function: Callable[..., Any], name: str, inputs: int) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of some that are compiled there is none
        return
    try:
        signature.bind(*[None] * inputs)
    except TypeError as error:
        values = counted(inputs, "value")
        raise ValueError(
            f"function {name!r} takes {signature}, and gets {values}, one for each input"
        ) from error


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, (tuple, list)) and all(map(pixels.is_count, shape))


def _dtype_of(name: str, given: Any) -> np.dtype[Any]:
    """The dtype that is meant; text is one of any length."""
    try:
        dtype: np.dtype[Any] = np.dtype(given)
    except TypeError as error:
        raise ValueError(
            f"function {name!r}: {given!r} is no dtype; write one such as 'float64'"
        ) from error
    if dtype.kind not in "biufUT":
        raise ValueError(
            f"function {name!r}: dtype {dtype} cannot be written; declare numbers, bool or "
            "str, such as real and imaginary part in two outputs"
        )
    if dtype.kind in "UT":
        return STRING
    return dtype.newbyteorder("=")  # no compiled kernel takes the other byte order


def _of_dtype(array: Array, dtype: np.dtype[Any]) -> Array:
    """The same values as ``dtype``; ValueError where they are none."""
    if array.dtype == dtype:
        return array
    text = dtype == STRING
    if (array.dtype.kind in "UT") != text or array.dtype.kind not in "biufUT":
        first = array.ravel()[:1].tolist()
        raise ValueError(f"returned {first!r:.60}, declared {dtype}; write its dtype")
    with np.errstate(invalid="ignore", over="ignore"):
        converted: Array = array.astype(dtype)
    if dtype.kind in "iub":
        lost = converted != array
        if lost.any():
            one = array[lost][0]
            raise ValueError(f"returned {one}, which is no {dtype}; declare another dtype")
    return converted


def _vectorized(result: Any, spec: Spec, events: int) -> Values | Column:
    if isinstance(result, Column):
        values = _vectorized(result.values, spec, len(result.values))
        assert not isinstance(values, Column)
        return Column(values, result.present)
    if isinstance(result, Frames):
        return result
    if spec.kind == "ragged":
        if not isinstance(result, Ragged):
            return _column(list(result), spec)
        return Ragged(_of_dtype(result.values, spec.dtype), result.offsets)
    if isinstance(result, Ragged):
        raise ValueError("returned lists of variable length: declare kind='ragged'")
    array = np.asarray(result)
    if array.ndim == 0 or len(array) != events:
        what = "one value" if array.ndim == 0 else counted(len(array), "value")
        raise ValueError(
            f"returned {what} for {counted(events, 'event')}; with vectorized=True, return "
            "one for each event"
        )
    return _packed(_of_dtype(array, spec.dtype), spec)


def _column(found: Sequence[Any], spec: Spec) -> Column:
    """One value, or None, per event as a column of what was declared."""
    present = np.array([value is not None for value in found], bool)
    values = [np.asarray(value) for value in found if value is not None]
    shape = spec.shape or ()
    if spec.kind == "ragged":
        for value in values:
            if value.ndim == 0 or value.shape[1:] != shape:
                raise ValueError(
                    f"returned {f'shape {value.shape}' if value.ndim else value}, declared "
                    f"a list of {f'shape {shape}' if shape else 'numbers'}"
                )
        lists = [_of_dtype(value, spec.dtype) for value in values]
        none = Ragged(np.empty((0, *shape), spec.dtype), np.zeros(1, np.int64))
        return Column(Ragged.of(lists) if lists else none, present)
    for value in values:
        if value.shape != shape:
            raise ValueError(
                f"returned an array of shape {value.shape}, declared {shape}; write "
                f"shape={value.shape} if it is the same for all events"
            )
    if len({value.dtype for value in values}) > 1:
        # Each by itself: numpy would make float64 of uint64 beside int64.
        values = [_of_dtype(value, spec.dtype) for value in values]
    array = np.stack(values) if values else np.empty((0, *shape), spec.dtype)
    return Column(_packed(_of_dtype(array, spec.dtype), spec), present)


def _packed(array: Array, spec: Spec) -> Values:
    if spec.kind == "frames":
        return Frames(list(array), shape=spec.shape, dtype=spec.dtype)
    return array
