"""The newest event of a record as messages, one for each detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array, Column, Frames
from smalldata_stream.message import Message
from smalldata_stream.protocols import Spec


def messages_of_record(
    timestamps: NDArray[np.uint64],
    record: Mapping[str, Column],
    outputs: Mapping[str, Spec],
    about: Mapping[str, Any],
) -> Iterator[tuple[str, Callable[[], Message]]]:
    """For each detector (topic) its values in the newest event that has any.

    The arguments of `ZmqPublisher.offer`, as ``(topic, make)``; values are copied, so that
    ``make`` outlives the batch. Fields are the paths of ``outputs`` without the detector,
    with their dtype; a scalar has shape ``()``. A field with a gap in that event is absent.
    Frames are not sent: plots show those. ``about`` is added to the metadata, which are
    ``kind`` ("event"), ``timestamp`` and ``units``.

    >>> column = Column(np.array([7], np.uint64), np.array([True, False]))
    >>> made = messages_of_record(
    ...     np.array([1, 2], np.uint64), {"gmd/shots": column},
    ...     {"gmd/shots": Spec(dtype=np.dtype(np.uint64), unit="1")}, {})
    >>> [(topic, make().metadata["timestamp"]) for topic, make in made]
    [('gmd', 1)]
    """
    detectors: dict[str, dict[str, Column]] = {}
    for path in outputs:
        detector, _, name = path.partition("/")
        column = record.get(path)
        if column is not None and not isinstance(column.values, Frames):
            detectors.setdefault(detector, {})[name or detector] = column
    for detector, columns in detectors.items():
        newest = max(last_event(column) for column in columns.values())
        if newest < 0:
            continue
        arrays = {
            name: value_of(column)
            for name, column in columns.items()
            if last_event(column) == newest
        }
        units = {name: outputs.get(f"{detector}/{name}", NO_SPEC).unit for name in arrays}
        metadata = {
            **about,
            "kind": "event",
            "title": detector,
            "group": "events",
            "timestamp": int(timestamps[newest]),
            "units": {name: unit for name, unit in units.items() if unit},
        }
        yield detector, partial(Message, detector, metadata, arrays)


NO_SPEC = Spec(dtype=np.dtype(float))


def last_event(column: Column) -> int:
    """The newest event with a value; -1 if none has.

    >>> last_event(Column(np.array([5.0]), np.array([False, True, False])))
    1
    """
    if column.present is None:
        return len(column) - 1
    events = np.flatnonzero(column.present)
    return int(events[-1]) if len(events) else -1


def value_of(column: Column) -> Array:
    """A copy of the newest value of a column that has one."""
    values = column.values
    return np.array(values[len(values) - 1], values.dtype)
