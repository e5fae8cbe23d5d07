"""What the tests of the HDF5 sink declare and write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy as np

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.batch import STRING, Column, Frames, Ragged
from smalldata_stream.protocols import Declaration, Spec
from smalldata_stream.run import RunInfo

RUN = RunInfo(exp="xpptut15", number=14, detectors={}, begin=1 << 60, source="files")
F8 = Spec(dtype=np.dtype("f8"))
RAGGED = Spec(dtype=np.dtype("f8"), kind="ragged")


def declared(outputs: Mapping[str, Spec], **more: Any) -> Declaration:
    return Declaration(run=RUN, outputs=outputs, **more)


def stamps(first: int, n: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.arange(first, first + n, dtype=np.uint64)


OUTPUTS = {
    "a/x": Spec(dtype=np.dtype("f8")),
    "a/area": Spec(dtype=np.dtype("u2"), shape=(30, 30), kind="frames"),
    "a/text": Spec(dtype=STRING),
    "b/var_q": Spec(dtype=np.dtype("i4"), kind="ragged"),
    "late/z": Spec(dtype=np.dtype("i4"), shape=None),
}
LATE = 50
"""The last event without ``late/z``."""


def begun(path: Path, events: int | None = None, **options: Any) -> Hdf5Sink:
    sink = Hdf5Sink(path, **options)
    run = RunInfo(exp="", number=1, detectors={}, events=events)
    sink.begin(Declaration(run=run, outputs=OUTPUTS))
    return sink


def record(numbers: np.ndarray[Any, np.dtype[np.uint64]]) -> Mapping[str, Column]:
    """Every value follows from the event's number."""
    late = numbers > LATE
    return {
        "a/x": Column(numbers * 0.5),
        "a/area": Column(Frames([np.full((30, 30), n % 1000, np.uint16) for n in numbers])),
        "a/text": Column(np.array([f"event {n}" for n in numbers], STRING)),
        "b/var_q": Column(Ragged.of([np.full(int(n % 3), n, np.int32) for n in numbers])),
        "late/z": Column(numbers[late].astype(np.int32), late),
    }


def write(sink: Hdf5Sink, first: int, events: int) -> int:
    numbers = np.arange(first, first + events, dtype=np.uint64)
    sink.write(numbers, record(numbers))
    return first + events


def check(file: h5py.File) -> int:
    """Up to the attribute ``rows`` everything is there; returns that."""
    n = int(file.attrs["rows"])
    numbers = np.arange(1, n + 1)
    assert file["timestamp"][:n].tolist() == numbers.tolist()
    assert (file["a/x"][:n] == numbers * 0.5).all()
    area = file["a/area"][:n].reshape(n, 900)
    assert (area == (numbers % 1000)[:, None]).all()
    assert file["a/text"].asstr()[:n].tolist() == [f"event {i}" for i in numbers]
    lengths = file["b/var_q_len"][:n]
    assert (lengths == numbers % 3).all()
    if lengths.any():
        values = file["b/var_q"][: lengths.sum()]
        assert (values == np.repeat(numbers, lengths)).all()
    if n > LATE:
        assert (file["late/z"][:n] == np.where(numbers > LATE, numbers, -99999)).all()
    return n
