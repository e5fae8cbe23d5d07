"""xtc2 files as the data acquisition of LCLS-II writes them, many datagrams at a time.

A file is one datagram after the other, little endian and packed::

    datagram    u64 time (s since 1990 << 32 | ns) | u32 env (bits 24-27 service) | Xtc
    Xtc         u32 src | u16 damage | u16 contains | u32 extent, this header included
    Configure   holds one Names per algorithm of a detector, any other datagram holds one
    ShapesData  per algorithm that has something to say: Shapes (u32[5] per field of rank
                1 and more) and Data (the fields back to back, in the order of Names)

Here a datagram is one record of a numpy structured dtype, so that any number of events of
one layout is written as one array. Beside each file goes its small-data file: transitions
copied, and for each event the offset and size of its datagram.

Written from the format's facts alone, without `smalldata_stream.xtc2`, so that writer and
reader check each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Array


class Service(IntEnum):
    """What a datagram is for."""

    CONFIGURE = 2
    BEGIN_RUN = 4
    END_RUN = 5
    BEGIN_STEP = 6
    END_STEP = 7
    ENABLE = 8
    DISABLE = 9
    SLOW_UPDATE = 10
    L1_ACCEPT = 12


TEXT = "text"
"""Type of a text field in `Names`."""

_TYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", TEXT)
_PARENT, _SHAPES_DATA, _SHAPES, _DATA, _NAMES = range(5)

_XTC = np.dtype([("src", "<u4"), ("damage", "<u2"), ("contains", "<u2"), ("extent", "<u4")])
_DATAGRAM = np.dtype([("time", "<u8"), ("env", "<u4"), ("xtc", _XTC)])
_ALGORITHM = np.dtype([("name", "S256"), ("version", "<u4")])
_NAMES_HEAD = np.dtype(
    [
        ("arrays", "<u4"),
        ("type", "S256"),
        ("detector", "S256"),
        ("id", "S256"),
        ("algorithm", _ALGORITHM),
        ("segment", "<u4"),
    ]
)
_NAME = np.dtype(
    [("algorithm", _ALGORITHM), ("name", "S256"), ("type", "<u4"), ("rank", "<u4")]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Names:
    """One algorithm of one segment of a detector, as Configure announces it.

    ``fields`` gives type (``u1`` ... ``f8`` or `TEXT`) and rank by name.
    """

    detector: str
    type: str
    algorithm: str
    version: tuple[int, int, int]
    fields: Mapping[str, tuple[str, int]]
    segment: int = 0
    id: str = ""


Values: TypeAlias = Mapping[str, Any]
"""Values by field, one per datagram; texts are one string for all.

