"""How strip charts, histograms, scatter plots, lines and scans are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TypeAlias

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Span
from bokeh.plotting import figure

from smalldata_stream.batch import Array
from smalldata_stream.figures_style import (
    BLUE,
    COLOURS,
    GREY,
    HEIGHT,
    LOWER,
    ORANGE,
    Corners,
    Drawn,
    Heading,
    floats,
    left_out,
    panel,
    style_legend,
)
from smalldata_stream.message import Message
from smalldata_stream.timestamps import EPOCH

DrawCurve: TypeAlias = Callable[[figure, str, ColumnDataSource], None]
"""Puts the curve of that name into a figure."""

EPOCH_MS = EPOCH * 1000
"""1990-01-01 UTC in milliseconds of Unix, which Bokeh's time axes count."""


def labels(message: Message) -> tuple[str, str]:
    """Labels of the two axes."""
    metadata = message.metadata
    return str(metadata.get("x_label", "")), str(metadata.get("y_label", ""))


def strip(message: Message) -> Drawn:
    """The mean over time, and lowest and highest as a band."""
    above, made = Heading(), panel(*labels(message), x_axis_type="datetime")
    source = ColumnDataSource({"time": [], "mean": [], "low": [], "high": []})
    made.varea(
        x="time", y1="low", y2="high", source=source, fill_color=BLUE, fill_alpha=0.15,
        legend_label="lowest to highest",
    )  # fmt: skip
    made.line("time", "mean", source=source, color=BLUE, width=1.5, legend_label="mean")
    made.scatter("time", "mean", source=source, color=BLUE, size=3)
    style_legend(made)
    corners = Corners(made)

    def update(message: Message) -> None:
        arrays, width = message.arrays, int(message.arrays["width"])
        middle = (np.asarray(arrays["time"], np.int64) + width // 2) / 1e6 + EPOCH_MS
        mean, low, high = floats(arrays, "mean", "low", "high")
        with corners.around(middle, mean, low, high):
            source.data = {"time": middle, "mean": mean, "low": low, "high": high}
        out = left_out(message, not_finite="not finite")
        above.say(message, f"one point for {duration(width)}", out)

    return Drawn(column(above.model, made, sizing_mode="stretch_width"), above, update)


def duration(nanoseconds: int) -> str:
    """A length of time for people.

    >>> duration(2_000_000), duration(1_024_000_000)
    ('2 ms', '1.024 s')
    """
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds / 1e6:g} ms"
    return f"{nanoseconds / 1e9:g} s"


def histogram(message: Message) -> Drawn:
    """Bars from edge to edge."""
    above, made = Heading(), panel(*labels(message))
    made.y_range.start = 0
    source = ColumnDataSource({"left": [], "right": [], "counts": []})
    made.quad(
        left="left", right="right", bottom=0, top="counts", source=source,
        fill_color=BLUE, fill_alpha=0.55, line_color=BLUE, line_width=0.5,
    )  # fmt: skip

    def update(message: Message) -> None:
        (edges,) = floats(message.arrays, "edges")
        counts = np.asarray(message.arrays["counts"])
        source.data = {"left": edges[:-1], "right": edges[1:], "counts": counts}
        out = left_out(message, below="below", above="above", not_finite="not finite")
        above.say(message, out)

    return Drawn(column(above.model, made, sizing_mode="stretch_width"), above, update)


def scatter(message: Message) -> Drawn:
    """Points, and the straight line of least squares."""
    above, made = Heading(), panel(*labels(message))
    points = ColumnDataSource({"x": [], "y": []})
    fit = ColumnDataSource({"x": [], "y": []})
    made.scatter("x", "y", source=points, size=4, color=BLUE, alpha=0.4)
    made.line("x", "y", source=fit, color=ORANGE, width=2)
    corners = Corners(made)

    def update(message: Message) -> None:
        x, y, mean, deviation = floats(message.arrays, "x", "y", "mean", "deviation")
        r = float(message.arrays["r"])
        with corners.around(x, y):
            points.data = {"x": x, "y": y}
        ends = np.array([x.min(), x.max()]) if len(x) and np.isfinite(r) else np.empty(0)
        slope = r * deviation[1] / deviation[0] if len(ends) else 0.0
        fit.data = {"x": ends, "y": mean[1] + slope * (ends - mean[0])}
        events = int(message.metadata.get("events", 0))
        drawn = f"{len(x):,} of them drawn" if len(x) < events else ""
        said = f"r = {r:.3f}" if np.isfinite(r) else ""
        out = left_out(message, not_finite="not finite")
        above.say(message, drawn, said, out)

    return Drawn(column(above.model, made, sizing_mode="stretch_width"), above, update)


