"""Values of every kind and every gap, through the file and back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink, missing_value
from smalldata_stream.batch import STRING, Array, Column, Frames, Ragged
from smalldata_stream.errors import OutputError
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Spec
from tests.sinks.hdf5_runs import F8, declared, stamps


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("i1", -128),
        ("i2", -32768),
        ("i4", -99999),
        ("i8", -99999),
        ("u1", 255),
        ("u2", 65535),
        ("u4", 2**32 - 1),
        ("u8", 2**64 - 1),
        ("?", -1),
        (">i4", -99999),
    ],
)
@pytest.mark.parametrize("when", ["early", "late", "always"])
def test_missing_integers(tmp_path: Path, dtype: str, expected: int, when: str) -> None:
    sink = Hdf5Sink(tmp_path / "x.h5", flush_seconds=0)
    spec = Spec(dtype=np.dtype(dtype))
    sink.begin(declared({"d/x": spec, "d/y": dataclasses.replace(spec, shape=None)}))
    gap = Column(np.empty(0, dtype), np.zeros(3, bool))
    full = gap if when == "always" else Column(np.ones(3, dtype))
    parts = [gap, full] if when == "early" else [full, gap]
    for i, part in enumerate(parts):
        sink.write(stamps(1 + 3 * i, 3), {"d/x": part, "d/y": part})
    sink.end({}, Ledger())
    assert missing_value(np.dtype(dtype)) == expected
    want = [*[expected] * 3, *[1] * 3] if when == "early" else [*[1] * 3, *[expected] * 3]
    if when == "always":
        want = [expected] * 6
    with h5py.File(sink.path) as file:
        for name in ("d/x", "d/y") if when != "always" else ("d/x",):
            assert file[name][:].tolist() == want
            assert file[name].fillvalue == file[name].attrs["missing_value"] == expected
        never = file["provenance"].get("never_seen")
        if when == "always":
            assert never.asstr()[:].tolist() == ["d/y"]
        else:
            assert never is None


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16", ">f8"])
def test_missing_floats(dtype: str) -> None:
    missing = missing_value(np.dtype(dtype))
    assert np.isnan(missing.real)
    assert np.isnan(missing.imag) == (np.dtype(dtype).kind == "c")


@pytest.mark.parametrize("dtype", [np.dtype(object), np.dtype("M8[ns]")])
def test_what_cannot_be_stored_is_refused_at_begin(
    tmp_path: Path, dtype: np.dtype[Any]
) -> None:
    with pytest.raises(OutputError, match=r"d/x: dtype .* cannot be stored"):
        Hdf5Sink(tmp_path / "x.h5").begin(declared({"d/x": Spec(dtype=dtype)}))


def strange(values: Array) -> list[Array]:
    """The same numbers, laid out in every way numpy knows."""
    wide = np.zeros((len(values), 2, *values.shape[1:]), values.dtype)
    wide[:, 1] = values
    packed = np.zeros(values.nbytes + 1, np.uint8)
    unaligned = packed[1:].view(values.dtype).reshape(values.shape)
    unaligned[...] = values
    swapped = values.astype(values.dtype.newbyteorder())
    fixed = values.copy()
    fixed.flags.writeable = False
    turned = values[::-1][::-1]
    return [wide[:, 1], unaligned, swapped, fixed, turned, np.asfortranarray(values)]


@pytest.mark.parametrize("shape", [(), (3, 2), (40, 30)])
@pytest.mark.parametrize("dtype", ["f8", "u2", "c8", "i1"])
@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("compression", ["bitshuffle-lz4", "gzip", "none"])
def test_any_memory_layout(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, frames: bool, compression: Any
) -> None:
    values = np.random.default_rng(1).integers(0, 100, (9, *shape)).astype(dtype)
    sink = Hdf5Sink(tmp_path / "x.h5", compression=compression)
    sink.begin(declared({"d/x": Spec(dtype=np.dtype(dtype), shape=shape)}))
    ways = strange(values)
    for i, way in enumerate(ways):
        column = Column(Frames([np.asarray(v) for v in way]) if frames else way)
        sink.write(stamps(1 + 9 * i, 9), {"d/x": column})
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        assert np.array_equal(file["d/x"][:], np.concatenate([values] * len(ways)))
        assert file["d/x"].dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", [STRING, np.dtype("U5"), np.dtype("S5")])
def test_text(tmp_path: Path, dtype: np.dtype[Any]) -> None:
    sink = Hdf5Sink(tmp_path / "x.h5")
    sink.begin(declared({"d/x": Spec(dtype=dtype), "d/two": Spec(dtype=dtype, shape=(2,))}))
    values = np.array(["a", "", "xyz"]).astype(dtype)
    record = {
        "d/x": Column(values, np.array([True, True, False, True])),
        "d/two": Column(np.array([["p", "q"]]).astype(dtype), np.arange(4) == 2),
    }
    sink.write(stamps(1, 4), record)
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        assert file["d/x"].asstr()[:].tolist() == ["a", "", "", "xyz"]
        assert file["d/two"].asstr()[2].tolist() == ["p", "q"]
        assert file["d/x"].attrs["missing_value"] == ""


@pytest.mark.parametrize("compression", ["bitshuffle-lz4", "none"])
def test_frames_larger_than_a_chunk(tmp_path: Path, compression: Any) -> None:
    frames = np.random.default_rng(2).integers(0, 99, (3, 2, 700, 1024)).astype("u2")
    sink = Hdf5Sink(tmp_path / "x.h5", compression=compression)
    sink.begin(declared({"d/x": Spec(dtype=np.dtype("u2"), shape=None, kind="frames")}))
    present = np.array([False, True, True, False, True])
    sink.write(stamps(1, 5), {"d/x": Column(Frames(list(frames)), present)})
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        dataset = file["d/x"]
        assert np.array_equal(dataset[:][present], frames)
        assert (dataset[:][~present] == 65535).all()
        assert 1 << 19 <= np.prod(dataset.chunks) * 2 <= 1 << 20
        filters = dataset.id.get_create_plist().get_nfilters()
        assert filters == (0 if compression == "none" else 1)


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("compression", ["bitshuffle-lz4", "gzip", "none"])
def test_chunks_flushed_before_they_are_full(
    tmp_path: Path, compression: Any, frames: bool
) -> None:
    """Rows come back whether their chunk was flushed once, often or never."""
    random = np.random.default_rng(3)
    values = random.integers(0, 9, (137, 100, 100)).astype("i4")
    present = random.random(137) < 0.7
    for pause in (0.0, 1e9):
        path = tmp_path / f"{pause}.h5"
        sink = Hdf5Sink(path, compression=compression, flush_seconds=pause)
        sink.begin(declared({"d/x": Spec(dtype=np.dtype("i4"), shape=(100, 100))}))
        first = 0
        for n in (1, 5, 40, 16, 62, 13):
            part = slice(first, first + n)
            some = values[part][present[part]]
            column = Column(Frames(list(some)) if frames else some, present[part])
            sink.write(stamps(first + 1, n), {"d/x": column})
            first += n
        sink.end({}, Ledger())
        with h5py.File(path) as file:
            assert file["d/x"].chunks == (16, 100, 100)
            got = file["d/x"][:]
        assert np.array_equal(got[present], values[present])
        assert (got[~present] == -99999).all()


def test_empty_shape(tmp_path: Path) -> None:
    sink = Hdf5Sink(tmp_path / "x.h5", flush_seconds=0)
    sink.begin(declared({"d/x": Spec(dtype=np.dtype("f8"), shape=(3, 0))}))
    sink.write(stamps(1, 2), {"d/x": Column(np.empty((2, 3, 0)))})
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        assert file["d/x"].shape == (2, 3, 0)


@pytest.mark.parametrize(
    ("column", "match"),
    [
        (Column(np.zeros((2, 3))), r"d/x has shape \(\), but got a value of \(3,\)"),
        (Column(np.zeros(2, "c8")), "declared as float64, but got complex64"),
        (Column(Ragged.of([np.zeros(1)] * 2)), "declare it as 'ragged'"),
        (Column(np.zeros(3)), "3 events beside 2 timestamps"),
    ],
)
def test_values_that_do_not_fit_are_refused_whole(
    tmp_path: Path, column: Column, match: str
) -> None:
    sink = Hdf5Sink(tmp_path / "x.h5")
    sink.begin(declared({"a/first": F8, "d/x": F8}))
    good = Column(np.ones(2))
    with pytest.raises(OutputError, match=match):
        sink.write(stamps(1, 2), {"a/first": good, "d/x": column})
    with pytest.raises(OutputError, match="record does not have it"):
        sink.write(stamps(1, 2), {"a/first": good})
    sink.write(stamps(1, 2), {"a/first": good, "d/x": good})
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        assert file["a/first"][:].tolist() == file["d/x"][:].tolist() == [1, 1]


def test_rows_are_in_time_order(tmp_path: Path) -> None:
    sink = Hdf5Sink(tmp_path / "x.h5")
    sink.begin(declared({}))
    sink.write(np.array([5, 7], np.uint64), {})
    for wrong, said in (([7], "event 7 comes after event 7"), ([9, 8], "8 comes after")):
        with pytest.raises(OutputError, match=said):
            sink.write(np.array(wrong, np.uint64), {})
    sink.write(np.array([8], np.uint64), {})
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        assert file["timestamp"][:].tolist() == [5, 7, 8]
