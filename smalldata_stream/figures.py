"""Messages as Bokeh figures, for the dashboard and for the report: the owner of Bokeh.

A figure is made of a message once; later messages of the same topic update it in place::

    figure = Figure.of(message)
    figure.model        # to lay out
    figure.update(message)

What each kind of plot looks like stands in ``figures_*.py``, one function per kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bokeh.embed import components
from bokeh.models import UIElement
from bokeh.resources import Resources

from smalldata_stream.errors import did_you_mean
from smalldata_stream.figures_curves import histogram, line, scan, scatter, strip
from smalldata_stream.figures_image import image
from smalldata_stream.figures_style import Drawn
from smalldata_stream.message import Message

Draw: TypeAlias = Callable[[Message], Drawn]

KINDS: Mapping[str, Draw] = {
    "strip": strip,
    "histogram": histogram,
    "scatter": scatter,
    "line": line,
    "image": image,
    "scan": scan,
}
"""How each kind of plot is drawn."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot on a page.

    ``model`` is the Bokeh object to lay out; it is as wide as its place.
    """

    topic: str
    kind: str
    group: str
    model: UIElement
    drawn: Drawn

    @classmethod
    def of(cls, message: Message) -> Figure:
        """Draw a message.

        Raises
        ------
        ValueError
            If its kind is none that can be drawn.
        """
        kind = str(message.metadata.get("kind", ""))
        if kind not in KINDS:
            raise ValueError(f"no plot of kind {kind!r}; {did_you_mean(kind, KINDS)}")
        drawn = KINDS[kind](message)
        drawn.update(message)
        group = str(message.metadata.get("group", ""))
        return cls(message.topic, kind, group, drawn.model, drawn)

    def update(self, message: Message) -> None:
        """Show a later message of the same topic; nothing is made anew.

        Raises
        ------
        ValueError
            If it is of another topic or kind.
        """
        kind = str(message.metadata.get("kind", ""))
        if (message.topic, kind) != (self.topic, self.kind):
            raise ValueError(
                f"{message.topic} ({kind}) cannot be shown in the figure of {self.topic} "
                f"({self.kind}); make another one"
            )
        self.drawn.update(message)


def embedded(figures: Sequence[Figure]) -> tuple[str, list[str]]:
    """What makes figures appear in a page: its head, and one element for each figure.

    The head has all of Bokeh that is needed: the page asks no network for anything.
    """
    if not figures:
        return "", []
    resources = Resources(mode="inline", components=["bokeh", "bokeh-widgets"])
    script, places = components([figure.model for figure in figures])
    return f"{resources.render()}\n{script}", [str(place) for place in places]
