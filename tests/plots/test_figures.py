"""Figures: made once of a message, updated in place by later ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from smalldata_stream.flow import Node
from smalldata_stream.graph import Graph
from smalldata_stream.message import Message, messages, smaller
from tests.graph.events import RUN, batches
from tests.plots.test_graph import plan_of

bokeh_models = pytest.importorskip("bokeh.models", reason="Bokeh is not installed")
bokeh_document = pytest.importorskip("bokeh.document")
bokeh_figure = pytest.importorskip("bokeh.plotting").figure

from smalldata_stream import figures_style  # noqa: E402
from smalldata_stream.figures import KINDS, Figure, embedded  # noqa: E402

Make = Callable[[Graph, Node, Node], object]


def every(g: Graph, energy: Node, cam: Node) -> None:
    laser = "lightStatus/laser"
    projection = cam.roi("R", None).projection(axis=0)
    energy.plot.strip()
    energy.plot.histogram((0, 20, 4))
    cam.roi("S", None)["sum"].plot.scatter(energy)
    projection.plot.line()
    projection.plot.line(by=laser, name="by_laser")
    cam.plot.image()
    energy.plot.scan("scan/lxt")
    energy.plot.scan("scan/lxt", by=laser, name="by_laser")


def at_each_moment() -> list[list[Message]]:
    """Every plot before the first event, in the middle, and at the end."""
    plan = plan_of(every)
    found = [messages(plan, RUN)]
    for batch in batches(5):
        plan.push(batch)
        found.append(messages(plan, RUN))
    return found


MOMENTS = at_each_moment()
TOPICS = [message.topic for message in MOMENTS[0]]


def data(figure: Figure) -> list[dict[str, list[object]]]:
    """All that is drawn."""
    sources = figure.model.select({"type": bokeh_models.ColumnDataSource})
    found = [
        {k: [np.asarray(v).tolist() for v in s.data[k]] for k in sorted(s.data)}
        for s in sources
    ]
    return sorted(found, key=str)


def test_every_kind_is_drawn() -> None:
    assert {m.metadata["kind"] for m in MOMENTS[0]} == set(KINDS)


@pytest.mark.parametrize("k", range(len(TOPICS)), ids=TOPICS)
def test_an_updated_figure_shows_what_a_new_one_shows(k: int) -> None:
    figure = Figure.of(MOMENTS[0][k])
    model, ids = figure.model, {m.id for m in figure.model.references()}
    for moment in MOMENTS[1:]:
        update_whole(figure, moment[k])
        assert str(data(figure)) == str(data(Figure.of(moment[k])))
    assert figure.model is model
    fixed = ("ColumnDataSource", "figure", "Line", "Scatter", "Image", "LinearColorMapper")
    names = {m.id for m in figure.model.references() if type(m).__name__ in fixed}
    assert names <= ids
    assert f"{MOMENTS[-1][k].metadata['events']} events" in texts(figure)


def update_whole(figure: Figure, message: Message) -> None:
    """Update what is seen, and then what the switches of an image may show."""
    switches = list(figure.model.select({"type": bokeh_models.RadioButtonGroup}))
    for chosen in (1, 0):
        for switch in switches:
            switch.active = chosen
        figure.update(message)


def test_a_patient_heading_waits_and_forgets_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    k = TOPICS.index("plots/gmd/energy_histogram")
    first, between, last = (moment[k] for moment in MOMENTS[:3])
    figure = Figure.of(first)
    figure.drawn.heading.patient = True
    figure.update(between)
    figure.update(last)
    assert f"{first.metadata['events']} events" in texts(figure)
    monkeypatch.setattr(figures_style, "HEADING_SECONDS", 0.0)
    figure.drawn.heading.catch_up()
    assert f"{last.metadata['events']} events" in texts(figure)


def test_of_an_image_only_what_is_seen_is_drawn_again() -> None:
    first, then = (MOMENTS[i][TOPICS.index("plots/cam/image")] for i in (1, 2))
    figure = Figure.of(first)
    figure.update(then)
    drawn = [image for source in images(figure) for image in source["image"]]
    assert sorted(id(array) for array in drawn) == sorted(
        id(array) for array in (then.arrays["mean"], first.arrays["last"])
    )


def texts(figure: Figure) -> str:
    return " ".join(div.text for div in figure.model.select({"type": bokeh_models.Div}))


def source_of(figure: Figure, field: str) -> dict[str, np.ndarray]:
    sources = figure.model.select({"type": bokeh_models.ColumnDataSource})
    return dict(next(s.data for s in sources if field in s.data))


def images(figure: Figure) -> list[dict[str, Any]]:
    sources = figure.model.select({"type": bokeh_models.ColumnDataSource})
    return [dict(s.data) for s in sources if "image" in s.data]


def test_what_is_drawn_is_what_the_message_says() -> None:
    by_topic = {m.topic: (m, Figure.of(m)) for m in MOMENTS[-1]}
    message, figure = by_topic["plots/gmd/energy_histogram"]
    assert source_of(figure, "counts")["counts"].tolist() == [4, 3, 3, 0]
    assert source_of(figure, "left")["left"].tolist() == [0, 5, 10, 15]

    message, figure = by_topic["plots/cam/image"]
    drawn = sorted(source["image"][0].tolist() for source in images(figure))
    assert drawn == sorted(message.arrays[field].tolist() for field in ("mean", "last"))
    flipped = [
        r.flipped for r in figure.model.select({"name": None}) if hasattr(r, "flipped")
    ]
    assert sorted(flipped) == [False, True]  # rows count downwards

    message, figure = by_topic["plots/gmd/energy_strip"]
    (time,) = source_of(figure, "time")["time"]
    assert time == pytest.approx(631_152_000_000 + 0.5)  # 1990, in milliseconds of Unix

    _, figure = by_topic["plots/gmd/energy_by_laser"]
    legends = figure.model.select({"type": bokeh_models.Legend})
    shown = [
        item.label.value for legend in legends if legend.visible for item in legend.items
    ]
    assert shown == ["on", "off"]


def test_text_of_users_is_text() -> None:
    title = "a <b>bold</b> & 'quoted'"
    plan = plan_of(lambda g, energy, cam: energy.plot.strip(title=title))
    (message,) = messages(plan, RUN)
    assert "&lt;b&gt;bold&lt;/b&gt; &amp;" in texts(Figure.of(message))


def nothing_in(message: Message) -> Message:
    """The same plot where no event had a finite value."""
    axes = ("x", "position", "edges")
    arrays = {
        field: np.full_like(array, np.nan)
        if array.dtype.kind == "f" and field not in axes
        else array
        for field, array in message.arrays.items()
    }
    return Message(message.topic, message.metadata, arrays)


PLACES = {
    "VArea": ("x", "y1"),
    "Segment": ("x0", "y0"),
    "Quad": ("left", "top"),
    "Line": ("x", "y"),
    "Scatter": ("x", "y"),
    "Image": ("x", "y"),
}
"""What of a glyph says where it is."""


def spans(panel: Any) -> bool:
    """Whether there is something finite in a panel, of which Bokeh makes its range."""
    found = []
    for renderer in panel.renderers:
        glyph, columns = renderer.glyph, renderer.data_source.data
        names = (getattr(glyph, place) for place in PLACES[type(glyph).__name__])
        x, y = (np.asarray(columns[name], np.float64) for name in names)
        found.append((np.isfinite(x) & np.isfinite(y)).any())
    return any(found)


@pytest.mark.parametrize("k", range(len(TOPICS)), ids=TOPICS)
def test_no_panel_is_ever_without_a_range(k: int) -> None:
    whole, empty = MOMENTS[-1][k], nothing_in(MOMENTS[-1][k])
    document = bokeh_document.Document()
    figure = Figure.of(empty)
    document.add_root(figure.model)
    panels = list(figure.model.select({"type": bokeh_figure}))
    found = [all(map(spans, panels))]
    document.on_change(lambda event: found.append(all(map(spans, panels))))
    for message in (whole, empty, MOMENTS[0][k], whole):
        figure.update(message)
    assert len(found) > 4
    assert all(found)
    corners = [
        r.data_source.data["across"]
        for panel in panels
        for r in panel.renderers
        if "across" in r.data_source.data
    ]
    assert [len(across) for across in corners] == [0] * len(corners)


def test_infinite_values_are_not_drawn() -> None:
    message = MOMENTS[-1][TOPICS.index("plots/cam/R_pj_ax_0_line")]
    mean = np.array(message.arrays["mean"])
    mean[0] = np.inf
    arrays = {**message.arrays, "mean": mean}
    figure = Figure.of(Message(message.topic, message.metadata, arrays))
    drawn = source_of(figure, "mean")["mean"]
    assert np.isnan(drawn[0])
    assert drawn[1:].tolist() == mean[1:].tolist()


def test_of_an_image_without_pixels_nothing_is_drawn() -> None:
    metadata = MOMENTS[-1][TOPICS.index("plots/cam/image")].metadata
    arrays = smaller({"mean": np.zeros((3, 4, 0)), "last": np.zeros((3, 4, 0))})
    figure = Figure.of(Message("plots/cam/image", metadata, arrays))
    assert len(source_of(figure, "image")["image"]) == 0


def test_what_cannot_be_drawn_or_updated() -> None:
    with pytest.raises(ValueError, match="did you mean 'strip'"):
        Figure.of(Message("x", {"kind": "stripe"}, {}))
    figure = Figure.of(MOMENTS[0][0])
    with pytest.raises(ValueError, match="make another one"):
        figure.update(MOMENTS[0][1])


def test_a_page_needs_nothing_from_elsewhere() -> None:
    head, places = embedded([Figure.of(m) for m in MOMENTS[-1]])
    assert len(places) == len(TOPICS)
    assert "src=" not in head.split("<script", 2)[1][:200]
    assert embedded([]) == ("", [])


def test_colours_span_usual_pixels() -> None:
    pixels = np.ones((100, 100), np.float32)
    pixels[0, :10], pixels[1, :] = 1e6, 2.0
    message = MOMENTS[-1][TOPICS.index("plots/cam/image")]
    arrays = {"mean": pixels, "last": -pixels, "extent": np.array([100, 100])}
    figure = Figure.of(Message(message.topic, message.metadata, arrays))
    mappers = figure.model.select({"type": bokeh_models.LinearColorMapper})
    assert max(m.high for m in mappers) == 2.0
    logs = figure.model.select({"type": bokeh_models.LogColorMapper})
    assert all(0 < m.low < m.high for m in logs)  # one of the two has no positive pixel
