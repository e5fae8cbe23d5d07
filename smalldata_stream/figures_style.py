"""How all figures look: colours, sizes, fonts, tools, and what is said above them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Div, GlyphRenderer, Scatter, UIElement
from bokeh.plotting import figure

from smalldata_stream.batch import Array
from smalldata_stream.counted import counted
from smalldata_stream.message import Message

BLUE, ORANGE, GREEN, GREY = "#1f6fb2", "#d1600f", "#2a8a57", "#8a94a0"
COLOURS = {"mean": BLUE, "on": ORANGE, "off": BLUE, "difference": GREEN}
INK, PALE = "#2b333b", "#e8ecf0"

HEIGHT = 320
LOWER = 170
"""Height of a difference below its curves."""

HEADING_SECONDS = 1.0


def panel(
    x_label: str = "", y_label: str = "", height: int = HEIGHT, **more: Any
) -> figure:
    """An empty figure in our style, as wide as its place."""
    made = figure(
        height=height,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,wheel_zoom,reset,save",
        toolbar_location="right",
        output_backend="canvas",
        x_axis_label=x_label,
        y_axis_label=y_label,
        min_border_left=64,
        **more,
    )
    made.toolbar.autohide = True
    made.toolbar.logo = None
    made.outline_line_color = None
    made.background_fill_color = made.border_fill_color = "#ffffff"
    made.grid.grid_line_color = PALE
    for axis in made.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = "14px"
        axis.major_label_text_font_size = "13px"
        axis.axis_label_text_color = axis.major_label_text_color = INK
        axis.axis_line_color = axis.major_tick_line_color = GREY
        axis.minor_tick_line_color = None
    return made


def style_legend(made: figure) -> None:
    """A legend in a row above the frame; a click hides what it names."""
    legend = made.legend[0]
    made.add_layout(legend, "above")
    legend.orientation = "horizontal"
    legend.click_policy = "hide"
    legend.border_line_color = None
    legend.padding, legend.margin, legend.spacing = 0, 2, 16
    legend.label_text_font_size, legend.label_text_color = "14px", INK


class Corners:
    """What a panel spans while nothing in it can be drawn.

    Bokeh makes the ranges of what is drawn; of nothing, and of NaN alone, it makes NaN, and
    complains on the console of the browser.
    """

    def __init__(self, made: figure) -> None:
        self._source = ColumnDataSource({"across": [], "up": []})
        made.renderers.append(
            GlyphRenderer(
                data_source=self._source,
                glyph=Scatter(x="across", y="up"),
                visible=False,  # what is not visible has its part in the ranges, too
            )
        )

    @contextmanager
    def around(self, x: Array, *curves: Array) -> Iterator[None]:
        """Hold the panel open while its curves change to these, and after that if need be.

        The browser may look between any two changes.
        """
        drawn = any((np.isfinite(x) & np.isfinite(y)).any() for y in curves)
        corners = np.empty((2, 0)) if drawn else np.array([ends(x), (0.0, 1.0)])
        if not drawn:
            self._put(corners)
        yield
        self._put(corners)

    def _put(self, corners: Array) -> None:
        across, up = corners
        if not np.array_equal(self._source.data["across"], across):
            self._source.data = {"across": across, "up": up}


def ends(x: Array) -> tuple[float, float]:
    """The lowest and the highest of ``x`` that is finite; 0 and 1 where none is."""
    finite = x[np.isfinite(x)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


class Heading:
    """Title and subtitle above a plot.

    A browser arranges its page anew for each text that changes, which costs more than to
    draw the plot: with ``patient`` the text is changed once in `HEADING_SECONDS`, and what
    was said meanwhile is shown by `catch_up`.
    """

    def __init__(self) -> None:
        self.model = Div(
            sizing_mode="stretch_width", margin=(2, 4, 0, 10), disable_math=True
        )
        self.patient = False
        self._text, self._changed = "", -HEADING_SECONDS

    def say(self, message: Message, *notes: str) -> None:
        """What there is to be said of a message."""
        self._text = heading_text(message, *notes)
        self.catch_up()

    def catch_up(self) -> None:
        """Show what was said last, if it is time to."""
        now = time.monotonic()
        due = not self.patient or now - self._changed >= HEADING_SECONDS
        if due and self.model.text != self._text:
            self.model.text, self._changed = self._text, now


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn plot, and what puts a later message into it."""

    model: UIElement
    heading: Heading
    update: Callable[[Message], None]


def heading_text(message: Message, *notes: str) -> str:
    """Title, and below it how many events there are and what else is to be said."""
    metadata = message.metadata
    parts = [counted(int(metadata.get("events", 0)), "event"), *(n for n in notes if n)]
    title = escaped(str(metadata.get("title") or message.topic))
    return (
        f"<div style='font:600 16px sans-serif;color:{INK}'>{title}</div>"
        f"<div style='font:13px sans-serif;color:{GREY};min-height:16px'>"
        f"{escaped(', '.join(parts))}</div>"
    )


def escaped(text: str) -> str:
    """``text`` as it stands in HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def number_of(message: Message, field: str) -> int:
    """A field that is one integer; 0 where it is not there."""
    return int(np.asarray(message.arrays.get(field, 0)))


def left_out(message: Message, **fields: str) -> str:
    """What is not in the plot, in words; fields are named by what is said of them."""
    counts = {words: number_of(message, field) for field, words in fields.items()}
    return ", ".join(f"{n:,} {words}" for words, n in counts.items() if n)


def floats(arrays: Mapping[str, Array], *fields: str) -> list[Array]:
    """Fields as float64, as Bokeh's axes take them: infinity would leave no range.

    >>> floats({"mean": np.array([1.0, np.inf])}, "mean")[0].tolist()
    [1.0, nan]
    """
    values = (np.asarray(arrays[field], np.float64) for field in fields)
    return [np.where(np.isinf(one), np.nan, one) for one in values]
