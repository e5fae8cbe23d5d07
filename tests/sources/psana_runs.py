"""Small runs for psana's process, written with the simulation's writer."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_stream.batch import Batch, Signal
from smalldata_stream.protocols import Run
from smalldata_stream.simulate.xtc2_writer import Names, Service, Stream

needs_psana = pytest.mark.skipif(
    importlib.util.find_spec("psana") is None, reason="psana is not installed"
)
CAM = Names(
    detector="cam",
    type="opal",
    algorithm="raw",
    version=(2, 0, 0),
    fields={"image": ("u2", 2), "count": ("u4", 0)},
)
ENCODER = Names(
    detector="cam",
    type="encoder",
    algorithm="raw",
    version=(3, 0, 0),
    fields={"encoderValue": ("u4", 0), "scale": ("u2", 0), "scaleDenom": ("u2", 0)},
)
COUNT = Signal("cam", "raw", "count")
FIRST = 10


def write_cam(path: Path, events: int, side: int = 8) -> Path:
    """Event i has the timestamp ``FIRST + i`` and the count i."""
    with Stream(path, Path(os.devnull), [CAM]) as stream:
        begin(stream)
        count = np.arange(events)
        image = np.broadcast_to(count[:, None, None], (events, side, side))
        stream.events(FIRST + count, [(CAM, {"image": image, "count": count})])
        stream.transition(FIRST + events, Service.END_RUN)
    return path


def write_encoder(path: Path) -> Path:
    """Another detector under the name ``cam``."""
    with Stream(path, Path(os.devnull), [ENCODER]) as stream:
        begin(stream)
        values: dict[str, Any] = {
            "encoderValue": np.arange(4),
            "scale": np.full(4, 3),
            "scaleDenom": np.full(4, 2),
        }
        stream.events(FIRST + np.arange(4), [(ENCODER, values)])
        stream.transition(FIRST + 4, Service.END_RUN)
    return path


def begin(stream: Stream) -> None:
    stream.configure(1)
    stream.transition(2, Service.BEGIN_RUN)


def event_at(path: Path, event: int) -> int:
    """Where the datagram of an event begins, all events having one size."""
    data = path.read_bytes()
    header = (12 << 24).to_bytes(4, "little")
    first, second = (data.index((FIRST + i).to_bytes(8, "little") + header) for i in (0, 1))
    return first + event * (second - first)


def patch(path: Path, offset: int, value: int, width: int = 4) -> None:
    """Overwrite a word of the file."""
    data = bytearray(path.read_bytes())
    data[offset : offset + width] = value.to_bytes(width, "little")
    path.write_bytes(data)


def counts(batches: list[Batch]) -> list[int]:
    """The count of every event that has one."""
    return [int(value) for batch in batches for value in batch.columns[COUNT].values]


def collect(run: Run, limit: Any) -> tuple[list[Batch], BaseException | None]:
    """The batches of the cam's count, and what ended them."""
    batches: list[Batch] = []
    try:
        batches.extend(run.batches([COUNT], limit))
    except Exception as error:  # noqa: BLE001 (the tests look at it)
        return batches, error
    return batches, None
