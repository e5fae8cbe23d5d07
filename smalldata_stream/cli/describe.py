"""smalldata-stream describe: what a run holds."""

from __future__ import annotations

import argparse

from smalldata_stream.batch import STRING
from smalldata_stream.cli.source import open_source, source_arguments
from smalldata_stream.cli.tables import table
from smalldata_stream.counted import counted
from smalldata_stream.run import FieldInfo, RunInfo


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    source_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Describe every run of the source."""
    for a_run in open_source(options).runs():
        print(describe(a_run.info))
    return 0


def describe(info: RunInfo) -> str:
    """A run for people."""
    events = (
        "unknown number of events" if info.events is None else counted(info.events, "event")
    )
    rows = [
        [
            detector.name,
            f"{detector.type} x{len(detector.segments)}"
            if len(detector.segments) > 1
            else detector.type,
            f"{algorithm}.{name}",
            "text" if field.dtype == STRING else str(field.dtype),
            shape(field),
            field.unit,
            field.long_name,
        ]
        for detector in info.detectors.values()
        for (algorithm, name), field in detector.fields.items()
    ]
    # A name is said once, on the first of its rows.
    said = [
        ["", "", *row[2:]] if i and row[0] == rows[i - 1][0] else row
        for i, row in enumerate(rows)
    ]
    header = ["detector", "type", "field", "dtype", "shape", "unit", ""]
    return (
        f"{info.exp or 'unknown experiment'} run {info.number}: {events}, "
        f"from {info.source}\n" + table(header, said)
    )


def shape(field: FieldInfo) -> str:
    """Shape of one event's value, as people write it."""
    if field.dtype == STRING or field.rank == 0:
        return ""
    if field.variable:
        return "(n)"
    if field.shape is None:
        return f"unknown, {field.rank} axes"
    return " x ".join(map(str, field.shape))
