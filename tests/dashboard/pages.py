"""A dashboard as it is started from the shell, and a browser in front of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.plots.chromium import Opened, opened

SOURCES = """
(field) => [...Bokeh.documents[0]._all_models.values()]
    .filter((model) => model.type === "ColumnDataSource" && field in model.data)
    .map((model) => [...model.data[field]].map(Number))
"""


@contextmanager
def dashboard(address: str, *more: str) -> Iterator[str]:
    """Serve a dashboard in a process of its own; its URL."""
    command = [sys.executable, "-m", "smalldata_stream.cli", "dashboard", address]
    with subprocess.Popen(
        [*command, "--port", "0", *more], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said, _, url = process.stdout.readline().strip().partition(" ")
            assert said == "dashboard:"
            yield url
        finally:
            process.terminate()


@contextmanager
def looking_at(address: str) -> Iterator[Opened]:
    """A browser that has opened a dashboard of ``address``."""
    with dashboard(address) as url, opened(url, 1600, 1000) as found:
        found.page.wait_for_function("window.Bokeh && Bokeh.documents.length")
        yield found


def values(found: Opened, field: str) -> list[Any]:
    """What the browser itself draws: all columns of that name."""
    drawn: list[Any] = found.page.evaluate(SOURCES, field)
    return drawn


def wait_for(found: Opened, text: str, timeout: float = 60_000) -> None:
    """Until a text is to be seen."""
    found.page.get_by_text(text).first.wait_for(timeout=timeout)


def open_tab(found: Opened, name: str) -> None:
    """Open the plots of a group."""
    found.page.get_by_role("button", name=name, exact=True).click()


def total(found: Opened, field: str = "counts") -> float:
    """The sum of the first column of that name; 0 while there is none."""
    return sum(sum(column) for column in values(found, field)[:1])


def wait_until(found: Opened, true: Callable[[float], bool], field: str) -> float:
    """Until the sum of a column is as wanted; what it is then."""
    for _ in range(600):
        now = total(found, field)
        if true(now):
            return now
        found.page.wait_for_timeout(100)
    raise AssertionError(f"{field} is {now}")


def wait_until_more(found: Opened, than: float, field: str = "counts") -> float:
    """Until the sum of a column has grown."""
    return wait_until(found, lambda now: now > than, field)


def wait_until_less(found: Opened, than: float, field: str = "counts") -> float:
    """Until the sum of a column is smaller."""
    return wait_until(found, lambda now: now < than, field)
