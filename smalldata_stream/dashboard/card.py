"""One plot on the dashboard: its figure, and what is wrong with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from html import escape
from typing import Any

from bokeh.models import Column, Div, InlineStyleSheet, RadioButtonGroup, UIElement

from smalldata_stream.dashboard import style
from smalldata_stream.dashboard.text import status_text
from smalldata_stream.figures import Figure
from smalldata_stream.message import Message
from smalldata_stream.page_parts import WIDE

log = logging.getLogger(__name__)


class Card:
    """The place of one topic; it has a figure once there is a message.

    ``model`` is what to lay out; it is another one once there is a figure. A message of
    another form (the graph was changed) gets a new figure.
    """

    def __init__(self, topic: str) -> None:
        self.topic, self.group = topic, ""
        self._figure: Figure | None = None
        self._form: object = None
        self._shown: Message | None = None
        self._trouble = ""

    # Made when somebody looks: of a thousand plots most are in tabs that are not open.
    @cached_property
    def _status(self) -> Div:
        sheets = [InlineStyleSheet(css=style.STATUS)]
        return Div(stylesheets=sheets, disable_math=True, visible=False)

    @cached_property
    def model(self) -> Column:
        """What to lay out."""
        name = escape(self.topic.removeprefix("plots/"))
        waiting = Div(
            text=f"<b>{name}</b><br>waiting for the first value",
            margin=(2, 10),
            disable_math=True,
        )
        return self._column(waiting)

    def _column(self, shown: UIElement, *classes: str) -> Column:
        return Column(
            self._status,
            shown,
            css_classes=["card", *classes],
            sizing_mode="stretch_width",
        )

    @property
    def drawn(self) -> bool:
        """Whether there is a figure."""
        return self._figure is not None

    def say(self, about: Mapping[str, Any] | None, elapsed: float) -> None:
        """Tell what is wrong with the plot, by what the index says of it."""
        text = self._trouble or status_text(about, elapsed)
        if self._figure is not None:
            self._figure.drawn.heading.catch_up()
        if self._status.text != text:
            self._status.update(text=text, visible=bool(text))

    def shows(self, message: Message | None) -> bool:
        """Whether there is nothing else to show than what is shown."""
        return message is None or message is self._shown

    def show(self, message: Message) -> None:
        """Show a message, unless it is the one that is shown."""
        if self.shows(message):
            return
        self._shown = message
        try:
            self._draw(message)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            trouble = f"cannot be drawn: {error}"
            if trouble != self._trouble:
                log.warning("%s %s", self.topic, trouble)
            self._trouble = trouble
        else:
            self._trouble = ""

    def _draw(self, message: Message) -> None:
        form = form_of(message)
        if self._figure is not None and form == self._form:
            self._figure.update(message)
            return
        self._figure, self._form = Figure.of(message), form
        self._figure.drawn.heading.patient = True
        for switch in self._figure.model.select({"type": RadioButtonGroup}):
            switch.on_change("active", self._draw_again)
        wide = ["wide"] if self._figure.kind in WIDE else []
        # Another model, so that a page takes in all new figures by one change of its own:
        # each change costs as much as everything that is in it already.
        self.model = self._column(self._figure.model, *wide)

    def _draw_again(self, attr: str, old: object, new: object) -> None:
        """What a switch now shows was not drawn while nobody saw it."""
        if self._figure is not None and self._shown is not None:
            self._figure.update(self._shown)


def form_of(message: Message) -> tuple[object, ...]:
    """What a figure cannot change once it is made: kind, curves, labels, proportions."""
    said, arrays = message.metadata, message.arrays
    extent = arrays["extent"].tolist() if "extent" in arrays else None
    labels = said.get("x_label"), said.get("y_label")
    return said.get("kind"), labels, tuple(arrays), extent