A list of arrays may have one of another length for each datagram.
"""

Contents: TypeAlias = Iterable[tuple[Names, Values]]
"""What datagrams hold, in this order."""

SMD = Names(
    detector="smdinfo",
    type="offset",
    algorithm="offsetAlg",
    version=(0, 0, 0),
    fields={"intOffset": ("u8", 0), "intDgramSize": ("u8", 0)},
)
"""What a small-data file says of each event."""

_SMD_NODE = 512


class Stream:
    """One stream of a run: an xtc2 file and its small-data file, as a context.

    >>> gmd = Names(detector="gmd", type="gmd", algorithm="raw", version=(2, 1, 0),
    ...             fields={"energy": ("f8", 0)})
    >>> path = getfixture("tmp_path") / "a.xtc2"
    >>> with Stream(path, path.with_suffix(".smd.xtc2"), [gmd]) as stream:
    ...     stream.configure(1)
    ...     stream.events(np.array([2, 3]), [(gmd, {"energy": np.array([0.5, 0.7])})])
    >>> path.stat().st_size
    1732
    """

    def __init__(self, path: Path, smd: Path, names: Sequence[Names], *, node: int = 1):
        """``node`` tells the streams of a run apart."""
        self._names = list(names)
        self._src = {id(one): node << 8 | i for i, one in enumerate(names)}
        self._src[id(SMD)] = _SMD_NODE << 8
        self._layouts: dict[object, np.dtype[Any]] = {}
        self._offset = 0
        self._big, self._smd = path.open("wb"), smd.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._big.close()
        self._smd.close()

    def configure(self, timestamp: int, contents: Contents = ()) -> None:
        """Announce all names; ``contents`` is the configuration itself."""
        filled = self._datagrams(np.array([timestamp]), Service.CONFIGURE, contents)
        payload = filled.tobytes()[_DATAGRAM.itemsize :]
        names = b"".join(map(self._announce, self._names))
        self._write(_datagram(timestamp, Service.CONFIGURE, names + payload))
        smd = _datagram(timestamp, Service.CONFIGURE, names + payload + self._announce(SMD))
        self._smd.write(smd)

    def transition(self, timestamp: int, service: Service, contents: Contents = ()) -> None:
        """Write one datagram that is no event."""
        raw = self._datagrams(np.array([timestamp]), service, contents).tobytes()
        self._write(raw)
        self._smd.write(raw)

    def events(self, timestamps: NDArray[Any], contents: Contents) -> None:
        """Write one event per timestamp; ``contents`` has one value per event."""
        contents = list(contents)
        if len(timestamps) > 1 and any(_vary(v) for _, vs in contents for v in vs.values()):
            for i in range(len(timestamps)):
                one = [(n, {f: v[i : i + 1] for f, v in vs.items()}) for n, vs in contents]
                self.events(timestamps[i : i + 1], one)
            return
        events = self._datagrams(timestamps, Service.L1_ACCEPT, contents)
        size = events.dtype.itemsize
        offsets = self._offset + size * np.arange(len(events))
        sizes = np.full(len(events), size)
        index: Contents = [(SMD, {"intOffset": offsets, "intDgramSize": sizes})]
        self._write(events.view("u1").data)
        self._smd.write(self._datagrams(timestamps, Service.L1_ACCEPT, index).tobytes())

    def _write(self, raw: bytes | memoryview) -> None:
        self._offset += self._big.write(raw)

    def _announce(self, names: Names) -> bytes:
        head, fields = np.zeros(1, _NAMES_HEAD), np.zeros(len(names.fields), _NAME)
        major, minor, micro = names.version
        version = major << 16 | minor << 8 | micro
        head["arrays"] = sum(rank > 0 for _, rank in names.fields.values())
        head["type"], head["detector"] = names.type.encode(), names.detector.encode()
        head["id"], head["segment"] = names.id.encode(), names.segment
        head["algorithm"]["name"] = names.algorithm.encode()
        head["algorithm"]["version"] = version
        for field, (name, (kind, rank)) in zip(fields, names.fields.items(), strict=True):
            field["name"], field["type"] = name.encode(), _TYPES.index(kind)
            field["rank"] = rank
        payload = head.tobytes() + fields.tobytes()
        xtc = np.zeros(1, _XTC)
        _fill(xtc, _NAMES, _XTC.itemsize + len(payload), src=self._src[id(names)])
        return xtc.tobytes() + payload

    def _datagrams(
        self, timestamps: NDArray[Any], service: Service, contents: Contents
    ) -> Array:
        ready = [(names, _typed(names, values)) for names, values in contents]
        key = tuple((id(n), tuple((*a.shape[1:], a.dtype) for a in v)) for n, v in ready)
        if key not in self._layouts:
            self._layouts[key] = _layout(ready)
        layout = self._layouts[key]
        datagrams = np.zeros(len(timestamps), layout)
        datagrams["time"], datagrams["env"] = timestamps, service << 24
        _fill(datagrams["xtc"], _PARENT, layout.itemsize - _XTC_AT)
        for i, (names, arrays) in enumerate(ready):
            _fill_block(datagrams[f"{i}"], self._src[id(names)], names, arrays)
        return datagrams


_XTC_AT = 12
"""Where in a datagram its Xtc begins; extents count from there."""


def _vary(values: Any) -> bool:
    """Whether these are arrays of several lengths."""
    return isinstance(values, list) and len({len(value) for value in values}) > 1


def _datagram(timestamp: int, service: Service, payload: bytes) -> bytes:
    head = np.zeros(1, _DATAGRAM)
    head["time"], head["env"] = timestamp, service << 24
    _fill(head["xtc"], _PARENT, _XTC.itemsize + len(payload))
    return head.tobytes() + payload


def _typed(names: Names, values: Values) -> list[Array]:
    """The values in the order and the types of ``names``, one row per datagram."""
    arrays = []
    for field, (kind, rank) in names.fields.items():
        if kind == TEXT:
            text = values[field].encode() + b"\0"
            text += b"\0" * (-len(text) % 4)
            array = np.frombuffer(text, "u1")[None]
        else:
            array = np.asarray(values[field], f"<{kind}")
        if array.ndim != rank + 1:
            raise ValueError(
                f"{names.detector}.{names.algorithm}.{field} has rank {rank}; "
                f"its values must have one axis more, not the shape {array.shape}"
            )
        arrays.append(array)
    return arrays


def _layout(contents: Sequence[tuple[Names, Sequence[Array]]]) -> np.dtype[Any]:
    blocks = []
    for i, (names, arrays) in enumerate(contents):
        ranked = sum(rank > 0 for _, rank in names.fields.values())
        data = [(f"{k}", array.dtype, array.shape[1:]) for k, array in enumerate(arrays)]
        block = [
            ("xtc", _XTC),
            ("shapes_xtc", _XTC),
            ("shapes", "<u4", (ranked, 5)),
            ("data_xtc", _XTC),
            ("data", data),
        ]
        blocks.append((f"{i}", np.dtype(block)))
    return np.dtype([*_DATAGRAM.descr[:2], ("xtc", _XTC), *blocks])


def _fill(xtc: Array, contains: int, extent: int, *, src: int = 0) -> None:
    xtc["src"], xtc["contains"], xtc["extent"] = src, contains, extent


def _fill_block(block: Array, src: int, names: Names, arrays: Sequence[Array]) -> None:
    sizes = {name: block.dtype[name].itemsize for name in ("shapes", "data")}
    _fill(block["xtc"], _SHAPES_DATA, block.dtype.itemsize, src=src)
    _fill(block["shapes_xtc"], _SHAPES, _XTC.itemsize + sizes["shapes"])
    _fill(block["data_xtc"], _DATA, _XTC.itemsize + sizes["data"])
    shapes = [array.shape[1:] for array in arrays if array.ndim > 1]
    for k, shape in enumerate(shapes):
        block["shapes"][:, k, : len(shape)] = shape
    for k, array in enumerate(arrays):
        block["data"][f"{k}"] = array
