"""The dashboard in a browser, in front of graphs that fail, end, and begin anew."""

from __future__ import annotations

import pytest

from tests.dashboard.pages import looking_at, open_tab, values, wait_for, wait_until_more
from tests.dashboard.shift import FAILING, shift

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
