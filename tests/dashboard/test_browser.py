"""The dashboard in a real browser: it opens, moves, stops, says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlparse

import pytest

from tests.dashboard.pages import (
    looking_at,
    open_tab,
    total,
    wait_for,
    wait_until_less,
    wait_until_more,
)
from tests.dashboard.shift import BROKEN, GRAPH, Shift, shift
from tests.plots.chromium import Opened
from tests.zmq.publishing import wait_until

pytest.importorskip("bokeh", reason="Bokeh is not installed")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    with shift(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(live: Shift) -> Iterator[Opened]:
    with looking_at(live.address) as found:
        yield found


@pytest.fixture
def page(browser: Opened) -> Iterator[Opened]:
    """The page with its first tab open; nothing may have gone wrong in it."""
    open_tab(browser, "beam")
    wait_until_more(browser, 0)
    yield browser
    assert browser.complaints == []
    (host,) = {urlparse(url).netloc for url in browser.requests if url.startswith("http")}
    assert host.startswith("127.0.0.1:")


def test_plots_move(page: Opened) -> None:
    # With a sign before it while the server is silent, as one on a busy machine may be.
    page.page.wait_for_function("document.title === 'simtut26 run 1'")
    counts = wait_until_more(page, total(page))
    wait_until_more(page, counts)
    wait_for(page, "pulse energy")
    wait_for(page, "events/s")


def test_plots_stand_in_the_groups_of_the_graph(page: Opened) -> None:
    for text in ("pulse energy", "gmd/energy", "diode"):
        wait_for(page, text)
    assert not page.page.get_by_text("ROI_0_sum against").count()
    open_tab(page, "jungfrau")
    for text in ("ROI_0_sum against gmd/energy", "versus scan/lxt"):
        wait_for(page, text)
    assert not page.page.get_by_text("pulse energy").count()


def test_an_image_has_colours_linear_and_log(page: Opened) -> None:
    open_tab(page, "jungfrau")
    page.page.get_by_role("button", name="log").wait_for()
    page.page.locator("canvas").first.wait_for(state="attached")
    seen = """(colours) => {
        const bars = [...Bokeh.documents[0]._all_models.values()]
            .filter((m) => m.type === "ColorBar" && m.visible).map((m) => m.color_mapper)
        return bars.length === 1 && bars[0].type === colours && bars[0].low < bars[0].high
    }"""
    page.page.wait_for_function(seen, arg="LinearColorMapper")
    page.page.get_by_role("button", name="log").click()
    page.page.wait_for_function(seen, arg="LogColorMapper")


def test_pause_holds_the_plots_and_lets_them_go_on(page: Opened) -> None:
    page.page.get_by_role("button", name="Pause").click()
    wait_for(page, "Paused since")
    held = total(page)
    page.page.wait_for_timeout(1000)
    assert total(page) == held
    page.page.get_by_role("button", name="Resume").click()
    wait_until_more(page, held)


def test_reset_asks_back_and_then_begins_the_plots_anew(page: Opened) -> None:
    before = wait_until_more(page, 100)
    page.page.get_by_role("button", name="Reset").click()
    question = page.page.get_by_role("button", name="Reset beam for everybody?")
    question.wait_for()
    wait_until_more(page, before)
    question.click()
    wait_for(page, "beam begins anew")
    assert wait_until_less(page, before) < before


def test_ledger_and_graph_are_shown(page: Opened) -> None:
    wait_for(page, "the ledger")
    open_tab(page, "Run")
    for text in ("no node failed on an event", "beamtime.py"):
        wait_for(page, text)


def test_a_graph_that_does_not_build_is_an_error_on_the_page(
    page: Opened, live: Shift
) -> None:
    live.graph.write_text(BROKEN)
    wait_for(page, "no detector 'gmdd' in run 1")
    wait_for(page, "the graph before it goes on")
    wait_until_more(page, total(page))
    live.graph.write_text(GRAPH)
    page.page.get_by_text("no detector 'gmdd'").first.wait_for(state="detached")


def test_events_that_stop_are_said_to_stop(page: Opened, live: Shift) -> None:
    live.source.held.set()
    wait_for(page, "No new event for")
    live.source.held.clear()
    page.page.get_by_text("No new event for").first.wait_for(state="detached")


def test_only_the_plots_of_the_open_tab_are_read(page: Opened, live: Shift) -> None:
    open_tab(page, "jungfrau")
    image = ["plots/jungfrau/image"]
    wait_until(lambda: live.publisher.wanted(image))
    open_tab(page, "Run")
    wait_until(lambda: not live.publisher.wanted(image))
