"""The sink that keeps all, against the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from sinks.memory import MemorySink
from smalldata_stream.batch import Column, Frames, Ragged
from smalldata_stream.errors import OutputError
from smalldata_stream.protocols import Declaration, Sink, Spec
from smalldata_stream.run import RunInfo
from smalldata_stream.testing.sinks import SinkContract, Written


def plain(column: Column) -> list[Any]:
    values = iter(column.values)
    return [np.asarray(next(values)).tolist() if has else None for has in column.mask]


class TestMemorySink(SinkContract):
    def make(self, folder: Path) -> Sink:
        return MemorySink()

    def read(self, folder: Path, sink: Sink) -> Written:
        assert isinstance(sink, MemorySink)
        return Written(
            sink.timestamps.tolist(),
            {path: plain(column) for path, column in sink.items()},
            {path: (r.value.tolist(), r.count) for path, r in sink.totals.items()},
            sink.complete,
        )


def begun(spec: Spec) -> MemorySink:
    sink = MemorySink()
    run = RunInfo(exp="", number=1, detectors={})
    sink.begin(Declaration(run=run, outputs={"d/x": spec}))
    return sink


def test_frames_outlive_their_batch() -> None:
    sink = begun(Spec(dtype=np.dtype("u2"), shape=(2,), kind="frames"))
    shared = np.array([1, 2], np.uint16)
    sink.write(np.array([1], np.uint64), {"d/x": Column(Frames([shared]))})
    shared[:] = 0
    assert isinstance(sink["d/x"].values, Frames)
    assert sink["d/x"].values[0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("kind", "type_"), [("ragged", Ragged), ("frames", Frames), ("dense", np.ndarray)]
)
def test_an_empty_column_has_its_kind(
    kind: Literal["dense", "frames", "ragged"], type_: type
) -> None:
    sink = begun(Spec(dtype=np.dtype("u2"), shape=(3,), kind=kind))
    assert isinstance(sink["d/x"].values, type_)
    assert len(sink["d/x"]) == 0


def test_unknown_column_names_the_near_ones() -> None:
    with pytest.raises(KeyError, match="did you mean 'd/x'"):
        begun(Spec(dtype=np.dtype("u2")))["d/y"]


def test_a_record_must_fit() -> None:
    sink = begun(Spec(dtype=np.dtype("f8")))
    with pytest.raises(OutputError, match="does not have it"):
        sink.write(np.array([1], np.uint64), {})
    with pytest.raises(OutputError, match="2 events beside 1"):
        sink.write(np.array([1], np.uint64), {"d/x": Column(np.zeros(2))})
    assert len(sink.timestamps) == 0
