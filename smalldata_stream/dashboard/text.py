"""What the page says of the run beside its plots; no Bokeh here."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from smalldata_stream.counted import counted
from smalldata_stream.dashboard.feed import State
from smalldata_stream.ledger import NOT_IN_FILE, Ledger
from smalldata_stream.page_parts import ledger_table
from smalldata_stream.timestamps import calendar

GONE_SECONDS = 3.0
"""The index comes once a second: after so long without one the publisher is gone."""

STALE_SECONDS = 5.0
"""After so long without a new value the data are said to stand still."""

PLOT_STALE_SECONDS = 10.0
"""After so long without a new value a plot says so."""


def age_text(seconds: float) -> str:
    """A time that has passed, for people: whole seconds, then coarser.

    >>> age_text(0.7), age_text(42.2), age_text(200), age_text(8000)
    ('0 s', '42 s', '3 min 20 s', '2 h 13 min')
    """
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def ledger_of(index: Mapping[str, Any]) -> Ledger | None:
    """The ledger that a publisher tells of, None if it tells of none.

    >>> ledger_of({"ledger": {"read": 3, "written": 1, "dropped": {"late": 2}}}).closes
    True
    """
    told = index.get("ledger")
    if not isinstance(told, Mapping) or "read" not in told:
        return None
    ledger = Ledger(read=told["read"], written=told.get("written", 0))
    for what in ("filtered", "failed", "dropped", "gaps", "unknown"):
        getattr(ledger, what).update(dict(told.get(what, {})))
    return ledger


def run_name(index: Mapping[str, Any]) -> str:
    """Experiment and run.

    >>> run_name({"exp": "xpptut26", "run": 7}), run_name({})
    ('xpptut26 run 7', 'no run yet')
    """
    return (
        f"{index['exp']} run {index.get('run', '?')}" if index.get("exp") else "no run yet"
    )


# ----------------------------------------------------------------------------- the header


def header_text(address: str, state: State, now: float) -> str:
    """Run, and what there is to be seen at a glance: rate, age, ledger."""
    name = escape(run_name(state.index) if state.index else address)
    where = ["waiting for a graph"] if not state.index else [escape(address)]
    if state.newest:
        where.append(calendar(state.newest))
    title = f"<div><h1>{name}</h1><div class='where'>{' · '.join(where)}</div></div>"
    return f"<div class='line'>{title}{''.join(tiles(state, now))}</div>"


def tiles(state: State, now: float) -> list[str]:
    """Numbers with what they are, each in a tile; red where somebody must look."""
    made = []
    if state.rate is not None:
        made.append(tile(f"{state.rate:,.{0 if state.rate >= 10 else 1}f}", "events/s"))
    if state.moved:
        age = now - state.moved
        kind = "bad" if age > STALE_SECONDS else ""
        made.append(tile(age_text(age), "since the newest", kind))
    if state.workers:
        made.append(tile(f"{state.workers}", "workers" if state.workers > 1 else "worker"))
    return made + ledger_tiles(state.index)


def ledger_tiles(index: Mapping[str, Any]) -> list[str]:
    """Counts of events, whether they close, and how many failures there were."""
    ledger = ledger_of(index)
    if ledger is None:
        return []
    made = [tile(f"{ledger.read:,}", "read"), tile(f"{ledger.written:,}", "written")]
    made.append(tile(f"{ledger.filtered.total():,}", "filtered"))
    for what, count in (
        ("failed", ledger.failed.total()),
        ("dropped", ledger.dropped.total()),
        ("gaps by failures", ledger.gaps.total()),
        ("dead letters", len(index.get("dead_letters", ()))),
    ):
        if count or what in ("failed", "dropped"):
            made.append(tile(f"{count:,}", what, "bad" if count else ""))
    if ledger.closes:
        made.append(tile("closes", "the ledger", "good"))
    else:
        made.append(tile(f"{ledger.missing:,} missing", "the ledger does not close", "bad"))
    return made


def tile(value: str, what: str, kind: str = "") -> str:
    """A number and what it is."""
    return f"<div class='tile {kind}'><b>{escape(value)}</b>{escape(what)}</div>"


# ---------------------------------------------------------------------- what must be seen


def banner_text(address: str, state: State, now: float, *said: str) -> str:
    """No publisher, no events, errors, and what was just ``said``."""
    lines = []
    silent, still = now - state.heard, now - state.moved
    if silent > GONE_SECONDS:
        what = f"{escape(address)} is silent for {age_text(silent)}"
        old = f": the plots are {age_text(still)} old" if state.moved else ""
        lines.append(f"<div class='gone'>{what}{old}</div>")
    elif state.moved and still > STALE_SECONDS:
        lines.append(f"<div class='stale'>No new event for {age_text(still)}</div>")
    if state.problem:
        lines.append(f"<div class='error'>{escape(state.problem)}</div>")
    if error := state.index.get("error"):
        old = "; the graph before it goes on" if state.topics else ""
        what = f"The graph file does not build{old}"
        lines.append(f"<div class='error'>{what}<pre>{escape(str(error))}</pre></div>")
    lines += [f"<div class='error'>{escape(text)}</div>" for text in not_in_file(state)]
    lines += [f"<div class='said'>{escape(text)}</div>" for text in said if text]
    return "".join(lines)


def not_in_file(state: State) -> list[str]:
    """What is to be said of events that the file does not have.

    >>> ledger = {"read": 9, "failed": {"not in the file: No space left on device": 1200}}
    >>> not_in_file(State(heard=0.0, index={"ledger": ledger}))
    ['The file cannot be written: No space left on device. It lacks 1,200 events']
    """
    ledger = ledger_of(state.index)
    return [
        f"The file cannot be written: {reason.removeprefix(NOT_IN_FILE)}. "
        f"It lacks {counted(events, 'event')}"
        for reason, events in (ledger.failed.items() if ledger is not None else ())
        if reason.startswith(NOT_IN_FILE)
    ]


def status_text(about: Mapping[str, Any] | None, elapsed: float) -> str:
    """What is wrong with a plot; ``elapsed`` is the age of the index.

    >>> status_text(None, 0.0), status_text({"age": 30.0, "failed": False}, 1.0)
    ('no longer published', 'no new value for 31 s')
    """
    if about is None:
        return "no longer published"
    if about.get("failed"):
        return "cannot be made: see the log of the graph"
    age = about.get("age")
    if age is not None and age + elapsed > PLOT_STALE_SECONDS:
        return f"no new value for {age_text(age + elapsed)}"
    return ""


# --------------------------------------------------------------------- the tab of the run


def run_text(index: Mapping[str, Any]) -> str:
    """Ledger, dead letters and graph, in full."""
    ledger = ledger_of(index)
    told = "The publisher tells of none." if ledger is None else ledger_table(ledger)
    return "".join([
        f"<h2>Ledger</h2>{told}",
        f"<h2>Dead letters</h2>{letters_table(index)}",
        absent_list(index),
        graph_table(index),
    ])  # fmt: skip


def letters_table(index: Mapping[str, Any]) -> str:
    """The events on which a node failed, as far as the publisher tells of them."""
    rows = [
        f"<tr><td>{escape(str(letter.get('node', '')))}</td>"
        f"<td class='n'>{escape(str(letter.get('timestamp', '')))}</td>"
        f"<td class='w'>{escape(str(letter.get('error', '')))}</td></tr>"
        for letter in index.get("dead_letters", ())
    ]
    if not rows:
        return "None: no node failed on an event."
    return (
        f"<table><tr><th>node</th><th>event</th><th>error</th></tr>{''.join(rows)}</table>"
    )


def absent_list(index: Mapping[str, Any]) -> str:
    """What the graph asks for and the run does not have."""
    absent = index.get("dropped_detectors", ())
    if not absent:
        return ""
    return f"<h2>Not in this run</h2>{escape(', '.join(map(str, absent)))}"


def graph_table(index: Mapping[str, Any]) -> str:
    """Which graph it is."""
    rows = [
        f"<tr><th>{escape(str(name))}</th><td class='w'>{escape(str(value))}</td></tr>"
        for name, value in index.get("graph", {}).items()
    ]
    return f"<h2>Graph</h2><table>{''.join(rows)}</table>" if rows else ""
