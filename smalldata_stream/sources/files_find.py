"""Which files there are, and which of them are streams of one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smalldata_stream.errors import CorruptData
from smalldata_stream.sources.files_open import open_stream
from smalldata_stream.sources.files_stream import GROWING, NAME, Stream
from smalldata_stream.xtc2.faults import FaultLog


def first_chunks(paths: Sequence[Path]) -> list[Path]:
    """One path per stream: its first chunk."""
    first: dict[object, Path] = {}
    for path in paths:
        match = NAME.fullmatch(path.name)
        key = (match["exp"], match["run"], match["stream"]) if match else path
        old = first.setdefault(key, path)
        if match and path.name < old.name:
            first[key] = path
    return list(first.values())


def runs_in(folder: Path) -> dict[tuple[str, int], list[Path]]:
    """Big files in a directory by experiment and run number."""
    found: dict[tuple[str, int], list[Path]] = {}
    for path in sorted(folder.iterdir()):
        match = NAME.fullmatch(path.name)
        if match and not match["smd"]:
            found.setdefault((match["exp"], int(match["run"])), []).append(path)
    return found


def open_all(paths: Sequence[Path], faults: FaultLog) -> list[Stream]:
    """The streams that can be read; raises where none can."""
    streams: list[Stream] = []
    first: CorruptData | None = None
    for path in paths:
        try:
            streams.append(open_stream(path, faults))
        except CorruptData as error:
            first = first or error
            faults.add(str(error.path), error.offset, f"{error.what}; left out", 1)
    if first is not None and not streams:
        raise first
    return streams


def missing_streams(paths: Sequence[Path], faults: FaultLog) -> None:
    """Say of which streams there is an index file but no data."""
    match = NAME.fullmatch(paths[0].name)
    index = paths[0].parent / "smalldata"
    if match is None or not index.is_dir():
        return
    have = {found["stream"] for p in paths if (found := NAME.fullmatch(p.name))}
    for path in sorted(index.iterdir()):
        found = NAME.fullmatch(path.name)
        same = found and (found["exp"], found["run"]) == (match["exp"], match["run"])
        if found and same and found["smd"] and found["stream"] not in have:
            big = path.name.replace(".smd", "").removesuffix(GROWING)
            what = f"the stream has an index file but no data; {big} is missing"
            faults.add(str(path), 0, what, 1)
