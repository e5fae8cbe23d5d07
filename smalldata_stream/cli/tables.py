"""Tables for a terminal, plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from smalldata_stream.batch import STRING
from smalldata_stream.counted import counted
from smalldata_stream.ledger import Ledger
from smalldata_stream.protocols import Spec

WIDTH = 100
"""Columns of a terminal that what is printed should fit into."""


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None
) -> str:
    """Rows under a header, in columns as wide as needed.

    With ``width``, where the table would be wider, a long first cell has a line of its own,
    and the rest of its row follows below.

    >>> print(table(["a", "long"], [["1", "x"], ["22", "y"]]))
    a   long
    1   x
    22  y
    >>> print(table(["a", "b"], [["a long name", "x"], ["22", "y"]], width=8))
    a      b
    a long name
           x
    22     y
    """
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    if width is not None:
        others = sum(2 + one for one in widths[1:])
        widths[0] = min(widths[0], max(len(header[0]), width - others))
    made = []
    for first, *rest in lines:
        if len(first) > widths[0]:
            made.append(first)
            first = ""
        cells = zip([first, *rest], widths, strict=True)
        made.append("  ".join(cell.ljust(w) for cell, w in cells).rstrip())
    return "\n".join(made)


def wrapped(line: str, width: int = WIDTH) -> str:
    """A long line as several, those after the first indented; no word is cut.

    >>> print(wrapped("dropped from the graph: cam, pcav: not in this run", 30))
    dropped from the graph: cam,
        pcav: not in this run
    """
    return textwrap.fill(
        line,
        width,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def dropped_lines(dropped: Sequence[str]) -> list[str]:
    r"""What a graph asked for in vain, briefly: detectors that are not there in one line.

    ``dropped`` has lines ``name: why``, as they are kept in ``/provenance/dropped``.

    >>> dropped = ["cam: not in this run", "pcav: no detector 'pcav' in this run"]
    >>> dropped += ["epics: no EPICS variable a, b, c, d, e, f"]
    >>> print("\n".join(dropped_lines(dropped)))
    dropped from the graph: cam, pcav: not in this run
    dropped from the graph: epics: no EPICS variable a, b, c and 3 more
    (all of it: smalldata-stream check, or /provenance/dropped in the file)
    """
    absent: list[str] = []
    others: list[str] = []
    shortened = False
    for line in dropped:
        name, _, why = line.partition(": ")
        listed = why.split(", ")
        if why == "not in this run" or all(
            part.startswith("no detector ") for part in why.split("; ")
        ):
            absent.append(name)
        elif len(listed) > 4:
            shortened = True
            others.append(f"{name}: {', '.join(listed[:3])} and {len(listed) - 3} more")
        else:
            others.append(line)
    told = [f"{', '.join(absent)}: not in this run"] if absent else []
    lines = [f"dropped from the graph: {one}" for one in told + others]
    if shortened:
        lines.append(
            "(all of it: smalldata-stream check, or /provenance/dropped in the file)"
        )
    return lines


def shape_text(spec: Spec) -> str:
    """Shape of one event's value, as people write it; some only the first event tells."""
    if spec.kind == "ragged":
        return "(n)"
    if spec.shape is None:
        return "(first event)"
    return "" if spec.shape == () else " x ".join(map(str, spec.shape))


def bytes_per_event(spec: Spec) -> str:
    """Bytes of one event's value; empty where it varies."""
    if spec.kind == "ragged" or spec.shape is None or spec.dtype == STRING:
        return ""
    n = spec.dtype.itemsize
    for length in spec.shape:
        n *= length
    return f"{n:,}"


def outputs_table(outputs: Mapping[str, Spec], totals: Mapping[str, Spec]) -> str:
    """What is written: dataset, shape, dtype, unit, bytes per event; `WIDTH` wide."""
    rows = [["/timestamp", "", "int64", "", "8"]]
    rows += [
        [f"/{path}", shape_text(s), dtype_text(s), s.unit, bytes_per_event(s)]
        for path, s in sorted(outputs.items())
    ]
    rows += [
        [f"/{path}", shape_text(s), dtype_text(s), s.unit, "once"]
        for path, s in sorted(totals.items())
    ]
    return table(["dataset", "shape", "dtype", "unit", "bytes/event"], rows, WIDTH)


def dtype_text(spec: Spec) -> str:
    """Dtype as people write it."""
    return "text" if spec.dtype == STRING else str(spec.dtype)


def ledger_table(ledger: Ledger) -> str:
    """The ledger, and whether it closes."""
    rows = [
        [f"{events:,}".rjust(12), what, reason] for what, reason, events in ledger.rows()
    ]
    verdict = (
        "The ledger closes: every event is accounted for."
        if ledger.closes
        else "THE LEDGER DOES NOT CLOSE: "
        f"{counted(ledger.missing, 'event')} unaccounted for."
    )
    return table(["events".rjust(12), "", "reason"], rows) + "\n" + verdict
