"""How images are drawn: mean or last, linear or logarithmic colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    CustomJS,
    LinearColorMapper,
    LogColorMapper,
    RadioButtonGroup,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure

from smalldata_stream.batch import Array
from smalldata_stream.figures_style import Drawn, Heading, panel
from smalldata_stream.message import Message

FIELDS = ("mean", "last")
SCALES = ("linear", "log")
LOG_SPAN = 1e6
"""Logarithmic colours span at most this factor."""
NAN_COLOUR = "#d7dce1"
LIMITS = (1.0, 99.5)
"""Percentiles of the pixels that the colours span."""
SAMPLE = 256
"""Percentiles are those of at most so many rows and columns, evenly chosen."""

HEIGHTS = (280, 440)
"""Pixels of the screen, for wide images and for high ones."""


def image(message: Message) -> Drawn:
    """The mean or the last frame, in linear or logarithmic colours; two switches choose.

    The first message is drawn in every way that can be chosen, for pages without a server;
    later ones only as the switches stand. A server that hears of a switch draws again.
    """
    above = Heading()
    x_label, y_label = (str(message.metadata.get(f"{axis}_label", "")) for axis in "xy")
    made = panel(x_label, y_label, height_for(message), match_aspect=True)
    made.x_range.range_padding = made.y_range.range_padding = 0
    made.y_range.flipped = True  # row 0 is on top
    made.grid.visible = False
    sources = {field: ColumnDataSource(nothing()) for field in FIELDS}
    layers = [
        Layer(made, sources[field], field, kind) for field in FIELDS for kind in SCALES
    ]
    if 0 in message.arrays["extent"]:  # of nothing Bokeh makes no range
        made.x_range.update(start=0.0, end=1.0)
        made.y_range.update(start=0.0, end=1.0)
    fields, scales = switch(FIELDS), switch(SCALES)
    switches = row(fields, scales, spacing=12, margin=(2, 4, 2, 10))
    connect(switches.children, layers)
    everything = True

    def update(message: Message) -> None:
        nonlocal everything
        width, height = (float(size) for size in message.arrays["extent"])
        seen = (FIELDS[fields.active], SCALES[scales.active])
        origin = np.zeros(1 if width and height else 0)  # no browser draws without pixels
        sizes = {"x": origin, "y": origin, "width": origin + width}
        sizes["height"] = origin + height
        for field, source in sources.items():
            if everything or field == seen[0]:
                pixels = [message.arrays[field]] * len(origin)
                source.data = {"image": pixels, **sizes}
        for layer in layers:
            if everything or (layer.field, layer.scale) == seen:
                layer.fit(message.arrays[layer.field])
        everything = False
        rows, columns = message.arrays["mean"].shape
        whole = (columns, rows) == (width, height)
        said = "" if whole else f"{width:.0f} × {height:.0f} pixels averaged for display"
        above.say(message, said)

    return Drawn(
        column(above.model, switches, made, sizing_mode="stretch_width"), above, update
    )


def height_for(message: Message) -> int:
    """Height of the figure, so that a wide image has little empty space around it."""
    width, height = (int(size) for size in message.arrays["extent"])
    return int(np.clip(80 + 380 * height / max(1, width), *HEIGHTS))


class Layer:
    """One of the images in one of the scales, with its colour bar; one layer is seen."""

    def __init__(self, made: figure, source: ColumnDataSource, field: str, scale: str):
        self.field, self.scale = field, scale
        mapper = LinearColorMapper if scale == "linear" else LogColorMapper
        self.colours = mapper(palette=Viridis256, nan_color=NAN_COLOUR, low=0.0, high=1.0)
        seen = (field, scale) == (FIELDS[0], SCALES[0])
        self.image = made.image(
            "image", "x", "y", "width", "height", source=source, visible=seen,
            color_mapper=self.colours,
        )  # fmt: skip
        self.bar = ColorBar(color_mapper=self.colours, visible=seen, width=14, padding=4)
        made.add_layout(self.bar, "right")

    def fit(self, pixels: Array) -> None:
        """Let the colours span what the pixels span, but for a few of them."""
        rows, columns = (max(1, -(-size // SAMPLE)) for size in pixels.shape)
        chosen = pixels[::rows, ::columns]
        usable = chosen[np.isfinite(chosen)]
        if self.scale == "log":
            usable = usable[usable > 0]
        low, high = (0.0, 1.0)
        if len(usable):
            low, high = (float(limit) for limit in np.percentile(usable, LIMITS))
        if self.scale == "log":
            low = max(low, high / LOG_SPAN) or 1.0
        if not high > low:
            high = low * 2 if self.scale == "log" else low + 1.0
        self.colours.update(low=low, high=high)


def nothing() -> dict[str, list[Any]]:
    """An image source without an image."""
    return {"image": [], "x": [], "y": [], "width": [], "height": []}


def switch(words: Sequence[str]) -> RadioButtonGroup:
    """Buttons of which one is down, the first to begin with."""
    return RadioButtonGroup(labels=list(words), active=0, button_type="light")


def connect(switches: Sequence[Any], layers: Sequence[Layer]) -> None:
    """Show the layer that the switches say, in the browser itself."""
    code = """
        const chosen = fields.active * 2 + scales.active
        for (let i = 0; i < images.length; i++) {
            images[i].visible = i === chosen
            bars[i].visible = i === chosen
        }
    """
    fields, scales = switches
    args = {
        "fields": fields,
        "scales": scales,
        "images": [layer.image for layer in layers],
        "bars": [layer.bar for layer in layers],
    }
    for one in switches:
        one.js_on_change("active", CustomJS(args=args, code=code))
