"""Figures: made once of a message, updated in place by later ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from smalldata_stream.flow import Node
from smalldata_stream.graph import Graph
from smalldata_stream.message import Message, messages
from tests.graph.events import RUN, batches
from tests.plots.test_graph import plan_of

bokeh_models = pytest.importorskip("bokeh.models", reason="Bokeh is not installed")

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
    sources = figure.model.select({"type": bokeh_models.ColumnDataSource})
    figure.update(then)
    drawn = [source.data["image"][0] for source in sources]
    assert sorted(id(array) for array in drawn) == sorted(
        id(array) for array in (then.arrays["mean"], first.arrays["last"])
    )


def texts(figure: Figure) -> str:
    return " ".join(div.text for div in figure.model.select({"type": bokeh_models.Div}))


def source_of(figure: Figure, field: str) -> dict[str, np.ndarray]:
    sources = figure.model.select({"type": bokeh_models.ColumnDataSource})
    return dict(next(s.data for s in sources if field in s.data))


def test_what_is_drawn_is_what_the_message_says() -> None:
    by_topic = {m.topic: (m, Figure.of(m)) for m in MOMENTS[-1]}
    message, figure = by_topic["plots/gmd/energy_histogram"]
    assert source_of(figure, "counts")["counts"].tolist() == [4, 3, 3, 0]
    assert source_of(figure, "left")["left"].tolist() == [0, 5, 10, 15]

    message, figure = by_topic["plots/cam/image"]
    sources = figure.model.select({"type": bokeh_models.ColumnDataSource})
    drawn = sorted(source.data["image"][0].tolist() for source in sources)
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
