"""The HDF5 sink against the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy as np

from sinks.hdf5 import Hdf5Sink, missing_value, partials
from smalldata_stream.protocols import Sink, Spec
from smalldata_stream.testing.sinks import OUTPUTS, SinkContract, Written


def rows(file: h5py.File, path: str, spec: Spec) -> list[Any]:
    """One plain value per event, None where it is missing."""
    if spec.kind == "ragged":
        group, _, name = path.rpartition("/")
        lengths = f"{path}_len" if name.startswith("var_") else f"{group}_len"
        ends = np.cumsum(file[lengths][:])
        return [part.tolist() for part in np.split(file[path][:], ends)[:-1]]
    if path == "epics/state":
        return [text or None for text in file[path].asstr()[:]]
    values = file[path][:]
    missing = missing_value(spec.dtype)
    same = np.isnan(values) if values.dtype.kind == "f" else values == missing
    gone = same.all(axis=tuple(range(1, values.ndim)))
    if spec.dtype.kind == "b":
        values = values.astype(bool)
    return [None if no else value.tolist() for value, no in zip(values, gone, strict=True)]


class TestHdf5Sink(SinkContract):
    options: dict[str, Any] = {}  # noqa: RUF012

    def make(self, folder: Path) -> Sink:
        return Hdf5Sink(folder / "run.h5", **self.options)

    def read(self, folder: Path, sink: Sink) -> Written:
        path = folder / "run.h5"
        with h5py.File(path if path.exists() else partials(path)[-1]) as file:
            return Written(
                file["timestamp"][:].tolist(),
                {p: rows(file, p, spec) for p, spec in OUTPUTS.items() if p in file},
                {
                    f"Sums/{name}": (total[()].tolist(), total.attrs["count"])
                    for name, total in file.get("Sums", {}).items()
                },
                bool(file.attrs["complete"]),
            )


class TestFlushedAlways(TestHdf5Sink):
    options = {"flush_seconds": 0, "compression": "gzip"}  # noqa: RUF012


class TestUncompressed(TestHdf5Sink):
    options = {"flush_seconds": 0, "compression": "none"}  # noqa: RUF012
