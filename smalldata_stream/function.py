"""A plain Python function of named inputs as a reduction."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from smalldata_stream.batch import Array, Column, Frames, Ragged, Values
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels

Outputs: TypeAlias = Mapping[str, Spec | np.dtype[Any] | type | str]
"""Per field what a function returns: a `Spec`, or the dtype of a scalar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the values of one event, or of the columns of many.

    With ``vectorized`` false, ``function`` gets the values of one event, in the order of
    the inputs, and returns one value, or None for a gap. With ``vectorized`` true it gets
    the values of all events that have all inputs, ``(n, ...)``, and returns ``(n, ...)``,
    or a `Column` where some events have no result.

    With ``outputs``, the function returns a mapping with a value for each field, written
    to ``<name>_<field>``; a field that is None (or not there) is a gap, and None instead
    of the mapping is a gap in all of them.

    Parameters
    ----------
    function
        It must not write into what it gets, and must depend on one event at a time.
    name
        The word in the output path.
    dtype, shape, unit
        What the function returns; of one output.
    outputs
        Per field the dtype of a scalar, or a `Spec`: arrays of one shape, frames, or
        lists of variable length (``kind="ragged"``).
    vectorized
        Whether it takes the columns of many events.

    Raises
    ------
    ValueError
        If both ``outputs`` and a shape or unit are given, or a field is no word.

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
            return
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
        """Declare the outputs, and check that the function takes the inputs."""
        if inputs:
            self._check_takes(len(inputs))
        if self.outputs is None:
            one = Spec(dtype=np.dtype(self.dtype), shape=tuple(self.shape), unit=self.unit)
            return PerEvent(outputs={"": one}, compute=self._compute)
        specs = {
            field: given if isinstance(given, Spec) else Spec(dtype=np.dtype(given))
            for field, given in self.outputs.items()
        }
        for field, spec in specs.items():
            if spec.kind != "ragged" and spec.shape is None:
                raise ValueError(
                    f"function {self.name!r}: the shape of {field!r} is missing"
                )
        return PerEvent(outputs=specs, compute=self._compute)

    def _check_takes(self, number: int) -> None:
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):  # some functions written in C do not tell
            return
        try:
            signature.bind(*range(number))
        except TypeError as error:
            values = "1 value" if number == 1 else f"{number} values"
            raise ValueError(
                f"function {self.name!r} takes {signature}, and gets {values}, one for "
                "each input"
            ) from error

    def _compute(self, *inputs: Values) -> Mapping[str, Values | Column]:
        specs = self.prepare().outputs
        if self.vectorized:
            result = self.function(*inputs)
            found = {"": result} if self.outputs is None else dict(result)
            if found.keys() != specs.keys():
                raise ValueError(f"returned {sorted(found)}, declared {sorted(specs)}")
            return {field: _vectorized(found[field], specs[field]) for field in specs}
        events = [self.function(*values) for values in zip(*inputs, strict=True)]
        if self.outputs is None:
            return {"": _column(events, specs[""])}
        for event in events:
            if event is not None and not event.keys() <= specs.keys():
                raise ValueError(f"returned {sorted(event)}, declared {sorted(specs)}")
        return {
            field: _column([None if e is None else e.get(field) for e in events], spec)
            for field, spec in specs.items()
        }


def _vectorized(result: Any, spec: Spec) -> Values | Column:
    if isinstance(result, (Column, Frames, Ragged)):
        return result
    array: Array = np.asarray(result, dtype=spec.dtype)
    if spec.kind == "frames":
        return Frames(list(array), shape=spec.shape, dtype=spec.dtype)
    return array


def _column(found: list[Any], spec: Spec) -> Column:
    """One value, or None, per event as a column of what was declared."""
    present = np.array([value is not None for value in found], bool)
    values = [value for value in found if value is not None]
    if spec.kind == "ragged":
        lists = [np.asarray(value, spec.dtype) for value in values]
        return Column(Ragged.of(lists, spec.dtype), present)
    shape = spec.shape or ()
    array: Array = np.empty((len(values), *shape), spec.dtype)
    for i, value in enumerate(values):
        given = np.asarray(value)
        if given.shape != shape:
            raise ValueError(
                f"returned an array of shape {given.shape}, declared {shape}; write "
                f"shape={given.shape} if it is the same for all events"
            )
        try:
            array[i] = given
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"returned {value!r:.60}, declared {spec.dtype}; write its dtype"
            ) from error
    if spec.kind == "frames":
        return Column(Frames(list(array), shape=shape, dtype=spec.dtype), present)
    return Column(array, present)
