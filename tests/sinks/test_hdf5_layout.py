"""What stands in the file: names, attributes, totals, parameters, ledger."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sinks.hdf5 import Hdf5Sink
from smalldata_stream.batch import STRING, Array, Column, Ragged
from smalldata_stream.errors import OutputError
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Result, Spec
from tests.sinks.hdf5_runs import F8, RAGGED, declared, stamps


def refused(tmp_path: Path, outputs: Mapping[str, Spec], match: str, **more: Any) -> None:
    with pytest.raises(OutputError, match=match):
        Hdf5Sink(tmp_path / "x.h5").begin(declared(outputs, **more))
    assert list(tmp_path.iterdir()) == []


def test_attributes(tmp_path: Path) -> None:
    spec = Spec(dtype=np.dtype("f8"), unit="mJ", long_name="pulse energy")
    sink = Hdf5Sink(tmp_path / "x.h5")
    sink.begin(declared({"gmd/energy": spec, "gmd/plain": F8}))
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        assert file["gmd/energy"].attrs["units"] == "mJ"
        assert file["gmd/energy"].attrs["long_name"] == "pulse energy"
        assert set(file["gmd/plain"].attrs) == {"missing_value"}
        root = dict(file.attrs)
    assert (root["experiment"], root["run"], root["begin"]) == ("xpptut15", 14, 1 << 60)
    assert (root["source"], root["complete"], root["rows"]) == ("files", True, 0)


def test_timestamps_are_those_of_psana(tmp_path: Path) -> None:
    sink = Hdf5Sink(tmp_path / "x.h5")
    sink.begin(declared({}))
    sink.write(np.array([(1_100_000_000 << 32) + 5], np.uint64), {})
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        assert file["timestamp"].dtype == np.int64
        assert divmod(int(file["timestamp"][0]), 1 << 32) == (1_100_000_000, 5)


def test_totals(tmp_path: Path) -> None:
    specs = {
        "Sums/jf_calib": Spec(dtype=np.dtype("f8"), shape=(2, 2), unit="keV"),
        "Sums/jf_calib_never": Spec(dtype=np.dtype("f4"), shape=(3,)),
        "Sums/jf_hits_never": Spec(dtype=np.dtype("u4"), shape=()),
        "Sums/jf_shapeless": Spec(dtype=np.dtype("f4"), shape=None),
        "Sums/scalar": F8,
        "Sums/none": Spec(dtype=np.dtype("f8"), shape=(2,)),
    }
    given = {
        "Sums/jf_calib": Result(np.arange(4.0).reshape(2, 2), 7),
        "Sums/scalar": Result(np.array(2.5), 3),
        "Sums/none": Result(np.array([0.0, np.nan]), 0),
    }
    sink = Hdf5Sink(tmp_path / "x.h5")
    sink.begin(declared({}, totals=specs))
    sink.end(given, Ledger())
    with h5py.File(sink.path) as file:
        sums = file["Sums"]
        assert sums["jf_calib"][:].tolist() == [[0, 1], [2, 3]]
        assert sums["jf_calib"].attrs["count"] == 7
        assert sums["jf_calib"].attrs["units"] == "keV"
        assert np.isnan(sums["jf_calib_never"][:]).all()
        assert sums["jf_calib_never"].attrs["count"] == 0
        assert sums["jf_hits_never"][()] == 2**32 - 1
        assert sums["scalar"][()] == 2.5
        assert np.array_equal(sums["none"][:], [0.0, np.nan], equal_nan=True)
        assert sums["none"].attrs["count"] == 0
        assert file["provenance/never_seen"].asstr()[:].tolist() == ["Sums/jf_shapeless"]


def test_ledger(tmp_path: Path) -> None:
    ledger = Ledger(read=10, written=6)
    ledger.filtered["laser off"] = 2
    ledger.dropped["damaged"] = 1
    sink = Hdf5Sink(tmp_path / "x.h5")
    sink.begin(declared({}))
    sink.end({}, ledger)
    with h5py.File(sink.path) as file:
        group = file["ledger"]
        what = group["what"].asstr()[:].tolist()
        assert what == ["read", "written", "filtered", "dropped"]
        assert group["reason"].asstr()[:].tolist() == ["", "", "laser off", "damaged"]
        assert group["events"][:].tolist() == [10, 6, 2, 1]
        assert (group.attrs["read"], group.attrs["written"]) == (10, 6)
        assert (bool(group.attrs["closes"]), group.attrs["missing"]) == (False, 1)


class Stranger:
    def __array__(self) -> Array:
        raise RuntimeError("no array")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def test_parameters_of_any_kind(tmp_path: Path) -> None:
    config = {
        "a_number": 3,
        "a_float": np.float32(0.5),
        "a_bool": True,
        "a_text": "calib\0\udc80",
        "none": None,
        "path": Path("/a/b"),
        "bounds": ((0, 1), (10, 60), (100, 300)),
        "ragged": ((0, 1), (10,)),
        "list": [1.5, 2],
        "texts": ("a", "é"),
        "nothing": (),
        "mask": np.array([[True, False]]),
        "view": np.arange(6, dtype=">i4")[::2],
        "strings": np.array(["x", "yy"], STRING),
        "huge": 1 << 80,
        "stranger": Stranger(),
        "nested": {"q/bins": [1, 2], "more": {"x": None}, 5: 1j},
        "a/b": 1,
        "object": np.array([None, 1], object),
    }
    sink = Hdf5Sink(tmp_path / "x.h5")
    sink.begin(declared({}, config={"jungfrau": config}, provenance={"graph": "def g\0:"}))
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        group = file["UserDataCfg/jungfrau"]
        got = {
            name: item[()].tolist() if isinstance(item[()], np.ndarray) else item[()]
            for name, item in group.items()
            if isinstance(item, h5py.Dataset)
        }
        assert group["nested/q_bins"][:].tolist() == [1, 2]
        assert group["nested/more/x"][()] == b"None"
        assert group["nested/5"][()] == 1j
        assert file["provenance/graph"][()] == rb"def g\x00:"
    assert got == {
        "a_number": 3,
        "a_float": 0.5,
        "a_bool": True,
        "a_text": rb"calib\x00\udc80",
        "none": b"None",
        "path": repr(Path("/a/b")).encode(),
        "bounds": [[0, 1], [10, 60], [100, 300]],
        "ragged": b"((0, 1), (10,))",
        "list": [1.5, 2.0],
        "texts": [b"a", "é".encode()],
        "nothing": [],
        "mask": [[True, False]],
        "view": [0, 2, 4],
        "strings": [b"x", b"yy"],
        "huge": str(1 << 80).encode(),
        "stranger": b"<Stranger: RuntimeError in repr>",
        "a_b": 1,
        "object": repr(np.array([None, 1], object)).encode(),
    }


@pytest.mark.parametrize(
    ("outputs", "match"),
    [
        ({"gmd": F8, "gmd/energy": F8}, "gmd is a dataset and also the group of gmd/e"),
        ({"timestamp/x": F8}, "/timestamp is the file's own"),
        ({"ledger": F8}, "/ledger is the file's own"),
        ({"Sums/x": F8}, "/Sums is the file's own"),
        ({"d//x": F8}, "is no path"),
        ({"/d/x": F8}, "is no path"),
        ({"d/../x": F8}, "is no path"),
        ({"d/x": RAGGED}, "must begin with 'var_'"),
        ({"var_d/x/y": RAGGED}, "must begin with 'var_'"),
        ({"d/var_x": RAGGED, "d/var_x_len": F8}, "d/var_x_len would be written twice"),
    ],
)
def test_names_that_cannot_be_are_refused_at_begin(
    tmp_path: Path, outputs: Mapping[str, Spec], match: str
) -> None:
    refused(tmp_path, outputs, match)


def test_totals_and_parameters_are_checked_too(tmp_path: Path) -> None:
    refused(tmp_path, {}, "goes to 'Sums/<name>'", totals={"ledger/x": F8})
    refused(tmp_path, {"d": F8}, "d is a dataset and also", totals={"d/x": F8})
    refused(tmp_path, {}, "written twice", config={"d": {"a/b": 1, "a_b": 2}})


def test_varying_length(tmp_path: Path) -> None:
    outputs = {
        "jf/var_droplet_sparse/data": RAGGED,
        "jf/var_droplet_sparse/xy": Spec(dtype=np.dtype("i4"), kind="ragged"),
        "fee/var_FWHM": Spec(dtype=np.dtype("f4"), kind="ragged"),
        "fee/var_never": Spec(dtype=np.dtype("f4"), kind="ragged"),
    }
    present = np.array([True, False, True])
    droplets = Ragged.of([np.array([1.0, 2.0]), np.array([3.0])])
    xy = Ragged(np.array([[1, 2], [3, 4], [5, 6]], np.int32), np.array([0, 2, 3]))
    sink = Hdf5Sink(tmp_path / "x.h5")
    sink.begin(declared(outputs))
    sink.write(
        stamps(1, 3),
        {
            "jf/var_droplet_sparse/data": Column(droplets, present),
            "jf/var_droplet_sparse/xy": Column(xy, present),
            "fee/var_FWHM": Column(Ragged(np.ones(1, "f4"), np.array([0, 0, 0, 1]))),
            "fee/var_never": Column(Ragged.of([]), np.zeros(3, bool)),
        },
    )
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        assert file["jf/var_droplet_sparse_len"][:].tolist() == [2, 0, 1]
        assert file["jf/var_droplet_sparse/data"][:].tolist() == [1, 2, 3]
        assert file["jf/var_droplet_sparse/xy"][:].tolist() == [[1, 2], [3, 4], [5, 6]]
        assert file["fee/var_FWHM_len"][:].tolist() == [0, 0, 1]
        assert file["fee/var_never"].shape == (0,)
        assert file["fee/var_never_len"][:].tolist() == [0, 0, 0]


def test_lengths_that_differ_are_refused_whole(tmp_path: Path) -> None:
    sink = Hdf5Sink(tmp_path / "x.h5")
    sink.begin(declared({"d/var_p/a": RAGGED, "d/var_p/b": RAGGED, "d/x": F8}))
    record = {
        "d/var_p/a": Column(Ragged.of([np.zeros(1), np.zeros(2)])),
        "d/var_p/b": Column(Ragged.of([np.zeros(1), np.zeros(3)])),
        "d/x": Column(np.zeros(2)),
    }
    with pytest.raises(OutputError, match=r"d/var_p/a has 2 .* d/var_p/b has 3 in event 8"):
        sink.write(stamps(7, 2), record)
    record["d/var_p/b"] = record["d/var_p/a"]
    sink.write(stamps(7, 2), record)
    sink.end({}, Ledger())
    with h5py.File(sink.path) as file:
        assert len(file["d/x"]) == len(file["timestamp"]) == len(file["d/var_p_len"]) == 2


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="h5dump (hdf5-tools) is absent")
def test_the_tools_of_hdf5_read_it(tmp_path: Path) -> None:
    sink = Hdf5Sink(tmp_path / "x.h5", compression="gzip")
    sink.begin(declared({"d/x": Spec(dtype=np.dtype("i4")), "d/t": Spec(dtype=STRING)}))
    text = Column(np.array(["one", "two"], STRING))
    sink.write(stamps(1, 2), {"d/x": Column(np.array([11, 12], "i4")), "d/t": text})
    sink.end({}, Ledger())
    command = ["h5dump", "-d", "/d/x", "-d", "/d/t", str(sink.path)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "11, 12" in said.stdout
    assert '"one", "two"' in said.stdout


def test_wrong_options_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="compression is bitshuffle-lz4, gzip, none"):
        Hdf5Sink(tmp_path / "x.h5", compression="lz4")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="flush_seconds"):
        Hdf5Sink(tmp_path / "x.h5", flush_seconds=-1)
