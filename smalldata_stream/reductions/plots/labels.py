"""On, off and difference: curves of the events in which a column is true, and is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.protocols import Spec
from smalldata_stream.reductions.plots.shown import Floats

ALL: tuple[str, ...] = ("",)
ON_OFF: tuple[str, ...] = ("on", "off")

Curve = tuple[Floats, Floats, Array]
"""Mean, standard error and number of events."""


def curve_fields(labels: Sequence[str], mean: Spec, counts: Spec) -> dict[str, Spec]:
    """Fields of the curves of all labels, and of their difference where there are two.

    >>> number = Spec(dtype=np.dtype(np.int64))
    >>> list(curve_fields(ON_OFF, number, number))[3:]
    ['off', 'off_error', 'off_counts', 'difference', 'difference_error']
    """
    fields: dict[str, Spec] = {}
    for label in labels:
        fields[label or "mean"] = mean
        fields[f"{label}_error".strip("_")] = mean
        fields[f"{label}_counts".strip("_")] = counts
    if len(labels) == 2:
        fields |= {"difference": mean, "difference_error": mean}
    return fields


def curve_values(curves: Mapping[str, Curve]) -> dict[str, Array]:
    """The values of `curve_fields`; on minus off, whose errors add in quadrature."""
    values: dict[str, Array] = {}
    for label, (mean, error, counts) in curves.items():
        values[label or "mean"] = mean
        values[f"{label}_error".strip("_")] = error
        values[f"{label}_counts".strip("_")] = counts
    if len(curves) == 2:
        (on, on_error, _), (off, off_error, _) = curves.values()
        values["difference"] = on - off
        values["difference_error"] = np.hypot(on_error, off_error)
    return values
