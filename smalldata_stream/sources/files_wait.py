"""Files that are not there yet, of a run that is to be read while it is written."""

from __future__ import annotations

import time
from pathlib import Path

from smalldata_stream.errors import RunNotFound
from smalldata_stream.sources.files_find import first_chunks, runs_in
from smalldata_stream.sources.files_live import (
    GrowingStream,
    LiveFiles,
    LiveRun,
    raise_if_silent,
)
from smalldata_stream.sources.files_stream import GROWING, MappedFile, Stream
from smalldata_stream.xtc2.faults import FaultLog
from smalldata_stream.xtc2.format import Service

SAME_LIST_POLLS = 5
FIRST_EVENT_SECONDS = 3.0


def wait_for_run(exp: str, run: int, folder: Path, live: LiveFiles) -> LiveRun:
    """The run once its files are there and have their first events.

    Raises `RunNotFound` or `SourceError` after the stated silence.
    """
    paths = _wait_for_files(exp, run, folder, live)
    streams: list[GrowingStream] = []
    log = FaultLog()
    for path in paths:
        stream = Stream(path, log, files=[MappedFile(path)])
        streams.append(GrowingStream(stream, path.name.endswith(GROWING)))
    first_event = 0.0
    while True:
        looked = time.monotonic()
        for one in streams:
            one.poll()
        raise_if_silent(streams, live, looked)
        begun = [bool(len(one.stream.configurations)) for one in streams]
        have = [
            one.ended or bool((one.rows["service"] == Service.L1_ACCEPT).any())
            for one in streams
        ]
        now = time.monotonic()
        first_event = first_event or (now if any(have) else 0.0)
        waited = bool(first_event) and now - first_event > FIRST_EVENT_SECONDS
        if all(begun) and (all(have) or waited):
            return LiveRun(streams, live, log)
        time.sleep(live.poll_seconds)


def _wait_for_files(exp: str, run: int, folder: Path, live: LiveFiles) -> list[Path]:
    """The files of a run, when no further one has come for some polls."""
    since = time.monotonic()
    paths: list[Path] = []
    same = 0
    while same < SAME_LIST_POLLS:
        found = runs_in(folder).get((exp, run), []) if folder.is_dir() else []
        now = first_chunks(found)
        stems = [path.name.removesuffix(GROWING) for path in now]
        same = same + 1 if stems == [p.name.removesuffix(GROWING) for p in paths] else 0
        paths = now
        if not paths:
            same = 0
            if time.monotonic() - since > live.silence_seconds:
                raise RunNotFound(
                    f"no file of {exp} run {run} appeared in {folder} "
                    f"within {live.silence_seconds:g} s"
                )
        time.sleep(live.poll_seconds)
    return paths
