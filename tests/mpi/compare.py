"""Whether two output files are the same: every name, bit, attribute, and how it is stored.

All but ``/provenance``, which says by what command a file was made.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy as np


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two files, one line each."""
    with h5py.File(one) as a, h5py.File(other) as b:
        return list(_differ(a, b, "/"))


def _differ(a: Any, b: Any, path: str) -> Iterator[str]:
    yield from _attributes(a, b, path)
    if type(a) is not type(b):
        yield f"{path} is {type(a).__name__} and {type(b).__name__}"
    elif isinstance(a, h5py.Dataset):
        yield from _datasets(a, b, path)
    else:
        yield from (f"{path}{name} is in one of the two" for name in set(a) ^ set(b))
        for name in sorted(set(a) & set(b)):
            for group, at in ((a, "first"), (b, "second")):
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    yield f"{path}{name} is a link out of the {at} file"
            if (path, name) != ("/", "provenance"):
                yield from _differ(a[name], b[name], f"{path}{name}/")


def _datasets(a: h5py.Dataset, b: h5py.Dataset, path: str) -> Iterator[str]:
    for what in ("dtype", "shape", "maxshape", "chunks", "compression", "shuffle"):
        if getattr(a, what) != getattr(b, what):
            yield f"{path} has {what} {getattr(a, what)} and {getattr(b, what)}"
    filters = [
        [d.id.get_create_plist().get_filter(i) for i in range(_filters(d))] for d in (a, b)
    ]
    if filters[0] != filters[1]:
        yield f"{path} has other filters"
    if not _same(a.fillvalue, b.fillvalue):
        yield f"{path} has fill value {a.fillvalue} and {b.fillvalue}"
    if not _same(a[()], b[()]):
        yield f"{path} has other values"


def _filters(dataset: h5py.Dataset) -> int:
    count: int = dataset.id.get_create_plist().get_nfilters()
    return count


def _attributes(a: Any, b: Any, path: str) -> Iterator[str]:
    yield from (
        f"{path}@{name} is in one of the two" for name in set(a.attrs) ^ set(b.attrs)
    )
    for name in set(a.attrs) & set(b.attrs):
        if not _same(a.attrs[name], b.attrs[name]):
            yield f"{path}@{name} is {a.attrs[name]!r} and {b.attrs[name]!r}"


def _same(a: Any, b: Any) -> bool:
    one, other = np.asarray(a), np.asarray(b)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.kind == "O":
        return bool((one == other).all())
    return one.tobytes() == other.tobytes()
