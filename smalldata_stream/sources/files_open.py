"""How a stream is opened: by its index file where that fits, else by walking its chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalldata_stream.batch import Mask
from smalldata_stream.errors import CorruptData, SourceError
from smalldata_stream.sources.files_stream import (
    GROWING,
    INDEX_FILE,
    MappedFile,
    Stream,
    chunk_named,
    next_chunk,
    walk_file,
)
from smalldata_stream.xtc2.columns import Want, take_fields
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import (
    DGRAM,
    DGRAM_BYTES,
    SIZE_OUTSIDE_EXTENT,
    Service,
    gather,
)
from smalldata_stream.xtc2.layout import Layouts
from smalldata_stream.xtc2.walk import walk

CHECKED_ROWS = 64


def open_stream(path: Path, faults: FaultLog) -> Stream:
    """Everything that can be read of the stream that begins in ``path``.

    Raises `CorruptData` where that is nothing.
    """
    index = index_file(path)
    if index is not None:
        stream = _by_index(path, index, faults)
        if stream is not None:
            return stream
    stream = Stream(path, faults)
    _open_file(stream, path)
    follow(stream)
    return stream


def index_file(path: Path) -> Path | None:
    """The index file of a big file, if it is there."""
    name = path.name.removesuffix(GROWING).removesuffix(".xtc2")
    for suffix in (".smd.xtc2", ".smd.xtc2" + GROWING):
        candidate = path.parent / "smalldata" / (name + suffix)
        if candidate.exists():
            return candidate
    return None


def _open_file(stream: Stream, path: Path) -> None:
    """Add the file ``path`` and walk it."""
    file = MappedFile(path)
    if not len(file.buffer):
        raise CorruptData(path, 0, "the file is empty")
    stream.files.append(file)
    walk_file(stream, len(stream.files) - 1)
    known = stream.configurations[0].names.values() if stream.configurations else ()
    if any(names.detector == "smdinfo" for names in known):
        what = "is an index; give the file of the data, one folder up"
        raise SourceError(f"{path}: {what}")


def follow(stream: Stream) -> None:
    """Go on through the chunks after the last file."""
    seen = 0
    while not stream.broken:
        rows, seen = stream.rows[seen:], len(stream.rows)
        path = next_chunk(stream, chunk_named(stream, rows))
        if path is None:
            return
        try:
            _open_file(stream, path)
        except CorruptData as error:
            stream.faults.add(str(error.path), error.offset, error.what, 1)
            return


def _by_index(path: Path, index: Path, faults: FaultLog) -> Stream | None:
    """The stream as its index file tells it; None, and a fault, where that does not fit."""
    why = ""
    stream = Stream(path, faults)
    private = FaultLog()
    smd = Stream(index, private)
    try:
        smd.files.append(MappedFile(index))
        walk_file(smd, 0)
        if len(smd.rows) and not (smd.broken or _is_event(smd.rows).any()):
            return None  # a stream without an event, well told: nothing to look up
        big = MappedFile(path)
        if not len(big.buffer):
            raise CorruptData(path, 0, "the file is empty")
        stream.files.append(big)
        why = _take_index(stream, smd)
    except CorruptData as error:
        if error.path == path:
            raise
        why = error.what
    if why:
        faults.add(str(index), 0, f"index not used: {why}", 1)
        return None
    follow(stream)
    return stream


def _take_index(stream: Stream, smd: Stream) -> str:
    """Fill ``stream`` with what ``smd`` says; why not, where it does not fit."""
    rows = smd.rows
    is_event = _is_event(rows)
    if not is_event.any():
        return "it has no event"
    found = _offsets(smd, rows[is_event])
    if found is None:
        return "it has no offsets that make sense"
    rows = rows[: int(np.flatnonzero(is_event)[-1]) + 1].copy()
    is_event = is_event[: len(rows)]
    rows["offset"][is_event], rows["size"][is_event] = found
    rows["file"] = INDEX_FILE
    lost = _number_chunks(stream, smd, rows, is_event)
    lengths = np.array([len(file.buffer) for file in stream.files], np.uint64)
    inside = ~is_event
    number = np.minimum(rows["file"], len(stream.files) - 1)
    end = rows["offset"] + rows["size"]
    inside |= (rows["file"] < len(stream.files)) & (end <= lengths[number])
    if not _verified(stream, rows[is_event & inside]):
        return "it is of another file"
    stream.index = smd.files[0]
    stream.extend(rows[inside])
    last = stream.files[-1]
    if not inside.all():
        what = f"{lost}datagrams of the index are beyond the end"
        count = int((~inside).sum())
        stream.faults.add(str(last.path), len(last.buffer), what, count, events=count)
    # What came after the index was written, and the transitions at the end.
    read = rows[inside & (rows["file"] == len(stream.files) - 1)]
    if len(read):
        last.walked = int(read["offset"][-1]) + int(read["size"][-1])
    walk_file(stream, len(stream.files) - 1)
    return ""


def _is_event(rows: NDArray[Any]) -> Mask:
    found: Mask = rows["service"] >= Service.L1_ACCEPT_END_OF_BATCH
    return found


def _offsets(smd: Stream, rows: NDArray[Any]) -> tuple[Any, Any] | None:
    """Offset and size in the big file of each event of an index; None if they cannot be."""
    offsets, sizes = np.zeros((2, len(rows)), np.uint64)
    for block in smd.blocks(rows, np.arange(len(rows))):
        known = block.configuration.names
        names = next((n for n in known.values() if n.detector == "smdinfo"), None)
        fields = {one.name: i for i, one in enumerate(names.fields)} if names else {}
        if names is None or not {"intOffset", "intDgramSize"} <= set(fields):
            return None
        found = walk(block.buffer, block.starts, block.sizes, known)
        sent = found.sent.get(names.id)
        if sent is None or len(sent.rows) < len(block.starts) or found.bad.any():
            return None
        wanted = {
            name: Want(place=fields[name], dtype=np.dtype("<u8"), shape=())
            for name in ("intOffset", "intDgramSize")
        }
        taken = take_fields(block.buffer, Layouts(names), sent, wanted)
        if not taken.good.all():
            return None
        offsets[block.events] = np.asarray(taken.values["intOffset"])
        sizes[block.events] = np.asarray(taken.values["intDgramSize"])
    if ((sizes < DGRAM_BYTES) | (sizes >= 2**32) | (offsets >= 2**63)).any():
        return None
    return offsets, sizes


def _number_chunks(stream: Stream, smd: Stream, rows: NDArray[Any], is_event: Mask) -> str:
    """Say of each event in which chunk it is, opening the chunks; what is missing.

    A chunk begins where an Enable announces one, or where the offsets begin anew.
    """
    announced = _announced(smd, rows)
    number = np.searchsorted(announced, np.flatnonzero(is_event), side="right")
    offsets = rows["offset"][is_event]
    anew = (offsets[1:] <= offsets[:-1]) & (number[1:] == number[:-1])
    number[1:] += np.cumsum(anew)
    rows["file"][is_event] = np.minimum(number, INDEX_FILE - 1)
    before = 0
    for chunk in range(1, int(number.max()) + 1):
        begin = int(np.flatnonzero(is_event)[np.argmax(number >= chunk)])
        path = next_chunk(stream, chunk_named(smd, smd.rows[before:begin]))
        if path is None:
            return "a chunk is missing: "
        stream.files.append(MappedFile(path))
        before = begin
    return ""


def _announced(smd: Stream, rows: NDArray[Any]) -> NDArray[np.int64]:
    """Rows of the Enables that announce a new chunk."""
    found, current = [], 0
    enables = (rows["service"] == Service.ENABLE) & (rows["size"] > DGRAM_BYTES)
    for at in np.flatnonzero(enables).tolist():
        for names, values in smd.values(smd.rows[at : at + 1]):
            number = values.get("chunkid")
            if names.detector == "chunkinfo" and isinstance(number, int):
                if number > current:
                    found.append(at)
                current = max(current, number)
    return np.array(found, np.int64)


def _verified(stream: Stream, rows: NDArray[Any]) -> bool:
    """Whether most of some datagrams are where the rows say; single ones may be damaged."""
    wrong = 0
    step = max(1, len(rows) // CHECKED_ROWS)
    picked = np.concatenate([rows[::step], rows[-1:]])
    for number in np.unique(picked["file"]).tolist():
        some = picked[picked["file"] == number]
        starts = some["offset"].astype(np.int64)
        header = gather(stream.files[number].buffer, starts, DGRAM_BYTES).view(DGRAM)[:, 0]
        sizes = header["extent"].astype(np.int64) + SIZE_OUTSIDE_EXTENT
        differ = (header["timestamp"] != some["timestamp"]) | (sizes != some["size"])
        wrong += int(np.count_nonzero(differ))
    return 2 * wrong < max(len(picked), 1)
