"""The report of a run: its plots and its ledger as one HTML file that needs no network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smalldata_stream.errors import OutputError, because
from smalldata_stream.ledger import Ledger
from smalldata_stream.message import Message, plot_messages
from smalldata_stream.modes.report_file import from_file
from smalldata_stream.modes.report_page import page
from smalldata_stream.protocols import Fault
from smalldata_stream.run import RunInfo

if TYPE_CHECKING:
    from smalldata_stream.modes.session import Report


def write_report(
    path: Path | str,
    messages: Sequence[Message],
    ledger: Ledger,
    provenance: Mapping[str, str],
    run: RunInfo,
    *,
    dropped: Sequence[str] = (),
    faults: Sequence[Fault] = (),
) -> None:
    """Write the report of a run to the HTML file ``path``, replacing what was there.

    Parameters
    ----------
    messages
        The plots, each under the heading of its group.
    ledger
        Where the events went.
    provenance
        As in `Declaration`; the text ``graph`` has a place of its own.
    dropped, faults
        What the graph asked for and the run does not have; damage in the data.

    Raises
    ------
    OutputError
        If the file cannot be written, or Bokeh is not installed.
    """
    path = Path(path)
    try:
        from smalldata_stream import figures
    except ImportError as error:
        raise OutputError(
            f"{path}: a report needs Bokeh; install smalldata_stream[plots] ({error})"
        ) from error
    drawn = [figures.Figure.of(message) for message in messages]
    head, places = figures.embedded(drawn)
    groups: dict[str, list[tuple[str, str]]] = {}
    for figure, place in zip(drawn, places, strict=True):
        groups.setdefault(figure.group, []).append((figure.kind, place))
    text = page(head, groups, ledger, provenance, run, dropped, faults)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {because(error)}") from error
    finally:
        partial.unlink(missing_ok=True)


def report_of(report: Report, path: Path | str) -> None:
    """Write the report of what `reduce_run` gave back."""
    declaration = report.declaration
    write_report(
        path,
        plot_messages(declaration.plots, report.totals, report.run, 0),
        report.ledger,
        declaration.provenance,
        report.run,
        dropped=report.dropped,
        faults=report.faults,
    )


def report_of_file(file: Path | str, path: Path | str) -> None:
    """Write the report of a finished HDF5 file; it is the same but for the faults.

    Raises
    ------
    SourceError
        If ``file`` is no file of ours, or is not finished.
    OutputError
        As in `write_report`.
    """
    found = from_file(file)
    dropped = found.provenance.get("dropped", "").splitlines()
    write_report(
        path, found.messages, found.ledger, found.provenance, found.run, dropped=dropped
    )