def line(message: Message) -> Drawn:
    """The means with their errors as bands, and the last one where there is one mean."""
    names = curve_names(message)
    above, made = Heading(), panel(*labels(message), height=upper(names))
    source = ColumnDataSource(points_of(message, *floats(message.arrays, "x")))
    if "last" in source.data:
        made.line("x", "last", source=source, color=GREY, width=1, legend_label="last")
    for name in names:
        banded(made, name, source)
    style_legend(made)
    panels = [made, *difference_below(message, made, source, banded)]
    corners = [Corners(one) for one in panels]

    def update(message: Message) -> None:
        put(source, points_of(message, *floats(message.arrays, "x")), corners)
        above.say(message, numbers_on_off(message))

    return Drawn(column(above.model, *panels, sizing_mode="stretch_width"), above, update)


def scan(message: Message) -> Drawn:
    """The means with error bars at each position."""
    names = curve_names(message)
    above, made = Heading(), panel(*labels(message), height=upper(names))
    source = ColumnDataSource(points_of(message, *floats(message.arrays, "position")))
    for name in names:
        barred(made, name, source)
    style_legend(made)
    panels = [made, *difference_below(message, made, source, barred)]
    corners = [Corners(one) for one in panels]

    def update(message: Message) -> None:
        (x,) = floats(message.arrays, "position")
        put(source, points_of(message, x), corners)
        out = left_out(message, left_out="left out")
        above.say(message, f"{len(x):,} positions", out)

    return Drawn(column(above.model, *panels, sizing_mode="stretch_width"), above, update)


# ------------------------------------------------------------------------ on, off, both


def curve_names(message: Message) -> list[str]:
    """The curves of the upper panel."""
    return ["on", "off"] if "on" in message.arrays else ["mean"]


def upper(names: Sequence[str]) -> int:
    """Height of the upper panel: with a difference below it is lower."""
    return HEIGHT if len(names) == 1 else HEIGHT - LOWER + 100


def difference_below(
    message: Message, made: figure, source: ColumnDataSource, draw: DrawCurve
) -> list[figure]:
    """A panel for on minus off, below and with the same x, where there are both."""
    if "difference" not in message.arrays:
        return []
    x_label, _ = labels(message)
    lower = panel(x_label, "on − off", height=LOWER, x_range=made.x_range)
    made.xaxis.axis_label = ""
    made.xaxis.major_label_text_font_size = "0px"
    lower.add_layout(Span(location=0, dimension="width", line_color=GREY, line_width=1))
    draw(lower, "difference", source)
    lower.legend.visible = False
    return [lower]


def numbers_on_off(message: Message) -> str:
    """How many events are on, and off; nothing where they are not told apart."""
    if "on_counts" not in message.arrays:
        return ""
    on, off = (int(message.arrays[f"{name}_counts"]) for name in ("on", "off"))
    return f"{on:,} on, {off:,} off"


def points_of(message: Message, x: Array) -> dict[str, Array]:
    """All curves over one ``x``, and where their error bars begin and end.

    One table for all of them: to send one costs a dashboard more than what is in it.
    """
    points = {"x": x}
    for name in curve_names(message) + ["difference"] * ("difference" in message.arrays):
        field = "error" if name == "mean" else f"{name}_error"
        y, error = floats(message.arrays, name, field)
        bar = np.where(np.isfinite(error), error, 0.0)  # one event has no error
        points |= {name: y, f"{name}_below": y - bar, f"{name}_above": y + bar}
    if "mean" in points and "last" in message.arrays:
        points |= {"last": floats(message.arrays, "last")[0]}
    return points


def put(
    source: ColumnDataSource, points: Mapping[str, Array], corners: Sequence[Corners]
) -> None:
    """Show points in their panel, those of a difference in the one below."""
    lower = [name for name in points if name.startswith("difference")]
    upper = [name for name in points if name not in ("x", *lower)]
    with ExitStack() as around:
        for one, names in zip(corners, (upper, lower), strict=False):
            around.enter_context(one.around(points["x"], *(points[n] for n in names)))
        source.data = dict(points)


def banded(made: figure, name: str, source: ColumnDataSource) -> None:
    """A curve with a band."""
    colour = COLOURS[name]
    made.varea(
        x="x", y1=f"{name}_below", y2=f"{name}_above", source=source, fill_color=colour,
        fill_alpha=0.25, legend_label=name,
    )  # fmt: skip
    made.line("x", name, source=source, color=colour, width=1.5, legend_label=name)


def barred(made: figure, name: str, source: ColumnDataSource) -> None:
    """Points with bars, joined by a line."""
    colour = COLOURS[name]
    made.line("x", name, source=source, color=colour, width=1, alpha=0.5, legend_label=name)
    made.segment(
        "x", f"{name}_below", "x", f"{name}_above", source=source, color=colour, width=1.5,
        legend_label=name,
    )  # fmt: skip
    made.scatter("x", name, source=source, color=colour, size=6, legend_label=name)
