"""The owner of small HDF5 files, with h5py as the oracle."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from smalldata_stream.batch import STRING
from smalldata_stream.errors import OutputError, SourceError
from smalldata_stream.h5 import Leaf, read_attributes, read_tree, write_tree


def test_every_kind_of_value_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    tree: dict[str, Leaf] = {
        "image": np.arange(6, dtype=np.uint16).reshape(2, 3),
        "group/flag": np.array([True, False]),
        "group/scalar": np.array(3, np.uint64),
        "group/empty": np.empty((0, 4), np.float32),
        "text": "Ångström ",
        "texts": np.array(["a", "µm", ""], dtype=STRING),
        "bytes": b"\x00\x01\x00",
    }
    write_tree(path, tree)
    back = read_tree(path)
    assert back.keys() == tree.keys()
    for name, value in tree.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(back[name], value, strict=True)
        else:
            assert back[name] == value
    assert read_tree(path, "group").keys() == {"flag", "scalar", "empty"}


def test_big_arrays_are_compressed_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    big = np.arange(100_000, dtype=np.int32)
    write_tree(path, {"big": big, "small": big[:10]}, compress=True)
    with h5py.File(path) as file:
        assert str(hdf5plugin.Bitshuffle.filter_id) in file["big"]._filters
        assert file["small"].chunks is None
        assert file["big"].id.get_storage_size() < big.nbytes / 4
    np.testing.assert_array_equal(read_tree(path)["big"], big)


def test_attributes_of_file_group_and_dataset(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_tree(path, {"cam/x": np.ones(2)}, {"/": {"n": 3}, "cam/x": {"u": "µm"}, "b": {}})
    assert read_attributes(path)["n"] == 3
    assert read_attributes(path, "cam/x") == {"u": "µm"}
    assert read_attributes(path, "b") == {}


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_tree(path, {"x": np.ones(2)})
    with pytest.raises(OutputError, match=r"a\.h5"):
        write_tree(path, {"y": np.ones(2), "z": np.array([object()])})
    assert read_tree(path).keys() == {"x"}
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]
    with pytest.raises(
        OutputError, match=r"a\.h5: cannot be written: No such file or dir[a-z]*$"
    ):
        write_tree(tmp_path / "no_such" / "a.h5", {})


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_tree(path, {"camera/x": np.ones(2)})
    with pytest.raises(SourceError, match="did you mean 'camera'"):
        read_tree(path, "camrea")
    with pytest.raises(SourceError, match=r"b\.h5"):
        read_attributes(tmp_path / "b.h5")
