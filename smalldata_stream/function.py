"""A plain Python function of named inputs as a reduction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Column, Values
from smalldata_stream.protocols import PerEvent, Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the values of one event, or of the columns of many.

    With ``vectorized`` false, ``function`` gets the values of one event, in the order of
    the inputs, and returns one value, or None for a gap. With ``vectorized`` true it gets
    the values of all events that have all inputs, ``(n, ...)``, and returns ``(n, ...)``.

    >>> ratio = Function(function=lambda a, b: a / b if b else None, name="ratio")
    >>> prepared = ratio.prepare(Spec(dtype=np.dtype(float)), Spec(dtype=np.dtype(float)))
    >>> column = prepared.compute(np.array([1.0, 1.0]), np.array([4.0, 0.0]))[""]
    >>> column.values, column.present
    (array([0.25]), array([ True, False]))
    """

    function: Callable[..., Any]
    name: str
    dtype: np.dtype[Any] | type | str = "float64"
    shape: tuple[int, ...] = ()
    unit: str = ""
    vectorized: bool = False

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Declare the one output."""
        spec = Spec(dtype=np.dtype(self.dtype), shape=tuple(self.shape), unit=self.unit)
        return PerEvent(outputs={"": spec}, compute=self._compute)

    def _compute(self, *inputs: Values) -> Mapping[str, Values | Column]:
        if self.vectorized:
            return {"": np.asarray(self.function(*inputs), dtype=self.dtype)}
        found = [self.function(*values) for values in zip(*inputs, strict=True)]
        present = np.array([value is not None for value in found], bool)
        values: Array = np.empty((int(present.sum()), *self.shape), self.dtype)
        for i, value in enumerate(v for v in found if v is not None):
            values[i] = value
        return {"": Column(values, present)}
