"""Where things stand in the file and what stands for a missing value; no HDF5 here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from smalldata_stream.batch import Array
from smalldata_stream.errors import OutputError
from smalldata_stream.protocols import Declaration, Spec

RESERVED = ("timestamp", "UserDataCfg", "Sums", "plots", "ledger", "provenance")
MISSING_INTEGER = -99999


def storage_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype on disk: native byte order, bool as int8, any text as StringDType.

    Raises
    ------
    TypeError
        For what has no plain HDF5 counterpart (objects, dates, records).

    Examples
    --------
    >>> storage_dtype(np.dtype(">f4")), storage_dtype(np.dtype(bool))
    (dtype('float32'), dtype('int8'))
    """
    if dtype.kind in "TSU":
        return np.dtypes.StringDType()
    if dtype.kind == "b":
        return np.dtype(np.int8)
    if dtype.kind in "iufc":
        return dtype.newbyteorder("=")
    raise TypeError(f"dtype {dtype} cannot be stored; use numbers, bool or text")


def missing_value(dtype: np.dtype[Any]) -> Any:
    """What stands in the file for a value that is not there; one rule for the whole file.

    NaN for float and complex; -99999 for int32 and int64; the smallest value for int8 and
    int16; the largest for unsigned integers; -1 for bool (stored as int8); ``""`` for text.

    Raises
    ------
    TypeError
        For a dtype that cannot be stored at all.

    Examples
    --------
    >>> [missing_value(np.dtype(t)).item() for t in ("f4", "i8", "i2", "u2", "?")]
    [nan, -99999, -32768, 65535, -1]
    >>> missing_value(np.dtypes.StringDType())
    ''
    """
    stored = storage_dtype(dtype)
    if stored.kind == "T":
        return ""
    if dtype.kind == "b":
        return np.int8(-1)
    if stored.kind == "f":
        return stored.type(np.nan)
    if stored.kind == "c":
        return stored.type(complex(np.nan, np.nan))
    limits = np.iinfo(stored)
    if stored.kind == "u":
        return stored.type(limits.max)
    return stored.type(MISSING_INTEGER if limits.min <= MISSING_INTEGER else limits.min)


def lengths_path(path: str) -> str:
    """Where the length of each event's part of the ragged column ``path`` stands.

    All columns below one ``var_`` component share it.

    Raises
    ------
    OutputError
        If neither the last component nor the one before it begins with ``var_``.

    Examples
    --------
    >>> lengths_path("jungfrau/var_droplet_sparse/data")
    'jungfrau/var_droplet_sparse_len'
    >>> lengths_path("feespec/var_FWHM")
    'feespec/var_FWHM_len'
    """
    parts = path.split("/")
    for depth in (len(parts) - 1, len(parts)):
        if depth > 0 and parts[depth - 1].startswith("var_"):
            return "/".join(parts[:depth]) + "_len"
    raise OutputError(
        f"{path} varies in length, but its name does not say so: the last component or the "
        f"one before it must begin with 'var_', such as {'/'.join([*parts[:-1], ''])}"
        f"var_{parts[-1]}"
    )


def shared_lengths(outputs: Mapping[str, Spec]) -> dict[str, tuple[str, ...]]:
    """Per length dataset, the ragged columns that have these lengths."""
    shared: dict[str, tuple[str, ...]] = {}
    for path, spec in outputs.items():
        if spec.kind == "ragged":
            where = lengths_path(path)
            shared[where] = (*shared.get(where, ()), path)
    return shared


def check(declaration: Declaration) -> None:
    """OutputError, naming the path, if the declaration cannot become one file."""
    for path, spec in (*declaration.outputs.items(), *declaration.totals.items()):
        try:
            storage_dtype(spec.dtype)
        except TypeError as error:
            raise OutputError(f"{path}: {error}") from None
    for path in declaration.outputs:
        if path.split("/")[0] in RESERVED:
            raise OutputError(
                f"{path} cannot be written: /{path.split('/')[0]} is the file's own. Give "
                "the detector another name in the graph"
            )
    for path in declaration.totals:
        if path.split("/")[0] in RESERVED and not path.startswith(("Sums/", "plots/")):
            raise OutputError(
                f"total {path} cannot be written there; a total goes to 'Sums/<name>'"
            )
    config = [
        f"UserDataCfg/{group}/{clean_name(name)}"
        for group, values in declaration.config.items()
        for name in values
    ]
    lengths = shared_lengths(declaration.outputs)
    _check_paths([*declaration.outputs, *lengths, *declaration.totals, *config])


def _check_paths(paths: Iterable[str]) -> None:
    seen: set[str] = set()
    groups: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise OutputError(f"{path!r} is no path for a dataset; write 'detector/name'")
        if path in seen:
            raise OutputError(f"{path} would be written twice; rename one of the two")
        seen.add(path)
        for depth in range(1, len(parts)):
            groups.setdefault("/".join(parts[:depth]), path)
    both = sorted(seen & groups.keys())
    if both:
        raise OutputError(
            f"{both[0]} is a dataset and also the group of {groups[both[0]]}; rename one"
        )


def clean_name(name: object) -> str:
    """A name that HDF5 takes as one component of a path.

    >>> clean_name("a/b"), clean_name(".")
    ('a_b', '_')
    """
    text = str(name).replace("/", "_").replace("\0", "_")
    text = text.encode("utf-8", "backslashreplace").decode()
    return "_" * max(1, len(text)) if text in ("", ".", "..") else text


def storable(value: object) -> Any:
    """What of a parameter goes into the file: an array, a text, or a dict of these.

    What is neither a number, a text nor an array of one of them is kept as its repr; this
    never raises.

    Examples
    --------
    >>> storable(((0, 1), (10, 60)))
    array([[ 0,  1],
           [10, 60]])
    >>> storable(None), storable([1, (2, 3)]), storable({"a": True})
    ('None', '[1, (2, 3)]', {'a': array(True)})
    """
    if isinstance(value, Mapping):
        return {clean_name(name): storable(item) for name, item in value.items()}
    if isinstance(value, str):
        return text(value)
    try:
        array = np.asarray(value)
        if array.dtype.kind in "SUT":
            return texts(array)
        if array.dtype.kind in "biufc":
            return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(
                array.shape
            )
    except Exception:  # noqa: BLE001  a stranger's __array__ may raise anything
        return text(_repr(value))
    return text(_repr(value))


def text(value: str | bytes) -> str:
    r"""``value`` as HDF5 can hold it: UTF-8 without NUL.

    >>> text("a\0b")
    'a\\x00b'
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def texts(array: Array) -> Array:
    """Any array of text as an array of str that HDF5 can hold."""
    out = np.empty(array.size, object)
    out[:] = [text(item) for item in array.ravel().tolist()]
    return out.reshape(array.shape)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  a stranger's __repr__ must not end the run
        return f"<{type(value).__name__}: {type(error).__name__} in repr>"


def check_increasing(last: int, timestamps: np.ndarray[Any, np.dtype[np.uint64]]) -> None:
    """OutputError if the events are not in time order, or not after ``last``."""
    steps_back = np.flatnonzero(timestamps[1:] <= timestamps[:-1])
    if len(timestamps) and int(timestamps[0]) <= last:
        at, before = 0, last
    elif len(steps_back):
        at, before = int(steps_back[0]) + 1, int(timestamps[steps_back[0]])
    else:
        return
    raise OutputError(
        f"event {int(timestamps[at])} comes after event {before}: rows must be written in "
        "time order"
    )
