"""Small HDF5 files as trees of arrays and texts: the owner of h5py.

For constants, truths and references, which are written once and read whole. Results,
which are written while a run goes on, have their own writer in `sinks.hdf5`.

Files are readable by the HDF5 1.10 tools and appear under their name only when whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import hdf5plugin
import numpy as np

from smalldata_stream.batch import STRING, Array, read_only
from smalldata_stream.errors import OutputError, SourceError, because, did_you_mean

Leaf: TypeAlias = Array | str | bytes
"""What a dataset holds; texts are UTF-8, bytes are opaque."""

Attributes: TypeAlias = Mapping[str, str | int | float | Array]
"""Attributes of one group or dataset, by name."""

COMPRESSED_FROM = 1 << 16
"""Arrays of fewer bytes than this are never compressed."""

_LIBVER = ("v110", "v110")


def write_tree(
    path: Path | str,
    tree: Mapping[str, Leaf],
    attributes: Mapping[str, Attributes] | None = None,
    *,
    compress: bool = False,
) -> None:
    """Write ``tree``, values by path (``group/name``), to the HDF5 file ``path``.

    ``attributes`` are by path of a group or dataset, ``/`` for the file itself; groups
    are made as needed. ``compress`` stores big arrays with Bitshuffle-LZ4, which other
    programs read through hdf5plugin.

    Raises
    ------
    OutputError
        If the file cannot be written; what was there before is still there.

    >>> write_tree(getfixture("tmp_path") / "a.h5", {"cam/gain": np.ones(3)},
    ...            {"cam/gain": {"unit": "ADU"}})
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with h5py.File(partial, "w", libver=_LIBVER) as file:
            for name, value in tree.items():
                _write(file, name, value, compress=compress)
            for name, values in (attributes or {}).items():
                if name not in file:
                    file.create_group(name)
                file[name].attrs.update(values)
        partial.replace(path)
    except (OSError, TypeError, ValueError) as error:
        # HDF5 gives an errno, and as its text all of its own flags.
        number = error.errno if isinstance(error, OSError) else None
        why = os.strerror(number) if number else because(error)
        raise OutputError(f"{path}: cannot be written: {why}") from error
    finally:
        partial.unlink(missing_ok=True)


def read_tree(path: Path | str, below: str = "/") -> dict[str, Array | str | bytes]:
    """All datasets of the HDF5 file ``path`` under the group ``below``, by path from there.

    Arrays are read-only; text arrays have dtype `STRING`.

    Raises
    ------
    SourceError
        If the file cannot be read or has no such group.

    >>> a = getfixture("tmp_path") / "a.h5"
    >>> write_tree(a, {"cam/gain": np.ones(3), "cam/source": "flat field"})
    >>> read_tree(a, "cam")["source"]
    'flat field'
    """
    found: dict[str, Leaf] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = _read(item)

    try:
        with h5py.File(path, "r") as file:
            _existing(path, file, below).visititems(take)
    except OSError as error:
        raise SourceError(f"{path}: {_reason(path, error)}") from error
    return found


def read_attributes(path: Path | str, of: str = "/") -> dict[str, Any]:
    """The attributes of the group or dataset ``of`` in the HDF5 file ``path``.

    Raises
    ------
    SourceError
        If the file cannot be read or has no such group or dataset.

    >>> a = getfixture("tmp_path") / "a.h5"
    >>> write_tree(a, {"cam/gain": np.ones(3)}, {"cam/gain": {"unit": "ADU/keV"}})
    >>> read_attributes(a, "cam/gain")
    {'unit': 'ADU/keV'}
    """
    try:
        with h5py.File(path, "r") as file:
            return dict(_existing(path, file, of).attrs)
    except OSError as error:
        raise SourceError(f"{path}: {_reason(path, error)}") from error


LOSSY: Mapping[str, Callable[[float], Any]] = {
    "zfp": lambda error: hdf5plugin.Zfp(accuracy=error),
    "sz3": lambda error: hdf5plugin.SZ3(absolute=error),
}
"""Lossy compressors, made for a largest error of a value."""


def lossy(array: Array, codec: str, error: float) -> tuple[Array, int]:
    """What a lossy compressor gives back of ``array``, and the bytes it takes.

    ``array`` is one chunk of an HDF5 file in memory, float32 or float64, all finite;
    ``codec`` is of `LOSSY`, ``error`` the largest difference allowed for a value.

    >>> back, size = lossy(np.linspace(0, 1, 1000, dtype="f4"), "sz3", 0.01)
    >>> bool(abs(back - np.linspace(0, 1, 1000)).max() <= 0.01), size < 400
    (True, True)
    """
    with h5py.File("lossy", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "array",
            data=array,
            chunks=array.shape,
            **dict(LOSSY[codec](error)),
        )
        file.flush()
        size: int = dataset.id.get_storage_size()
        image = file.id.get_file_image()
    # Opened again: what HDF5 has in its cache would come back as it was.
    with h5py.File(h5py.h5f.open_file_image(image)) as file:
        back: Array = file["array"][...]
    return back, size


def _reason(path: Path | str, error: OSError) -> str:
    """Why a file cannot be read, without HDF5's own vocabulary where it is simple."""
    if not Path(path).exists():
        return "no such file"
    return (
        "not an HDF5 file"
        if not h5py.is_hdf5(path)
        else f"cannot be read: {because(error)}"
    )


def _existing(path: Path | str, file: Any, name: str) -> Any:
    if name not in file:
        raise SourceError(f"{path}: has no {name!r}; {did_you_mean(name, file)}")
    return file[name]


def _write(file: Any, name: str, value: Leaf, *, compress: bool) -> None:
    if isinstance(value, str):
        file.create_dataset(name, data=value, dtype=h5py.string_dtype())
    elif isinstance(value, bytes):
        file.create_dataset(name, data=np.void(value))
    elif value.dtype.kind in "TU":
        file.create_dataset(name, data=value.astype(object), dtype=h5py.string_dtype())
    elif compress and value.ndim and value.nbytes >= COMPRESSED_FROM:
        file.create_dataset(name, data=value, **hdf5plugin.Bitshuffle(cname="lz4"))
    else:
        file.create_dataset(name, data=value)


def _read(dataset: Any) -> Leaf:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        text = dataset.asstr()[()]
        return text if isinstance(text, str) else read_only(np.array(text, dtype=STRING))
    value = dataset[()]
    if isinstance(value, np.void) and value.dtype.names is None:
        return value.tobytes()
    return read_only(np.asarray(value))
