"""Messages as frames in the layout of karabo-bridge 2.2, one source per message.

::

    msgpack {source, content: "msgpack", metadata}
    msgpack {field: number or text}
    msgpack {source, content: "array", path, dtype, shape}     for each array
    its bytes, C order

The metadata are karabo's four timestamps, those of the message beside them, and under
`OURS` what only our own client needs. The first frame always begins with the source, so a
subscription to `source_prefix` is one to exactly that topic.

Source: the layout as documented by karabo-bridge-py, European XFEL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np

from smalldata_stream.batch import STRING, Array
from smalldata_stream.message import Message
from smalldata_stream.timestamps import EPOCH

INDEX = "index"
"""Topic that lists the others."""

OURS = "smalldata_stream"
"""Key of the metadata under which our own client finds what karabo does not have."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which message of which publisher this is, and when it was sent (Unix seconds)."""

    publisher: str
    number: int
    published: float


def source_prefix(topic: str) -> bytes:
    r"""What the first frame of every message of ``topic`` begins with, and of no other.

    >>> source_prefix("gmd")
    b'\x83\xa6source\xa3gmd'
    """
    # A map of three that begins with "source"; texts are preceded by their length.
    return b"\x83" + pack("source") + pack(topic)


def encode(message: Message, stamp: Stamp) -> list[bytes]:
    """The frames of a message; they share no memory with its arrays.

    Scalars go as plain numbers, which is what users of karabo-bridge expect; their dtype
    goes along for our client. A shape ``()`` that msgpack cannot hold (complex) is sent as
    an array.

    Raises
    ------
    TypeError
        If an array has no plain bytes (objects, records), or the metadata are not
        JSON-able.
    """
    plain: dict[str, Any] = {}
    dtypes: dict[str, str] = {}
    frames: list[bytes] = []
    for path, array in message.arrays.items():
        if array.dtype == STRING or array.dtype.kind == "U":
            plain[path], dtypes[path] = array.tolist(), "text"
        elif array.ndim == 0 and array.dtype.kind in "biuf" and array.itemsize <= 8:
            plain[path], dtypes[path] = array.item(), str(array.dtype)
        elif array.dtype.hasobject or array.dtype.kind in "VT":
            raise TypeError(f"{message.topic}: {path} is {array.dtype}, not plain bytes")
        else:
            header = {"source": message.topic, "content": "array", "path": path}
            size = {"dtype": str(array.dtype), "shape": array.shape}
            frames += [pack(header | size), array.tobytes()]
    metadata = karabo_time(message.metadata.get("timestamp"), stamp.published)
    metadata |= {k: v for k, v in message.metadata.items() if k != "timestamp"}
    metadata[OURS] = {
        "publisher": stamp.publisher,
        "number": stamp.number,
        "published": stamp.published,
        "dtypes": dtypes,
    }
    head = {"source": message.topic, "content": "msgpack", "metadata": metadata}
    return [pack(head), pack(plain), *frames]


def karabo_time(timestamp: int | None, published: float) -> dict[str, Any]:
    """A timestamp as karabo has it: Unix seconds, attoseconds, and 64 bits untouched.

    >>> karabo_time((5 << 32) + 7, 0.0)["timestamp.frac"]
    '000000007000000000'
    """
    if timestamp is None:
        seconds, nanoseconds = divmod(round(published * 1e9), 10**9)
    else:
        seconds, nanoseconds = (timestamp >> 32) + EPOCH, timestamp & 0xFFFF_FFFF
    return {
        "timestamp": seconds + nanoseconds * 1e-9,
        "timestamp.sec": str(seconds),
        "timestamp.frac": f"{nanoseconds:09d}000000000",
        "timestamp.tid": timestamp or 0,
    }


def decode(frames: Sequence[bytes | memoryview]) -> tuple[Message, Stamp]:
    """The message in ``frames``, and its stamp; large arrays are views of the frames.

    The metadata have ``timestamp`` as the integer it was, and ``published``, Unix seconds.

    Raises
    ------
    ValueError
        If these are not the frames of a message of `encode`.
    """
    try:
        head, plain = unpack(frames[0]), unpack(frames[1])
        metadata: dict[str, Any] = head["metadata"]
        ours = metadata.pop(OURS)
        stamp = Stamp(ours["publisher"], ours["number"], ours["published"])
        arrays = {
            path: np.asarray(value, STRING if dtype == "text" else np.dtype(dtype))
            for path, dtype in ours["dtypes"].items()
            for value in [plain[path]]
        }
        for header, data in zip(frames[2::2], frames[3::2], strict=True):
            about = unpack(header)
            arrays[about["path"]] = from_bytes(data, about["dtype"], about["shape"])
        metadata["timestamp"] = metadata.pop("timestamp.tid")
        del metadata["timestamp.sec"], metadata["timestamp.frac"]
    except (LookupError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise ValueError(f"not a message of smalldata_stream: {error!r}") from error
    metadata["published"] = stamp.published
    for array in arrays.values():
        array.flags.writeable = False
    return Message(head["source"], metadata, arrays), stamp


def from_bytes(data: bytes | memoryview, dtype: str, shape: Sequence[int]) -> Array:
    """An array over ``data``; a copy where the bytes do not lie as its dtype wants."""
    array: Array = np.frombuffer(data, np.dtype(dtype)).reshape(shape)
    return array if array.flags.aligned else array.copy()


def pack(value: Any) -> bytes:
    """``value`` as msgpack, text and bytes kept apart."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(data: bytes | memoryview) -> Any:
    """The value in ``data``."""
    return msgpack.unpackb(data, raw=False)
