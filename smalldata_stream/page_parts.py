"""What pages have in common, those of reports and those of the dashboard; no Bokeh here."""

from __future__ import annotations

from html import escape

from smalldata_stream.ledger import Ledger

WIDE = ("strip", "scan")
"""Kinds of plots that are as wide as two others."""


def ledger_table(ledger: Ledger) -> str:
    """Where the events went."""
    rows = [
        f"<tr><td>{escape(what)}</td><td>{escape(reason)}</td><td class='n'>{n:,}</td></tr>"
        for what, reason, n in ledger.rows()
    ]
    if not ledger.closes:
        rows.append(
            f"<tr><td>missing</td><td></td><td class='n'>{ledger.missing:,}</td></tr>"
        )
    return (
        "<table><tr><th>what</th><th>reason</th><th>events</th></tr>"
        f"{''.join(rows)}</table>\n"
    )
