"""How often a browser is told what is new, without a browser and without waiting."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from smalldata_stream.batch import Array
from smalldata_stream.message import Message

pytest.importorskip("bokeh", reason="Bokeh is not installed")

from bokeh.document import Document
from bokeh.models import ColumnDataSource

from smalldata_stream.dashboard import view
from smalldata_stream.dashboard.feed import State
from smalldata_stream.dashboard.view import (
    DRAW_SECONDS,
    IDLE_SECONDS,
    SECONDS,
    SHARE,
    SILENT_SECONDS,
    View,
)

PLOT = "plots/gmd/energy_histogram"
HISTOGRAM = {"edges": np.arange(4.0), "counts": np.array([1, 2, 0])}
LATE = 0.047
"""Seconds from look to look of a server that has much to do."""


class Clock(SimpleNamespace):
    """Time that passes when it is told to; each question costs the processor ``cost``."""

    def __init__(self) -> None:
        super().__init__(time=time.time, strftime=time.strftime, localtime=time.localtime)
        self.now, self.work, self.cost = 100.0, 7.0, 0.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        self.work += self.cost
        return self.work


class Published:
    """Stands for a feed: a plot that is new when a test says so."""

    address, readers = "tcp://127.0.0.1:1", 1

    def __init__(self, clock: Clock) -> None:
        self.clock, self.wanted = clock, frozenset[str]()
        self.publish()

    def publish(
        self,
        plots: Sequence[str] = (PLOT,),
        kind: str = "histogram",
        arrays: Mapping[str, Array] = HISTOGRAM,
    ) -> None:
        metadata = {"kind": kind, "events": 3, "timestamp": 1}
        about = {"kind": kind, "group": "beam", "age": 0.0}
        self.state = State(
            heard=self.clock.now,
            index={"exp": "tst", "run": 1, "topics": dict.fromkeys(plots, about)},
            messages={topic: Message(topic, metadata, arrays) for topic in plots},
        )

    def want(self, reader: object, topics: Collection[str]) -> None:
        self.wanted = frozenset(topics)

    def leave(self, reader: object) -> None:
        self.wanted = frozenset()


class Page:
    """A view, and a browser that answers at once, unless it is asleep."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.feed = clock, Published(clock)
        self.document, self.asleep = Document(), False
        self.view = View(self.document, self.feed)  # type: ignore[arg-type]

    def told(self, seconds: float, publish_every: float = 0.2) -> int:
        """How many updates there were in so many seconds."""
        before, begin, published = self.view._updates, self.clock.now, 0
        while (passed := self.clock.now - begin) < seconds:
            if passed >= published * publish_every:
                self.feed.publish()
                published += 1
            if not self.asleep:
                self.view._seen.tags = self.view._sent.tags
            self.view.tick()
            self.clock.now += LATE
        return self.view._updates - before


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    clock = Clock()
    monkeypatch.setattr(view, "time", clock)
    return Page(clock)


def test_a_browser_is_told_five_times_a_second_by_a_server_that_is_late(page: Page) -> None:
    assert page.told(20) == pytest.approx(100, abs=2)
    assert page.told(20, publish_every=0.05) == pytest.approx(100, abs=2)


def test_half_as_often_where_nothing_is_new(page: Page) -> None:
    assert page.told(20, publish_every=100) == pytest.approx(50, abs=6)


def test_a_click_is_answered_though_nothing_is_new(page: Page) -> None:
    def looks() -> int:
        page.view._seen.tags = page.view._sent.tags
        before = page.view._updates
        page.view.tick()
        return page.view._updates - before

    page.told(1, publish_every=100)
    while not looks():
        page.clock.now += LATE
    page.clock.now += SECONDS
    assert not looks()
    page.view._on_pause(True)
    assert looks()


def test_a_browser_that_does_not_answer_is_told_nothing_and_then_read_nothing(
    page: Page,
) -> None:
    page.told(1)
    page.asleep = True
    assert page.told(SILENT_SECONDS - 1) == 1
    assert page.feed.wanted == {PLOT}
    assert page.told(3) == 0
    assert page.feed.wanted == frozenset()
    page.asleep = False
    assert page.told(2) > 5
    assert page.feed.wanted == {PLOT}


def test_browsers_take_no_more_of_a_processor_than_their_share(page: Page) -> None:
    page.clock.cost, page.feed.readers = 0.03, 12
    assert page.told(20) == pytest.approx(20 * SHARE / (0.03 * 12), abs=2)


def test_many_figures_are_put_into_the_page_at_once(page: Page) -> None:
    plots = [f"plots/gmd/histogram{number}" for number in range(20)]
    page.feed.publish(plots)
    placed: list[object] = []

    def note(event: object) -> None:
        if getattr(event, "attr", "") == "children":
            placed.append(event)

    page.document.on_change(note)
    page.clock.now += IDLE_SECONDS
    page.view._seen.tags = page.view._sent.tags
    page.view.tick()
    assert [model.id for model in page.view._body.children] == [
        page.view._cards[topic].model.id for topic in plots
    ]
    assert all(card.drawn for card in page.view._cards.values())
    assert len(placed) <= 2  # twenty places for figures, and the figures


def test_of_a_thousand_plots_those_of_the_open_tab_are_made(page: Page) -> None:
    about = {f"plots/d{n}/x": {"group": f"tab {n // 2}", "age": None} for n in range(1000)}
    index = {"exp": "tst", "run": 1, "topics": about}
    page.feed.state = State(heard=page.clock.now, index=index)
    other = View(Document(), page.feed)  # type: ignore[arg-type]
    made = [topic for topic, card in other._cards.items() if "model" in vars(card)]
    assert made == ["plots/d0/x", "plots/d1/x"]
    assert len(other._tabs.labels) == 501


def test_while_one_page_opens_the_others_are_told(page: Page) -> None:
    plots = [f"plots/gmd/histogram{number}" for number in range(20)]
    page.feed.publish(plots)
    page.clock.now += IDLE_SECONDS
    page.clock.cost = DRAW_SECONDS * 0.6  # what a figure takes
    drawn = [0]
    while drawn[-1] < 20:
        page.view._seen.tags = page.view._sent.tags
        page.view.tick()  # as soon as the browser has answered
        drawn.append(sum(card.drawn for card in page.view._cards.values()))
    assert [after - before for before, after in pairwise(drawn)] == [2] * 10
    assert [model.id for model in page.view._body.children] == [
        page.view._cards[topic].model.id for topic in plots
    ]
    page.clock.cost = 0.0
    assert page.told(2) == pytest.approx(10, abs=2)  # drawing is not held against it


def test_a_plot_of_nothing_but_nan_has_a_range_until_there_are_values(page: Page) -> None:
    def publish(mean: Array) -> None:
        arrays = {"x": np.array([2.0, 3.0]), "last": mean, "mean": mean, "error": mean}
        page.feed.publish(kind="line", arrays=arrays)
        page.clock.now += IDLE_SECONDS
        page.view._seen.tags = page.view._sent.tags
        page.view.tick()

    def corners() -> list[list[float]]:
        sources = page.document.select({"type": ColumnDataSource})
        (data,) = (source.data for source in sources if "across" in source.data)
        return [list(data["across"]), list(data["up"])]

    publish(np.full(2, np.nan))
    assert corners() == [[2.0, 3.0], [0.0, 1.0]]
    publish(np.array([np.nan, 7.0]))
    assert corners() == [[], []]
    publish(np.full(2, np.nan))
    assert corners() == [[2.0, 3.0], [0.0, 1.0]]
