"""Values divided by what another detector measured in the same event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from smalldata_stream.batch import Array, Column, Frames, Ragged, Values
from smalldata_stream.protocols import PerEvent, Spec
from smalldata_stream.reductions import pixels
from smalldata_stream.reductions.memory import Memory

NARROW = (float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max))
"""Numbers between these are right in float32, but for its rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalise:
    """What it is chained to, divided by a number of the same event: ``<name>``.

    Float64 for numbers and small arrays, float32 for frames. An event in which the number
    is missing, not finite, 0, or below ``least``, has a gap.

    Parameters
    ----------
    by
        Path of the number, such as ``"gmd/energy"``, or a node.
    least
        Events with a smaller number have a gap: an X-ray-off shot has no ratio.
    area
        Write frames, too; what is chained behind works on them anyhow. Numbers and small
        arrays are always written.
    name
        The word in the output path.

    Raises
    ------
    ValueError
        If a parameter is not of this form, or (in ``prepare``) ``by`` is no number.

    Examples
    --------
    >>> signal, energy = Spec(dtype=np.dtype(int)), Spec(dtype=np.dtype(float))
    >>> ratio = Normalise(by="gmd/energy", least=0.1).prepare(signal, energy)
    >>> column = ratio.compute(np.array([3, 8]), np.array([2.0, 0.05]))[""]
    >>> column.values.tolist(), column.mask.tolist()
    ([1.5], [True, False])
    """

    by: Any
    least: float | None = None
    area: bool = False
    name: str = "normalised"

    def __post_init__(self) -> None:
        pixels.check_word("name", self.name, "normalised")
        if self.least is not None:
            pixels.check_number("least", self.least)
        if isinstance(self.by, (int, float)) or self.by == "":
            raise ValueError(f"by={self.by!r}: write the path of a number of each event")

    @property
    def others(self) -> tuple[Any, ...]:
        """What to divide by."""
        return (self.by,)

    def prepare(self, *inputs: Spec) -> PerEvent:
        """Check that there is a number to divide by."""
        spec, by = inputs
        what = f"normalise {self.name!r}"
        if by.kind != "dense" or by.shape != () or by.dtype.kind not in "iufb":
            raise ValueError(
                f"{what}: by is {by.dtype}{by.shape}, not one number per event"
            )
        if spec.dtype.kind not in "iufb":
            raise ValueError(f"{what} needs numbers; not {spec.dtype}")
        unit = f"{spec.unit}/{by.unit}" if spec.unit and by.unit else ""
        frames = spec.kind == "frames"
        dtype = np.dtype(np.float32 if frames else np.float64)
        ratio = replace(
            spec, dtype=dtype, unit=unit, long_name="divided by a number", noise=None
        )
        make = partial(_ratio, self.least, dtype, Memory())
        compute = partial(_compute, make)
        if frames and not self.area:
            return PerEvent(outputs={}, compute=compute, inner={"": ratio}, chained="")
        return PerEvent(outputs={"": ratio}, compute=compute)


def _compute(make: Callable[..., Column], *values: Values) -> Mapping[str, Column]:
    return {"": make(*values)}


@np.errstate(over="ignore")
def _ratio(
    least: float | None,
    dtype: np.dtype[Any],
    memory: Memory,
    values: Values,
    by: Values,
) -> Column:
    number = np.asarray(by).astype(float)
    present = np.isfinite(number) & (number != 0)
    if least is not None:
        present &= number >= least
    chosen = number[present]
    if isinstance(values, Frames):
        taken = [f for f, p in zip(values, present, strict=True) if p]
        out = memory.empty((len(taken), *values.shape), dtype)
        for frame, number_, to in zip(taken, chosen, out, strict=True):
            # In float32, which is faster, unless the number has no place there.
            fits = NARROW[0] <= abs(number_) <= NARROW[1]
            divisor = dtype.type(number_) if fits else number_
            np.divide(frame, divisor, out=to, casting="same_kind")
        return Column(Frames(list(out), shape=values.shape, dtype=dtype), present)
    if isinstance(values, Ragged):
        lists = [v / n for v, n, p in zip(values, number, present, strict=True) if p]
        return Column(Ragged.of(lists, dtype), present)
    array: Array = np.asarray(values)[present].astype(dtype)
    array /= chosen.reshape(-1, *(1,) * (array.ndim - 1))
    return Column(array, present)
