"""Plots, ledger and provenance of a finished HDF5 file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smalldata_stream.errors import SourceError
from smalldata_stream.h5 import read_attributes, read_tree
from smalldata_stream.ledger import DeadLetter, Ledger
from smalldata_stream.message import Message, plot_messages
from smalldata_stream.protocols import Plot, Result
from smalldata_stream.run import RunInfo

PLOT = ("kind", "title", "x_label", "y_label", "group")
"""What the group of a plot says about it."""

LETTER = ("timestamp", "node", "error", "traceback")
"""What a dead letter holds, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a report needs of a finished file."""

    run: RunInfo
    messages: list[Message]
    ledger: Ledger
    provenance: dict[str, str]


def from_file(path: Path | str) -> Finished:
    """Read what a report needs; `SourceError` if the file is not ours or not finished."""
    head = read_attributes(path)
    if "format" not in head:
        raise SourceError(f"{path}: is not a file that smalldata-stream wrote")
    if not head.get("complete", False):
        raise SourceError(f"{path}: is not finished; run the job again with --resume")
    plots = read_tree(path, "plots") if head.get("plots", 0) else {}
    run = RunInfo(
        exp=str(head["experiment"]),
        number=int(head["run"]),
        detectors={},
        begin=int(head["begin"]),
        source=str(head["source"]),
    )
    provenance = {name: str(v) for name, v in read_tree(path, "provenance").items()}
    return Finished(
        run=run,
        messages=_messages(path, plots, run),
        ledger=_ledger(path),
        provenance=provenance,
    )


def _messages(path: Path | str, fields: dict[str, Any], run: RunInfo) -> list[Message]:
    topics = {f"plots/{field.rpartition('/')[0]}" for field in fields}
    said = {topic: read_attributes(path, topic) for topic in topics}
    shown = {
        topic: Plot(**{name: str(said[topic][name]) for name in PLOT})
        for topic in sorted(topics, key=lambda topic: int(said[topic]["number"]))
    }
    totals = {}
    for field, value in fields.items():
        count = int(read_attributes(path, f"plots/{field}")["count"])
        totals[f"plots/{field}"] = Result(np.asarray(value), count)
    return plot_messages(shown, totals, run, 0)


def _ledger(path: Path | str) -> Ledger:
    fields = read_tree(path, "ledger")
    ledger = Ledger()
    columns = (np.asarray(fields[name]) for name in ("what", "reason", "events"))
    for what, reason, events in zip(*columns, strict=True):
        if str(what) in ("read", "written"):
            setattr(ledger, str(what), int(events))
        else:
            getattr(ledger, str(what))[str(reason)] += int(events)
    letters = (np.asarray(fields[f"dead_letters/{name}"]) for name in LETTER)
    ledger.dead_letters = [
        DeadLetter(int(stamp), str(node), str(error), str(trace))
        for stamp, node, error, trace in zip(*letters, strict=True)
    ]
    return ledger
