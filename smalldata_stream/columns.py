"""Columns as nodes need them: aligned by event, spread over a batch, and empty ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Column, Frames, Mask, Ragged, Values, concatenate
from smalldata_stream.protocols import Spec


def common_events(columns: Sequence[Column]) -> Mask:
    """The events in which every column has a value, ``(events,)``.

    >>> a = Column(np.array([1]), np.array([True, False]))
    >>> common_events([a, Column(np.array([5, 6]))])
    array([ True, False])
    """
    common = columns[0].mask
    for column in columns[1:]:
        common = common & column.mask
    return common


def no_values(spec: Spec) -> Values:
    """The values of no event, of the kind that ``spec`` declares."""
    shape = spec.shape or ()
    if spec.kind == "frames":
        return Frames([], shape=shape, dtype=spec.dtype)
    if spec.kind == "ragged":
        return Ragged(np.empty((0, *shape), spec.dtype), np.zeros(1, np.int64))
    return np.empty((0, *shape), spec.dtype)


def gaps(spec: Spec, events: int) -> Column:
    """A column without any value."""
    return Column(no_values(spec), np.zeros(events, bool))


def spread(column: Column, events: Mask) -> Column:
    """``column`` is over the true elements of ``events``; make it over all of them."""
    if events.all():
        return column
    present = events.copy()
    present[events] = column.mask
    return Column(column.values, present)


def join(columns: Sequence[Column]) -> Column:
    """The columns of consecutive groups of events as one."""
    with_values = [c.values for c in columns if len(c.values)] or [columns[0].values]
    return Column(concatenate(with_values), np.concatenate([c.mask for c in columns]))


def reordered(column: Column, order: NDArray[np.intp]) -> Column:
    """The column with event ``order[i]`` at place i; every event is in ``order`` once.

    >>> column = Column(np.array([5, 7]), np.array([True, False, True]))
    >>> reordered(column, np.array([2, 0, 1])).values.tolist()
    [7, 5]
    """
    mask, values = column.mask, column.values
    present = mask[order]
    places = (np.cumsum(mask) - 1)[order][present]
    if not len(places):
        return Column(values, present)
    if isinstance(values, Frames):
        return Column(Frames([values[int(i)] for i in places]), present)
    if isinstance(values, Ragged):
        return Column(Ragged.of([values[int(i)] for i in places]), present)
    return Column(values[places], present)


def as_columns(
    results: Mapping[str, Values | Column], specs: Mapping[str, Spec], events: int
) -> dict[str, Column]:
    """Check what a node computed against what it declared.

    Raises
    ------
    ValueError
        If a field is missing or undeclared, or a result is not of ``events`` events.
    """
    if results.keys() != specs.keys():
        raise ValueError(f"computed {sorted(results)}, declared {sorted(specs)}")
    columns = {}
    for field, result in results.items():
        column = result if isinstance(result, Column) else Column(result)
        if len(column) != events:
            raise ValueError(f"{field!r} has {len(column)} values for {events} events")
        ragged, declared = isinstance(column.values, Ragged), specs[field].kind
        if ragged != (declared == "ragged"):
            kind = "a list of variable length" if ragged else "an array"
            raise ValueError(f"{field!r} is {kind}, declared {declared}")
        shape, want = value_shape(column.values), specs[field].shape
        if want is not None and len(column.values) and shape not in (None, want):
            raise ValueError(f"{field!r} has shape {shape}, declared {want}")
        columns[field] = column
    return columns


def value_shape(values: Values) -> tuple[int, ...] | None:
    """Shape of one event's value; None where it varies."""
    if isinstance(values, Ragged):
        return None
    shape: tuple[int, ...] = (
        values.shape if isinstance(values, Frames) else values.shape[1:]
    )
    return shape


def truth(column: Column, wanted: bool = True) -> Mask:
    """The events whose value is true (or false); a gap and NaN are neither, ``(events,)``.

    >>> truth(Column(np.array([True, False]), np.array([True, False, True])), False)
    array([False, False,  True])
    >>> some = Column(np.array([np.nan, 2.0]))
    >>> truth(some), truth(some, False)
    (array([False,  True]), array([False, False]))
    """
    chosen = column.mask.copy()
    values: Array = np.asarray(column.values)
    # NaN is not equal to itself.
    chosen[chosen] = (values.astype(bool) == wanted) & (values == values)
    return chosen
