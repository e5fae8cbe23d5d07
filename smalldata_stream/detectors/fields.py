"""What a field of a detector puts out for one event: dtype, shape, unit, meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from smalldata_stream.batch import STRING
from smalldata_stream.protocols import Spec
from smalldata_stream.run import FieldInfo


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a default detector, as the pages list it.

    ``dtype`` and ``shape`` are those it usually has; what it has in a run is said by the
    run. ``also`` are other names of the field in the data: those of LCLS-I, or of EPICS.
    """

    says: str
    unit: str = ""
    dtype: str = "float64"
    shape: str = ""
    also: tuple[str, ...] = ()


Outputs = Mapping[str, Output]
"""Outputs by name; ``*`` in a name stands for any text."""


def output_of(outputs: Outputs, name: str) -> Output | None:
    """What is known of an output.

    >>> output_of({"integral_*": Output("integral of a channel")}, "integral_3").says
    'integral of a channel'
    """
    if name in outputs:
        return outputs[name]
    for pattern, output in outputs.items():
        head, star, tail = pattern.partition("*")
        if star and name.startswith(head) and name.endswith(tail) and name != pattern:
            return output
    return None


def spec_of(field: FieldInfo, known: Output | None = None) -> Spec:
    """What a field puts out for one event; ``known`` is what the project knows of it."""
    kind: Literal["dense", "frames", "ragged"] = "dense"
    if field.variable or field.frame:
        kind = "ragged" if field.variable else "frames"
    shape: tuple[int, ...] | None = field.shape
    if field.variable or (shape is None and (field.rank == 0 or field.dtype == STRING)):
        shape = ()
    return Spec(
        dtype=field.dtype,
        shape=shape,
        kind=kind,
        unit=field.unit or (known.unit if known else ""),
        long_name=field.long_name or (known.says if known else ""),
    )
