"""The dashboard in a browser, in front of graphs that fail, end, and begin anew."""

from __future__ import annotations

import pytest

from tests.dashboard.pages import (
    dashboard,
    looking_at,
    open_tab,
    values,
    wait_for,
    wait_until_more,
)
from tests.dashboard.shift import FAILING, NOT_A_NUMBER, shift
from tests.plots.chromium import opened

pytest.importorskip("bokeh", reason="Bokeh is not installed")


def test_failures_are_seen_at_a_glance_and_in_full(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("failing")
    with shift(path, FAILING) as live, looking_at(live.address) as found:
        wait_for(found, "gaps by failures")
        wait_for(found, "dead letters")
        open_tab(found, "Run")
        wait_for(found, "IndexError: list index out of range")
        assert values(found, "counts") == []
        assert found.complaints == []


def test_plots_of_nothing_but_nan_are_no_error_in_the_browser(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("nan")
    with shift(path, NOT_A_NUMBER) as live, looking_at(live.address) as found:
        for text in ("gmd/none against", "diode/none by", "gmd/none versus scan/lxt"):
            wait_for(found, text)
        found.page.wait_for_function("Bokeh.documents[0].is_idle")
        assert found.complaints == []


def test_a_graph_that_is_gone_and_one_that_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("restarted")
    with shift(path) as live:
        address = live.address
        with looking_at(address) as found:
            wait_until_more(found, 0)
            live.stop()
            wait_for(found, f"{address} is silent for")
            with shift(path, address=address):
                found.page.get_by_text("is silent for").first.wait_for(state="detached")
                wait_until_more(found, 0)
            assert found.complaints == []


def test_a_page_opened_by_a_strange_name_says_what_to_write(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with shift(tmp_path_factory.mktemp("named")) as live, dashboard(live.address) as url:
        port = url.rstrip("/").rpartition(":")[2]
        # Chromium takes whatever ends in .localhost for this machine.
        with opened(f"http://other.localhost:{port}/", 1000, 800) as found:
            wait_for(found, "The dashboard does not answer to this name")
            wait_for(found, f"Open it as {url} or http://localhost:{port}/")
            assert not found.page.get_by_text("this page stands still").is_visible()
        with opened(url, 1000, 800) as found:
            wait_for(found, "events/s")
            assert not found.page.get_by_text("does not answer to this name").is_visible()
