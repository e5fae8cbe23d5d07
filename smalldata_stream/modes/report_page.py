"""The page of a report: headings, cards with the plots, tables; no Bokeh here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from smalldata_stream.counted import counted
from smalldata_stream.ledger import Ledger
from smalldata_stream.page_parts import WIDE, ledger_table
from smalldata_stream.protocols import Fault
from smalldata_stream.run import RunInfo
from smalldata_stream.timestamps import calendar

STYLE = """
* { box-sizing: border-box }
body { margin: 0; background: #f4f6f8; color: #2b333b; font: 14px/1.5 sans-serif }
header { background: #22303c; color: #fff; padding: 18px 32px }
header h1 { margin: 0; font-size: 22px; font-weight: 600 }
header p { margin: 4px 0 0; color: #b9c4ce }
.good, .bad { border-radius: 10px; padding: 1px 10px; color: #fff }
.good { background: #2a8a57 }
.bad { background: #c0392b }
nav { background: #fff; border-bottom: 1px solid #dde3e8; padding: 8px 32px;
      position: sticky; top: 0; z-index: 10 }
nav a { color: #1f6fb2; text-decoration: none; margin-right: 20px }
main { max-width: 1680px; margin: 0 auto; padding: 8px 32px 48px }
h2 { font-size: 18px; margin: 28px 0 10px; scroll-margin-top: 48px }
.plots { display: grid; gap: 16px; grid-auto-flow: dense;
         grid-template-columns: repeat(auto-fill, minmax(460px, 1fr)) }
.card { background: #fff; border: 1px solid #dde3e8; border-radius: 8px; padding: 8px;
        min-width: 0 }
@media (min-width: 1040px) { .wide { grid-column: span 2 } }
table { border-collapse: collapse; background: #fff; border: 1px solid #dde3e8 }
td, th { padding: 4px 16px; text-align: left; border-bottom: 1px solid #eef1f4 }
.said td { overflow-wrap: anywhere; font: 12.5px/1.45 monospace }
td.n { text-align: right; font-variant-numeric: tabular-nums }
pre { background: #fff; border: 1px solid #dde3e8; border-radius: 8px; padding: 12px 16px;
      overflow-x: auto; font: 12.5px/1.45 monospace; margin: 6px 0 }
.lines { white-space: pre-wrap; overflow-wrap: anywhere }
summary { cursor: pointer; margin: 6px 0 }
"""


def page(
    head: str,
    groups: Mapping[str, Sequence[tuple[str, str]]],
    ledger: Ledger,
    provenance: Mapping[str, str],
    run: RunInfo,
    dropped: Sequence[str],
    faults: Sequence[Fault],
) -> str:
    """The text of the page; ``groups`` are (kind, element) of the plots by heading."""
    title = f"{run.exp or 'run'} run {run.number}"
    graph = provenance.get("graph", "")
    sections = [plots_section(name, plots) for name, plots in groups.items()]
    if not groups:
        sections = ["<p>The graph has no plots: chain <code>.plot</code> to a node.</p>"]
    sections += [
        heading("Ledger") + ledger_table(ledger),
        listing("Not in this run", dropped),
        listing("Damaged data", [f"{f.where}: {f.what} ({f.events})" for f in faults]),
        listing("Failures", failures(ledger)),
        heading("Graph") + f"<pre>{escape(graph)}</pre>" if graph else "",
        heading("Provenance") + details(provenance),
    ]
    links = [*groups, "Ledger", "Graph" if graph else "", "Provenance"]
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width'>\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{head}\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1><p>{summary(run, ledger)}</p></header>\n"
        f"<nav>{''.join(link(name) for name in links if name)}</nav>\n"
        f"<main>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def summary(run: RunInfo, ledger: Ledger) -> str:
    """When, how many events, and whether all are accounted for."""
    parts = [f"{counted(ledger.read, 'event')} read", f"{ledger.written:,} written"]
    if run.begin:
        parts.insert(0, f"began {calendar(run.begin)}")
    word, said = ("good", "closes") if ledger.closes else ("bad", "does not close")
    return f"{', '.join(parts)} <span class='{word}'>the ledger {said}</span>"


def anchor(name: str) -> str:
    """What a link to a heading is called.

    >>> anchor("lightStatus/x rays")
    'lightStatus-x-rays'
    """
    return "".join(c if c.isalnum() else "-" for c in name) or "-"


def link(name: str) -> str:
    """A link to a heading of this page."""
    return f"<a href='#{anchor(name)}'>{escape(name)}</a>"


def heading(name: str) -> str:
    """A heading that can be linked to."""
    return f"<h2 id='{anchor(name)}'>{escape(name)}</h2>\n"


def plots_section(name: str, plots: Iterable[tuple[str, str]]) -> str:
    """The plots of one group."""
    cards = [
        f"<div class='card{' wide' if kind in WIDE else ''}'>{place}</div>\n"
        for kind, place in plots
    ]
    return f"{heading(name)}<div class='plots'>\n{''.join(cards)}</div>\n"


def failures(ledger: Ledger) -> list[str]:
    """The events on which a node failed, one line each."""
    return [
        f"{letter.node} at event {letter.timestamp}: {letter.error}"
        for letter in ledger.dead_letters
    ]


def listing(name: str, lines: Sequence[str]) -> str:
    """A heading and lines; nothing where there is no line."""
    if not lines:
        return ""
    return f"{heading(name)}<pre class='lines'>{escape(chr(10).join(lines))}</pre>\n"


def details(provenance: Mapping[str, str]) -> str:
    """What the result was made from: short texts in a table, long ones folded."""
    short, long = [], []
    for name, text in sorted(provenance.items()):
        if name == "graph" or not text:
            continue
        if "\n" in text:
            long.append(
                f"<details><summary>{escape(name)}</summary>"
                f"<pre>{escape(text)}</pre></details>\n"
            )
        else:
            short.append(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>")
    return f"<table class='said'>{''.join(short)}</table>\n{''.join(long)}"
