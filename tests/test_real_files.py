"""Real files through a whole run: every value in the output is psana's, by both readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  reads bitshuffle
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.loading import load_graph
from smalldata_stream.modes.batch import reduce_run
from smalldata_stream.protocols import Source
from smalldata_stream.run import RunInfo
from smalldata_stream.sources.files import FilesSource
from smalldata_stream.sources.psana import PsanaSource
from tests.sources.oracle import DATA, needs_data, psana_reads

SINGLE = ["test_ts.xtc2", "test_jungfrau05M_calib.xtc2", "test_timetool_psana.xtc2"]
FOLDERS = ["intg_det", "fakesteps", "chunking"]
READERS: dict[str, type[FilesSource] | type[PsanaSource]] = {
    "native": FilesSource,
    "psana": PsanaSource,
}


def written(source: Source, path: Path) -> RunInfo:
    """Run graphs/everything.py over the one run of a source."""
    (info,) = (
        reduce_run(run, load_graph("everything"), Hdf5Sink(path)).run
        for run in source.runs()
    )
    return info


def source_of(name: str, reader: str) -> Source:
    if name in SINGLE:
        return READERS[reader].from_files([DATA / name])
    return READERS[reader].from_run("xpptut15", 14, DATA / name)


def psana_of(name: str, tmp_path: Path) -> list[dict[str, Any]]:
    if name in SINGLE:
        (run,) = psana_reads(tmp_path, "files", str(DATA / name))
    else:
        (run,) = psana_reads(tmp_path, "run", "xpptut15", "14", str(DATA / name))
    events: list[dict[str, Any]] = run["events"]
    return events


def row(f: h5py.File, path: str, i: int) -> Any:
    """The value of event ``i``; what varies in length is cut out of the whole."""
    if path in f:
        return f[path][i]
    group, _, name = path.rpartition("/")
    lengths = f[f"{group}/var_{name}_len"][:]
    start = int(lengths[:i].sum())
    return f[f"{group}/var_{name}"][start : start + lengths[i]]


def plain(value: Any) -> Any:
    """Text as text, the rest as an array."""
    return np.asarray(value.decode() if isinstance(value, bytes) else value)


def output_path(info: RunInfo, detector: str, algorithm: str, field: str) -> str:
    """Where docs/graph.md says a field goes."""
    twice = sum(name == field for _, name in info.detectors[detector].fields) > 1
    return f"{detector}/{algorithm}_{field}" if twice else f"{detector}/{field}"


@needs_data
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", SINGLE + FOLDERS)
def test_every_value_is_psanas(name: str, reader: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    info = written(source_of(name, reader), path)
    events = psana_of(name, tmp_path)
    compared = 0
    with h5py.File(path) as f:
        assert f["timestamp"][:].tolist() == [event["timestamp"] for event in events]
        for i, event in enumerate(events):
            for (detector, segment, algorithm, field), theirs in event["raw"].items():
                segments = info.detectors[detector].segments
                alone = (algorithm, f"{field}_{segment}") in info.detectors[detector].fields
                key = f"{field}_{segment}" if alone else field
                ours = row(f, output_path(info, detector, algorithm, key), i)
                if len(segments) > 1 and not alone:
                    ours = ours[segments.index(segment)]
                np.testing.assert_array_equal(plain(ours).ravel(), np.ravel(theirs))
                compared += 1
            for field, theirs in event["env"].items():
                if theirs is not None:
                    (group,) = {g for g in ("epics", "scan") if field in f.get(g, ())}
                    np.testing.assert_array_equal(plain(f[group][field][i]), theirs)
                    compared += 1
    assert compared >= len(events)


@needs_data
@pytest.mark.parametrize("name", SINGLE + FOLDERS)
def test_both_readers_write_the_same_file(name: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{reader}.h5" for reader in READERS]
    for path, reader in zip(paths, READERS, strict=True):
        written(source_of(name, reader), path)
    with h5py.File(paths[0]) as one, h5py.File(paths[1]) as other:
        assert_same_tree(one, other)


def assert_same_tree(one: h5py.File, other: h5py.File) -> None:
    """The same datasets with the same bits; the provenance tells what read them."""
    names: list[list[str]] = [[], []]
    for f, found in zip((one, other), names, strict=True):
        f.visititems(
            lambda n, x, found=found: found.append(n) if hasattr(x, "dtype") else None
        )
    mine, theirs = (
        [n for n in found if not n.startswith("provenance/")] for found in names
    )
    assert mine == theirs
    for name in mine:
        a, b = one[name], other[name]
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        if a.dtype.hasobject:
            assert np.asarray(a[()]).tolist() == np.asarray(b[()]).tolist(), name
        else:
            assert a[()].tobytes() == b[()].tobytes(), name
        assert dict(a.attrs.items()).keys() == dict(b.attrs.items()).keys(), name
