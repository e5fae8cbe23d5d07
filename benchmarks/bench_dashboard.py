"""What five browsers at a dashboard cost the graph, and how often each is told what is new.

    python -m benchmarks.bench_dashboard [--seconds S] [--browsers N]

A live graph of seven plots, among them an image, gets 120 events per second. The time is
that of the graph's thread alone: browsers that draw without a graphics card keep a small
machine busy, and what they take is not what the dashboard takes from the graph.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Browser, Page, sync_playwright

from tests.dashboard.pages import dashboard
from tests.dashboard.shift import shift
from tests.plots.chromium import FLAGS, NAMES

HERTZ = 120.0
UPDATES = "Bokeh.documents[0].roots().find((root) => root.name === 'header').tags[0]"


def cpu_seconds(process: int | str, thread: int | str = "") -> float:
    """What a process, or one of its threads, has worked so far."""
    place = Path(f"/proc/{process}/task/{thread}" if thread else f"/proc/{process}")
    fields = (place / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="a dashboard with several browsers")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--browsers", type=int, default=5)
    options = parser.parse_args()
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        sys.exit("Chromium is not installed: no browsers to look with")
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        live = stack.enter_context(shift(Path(directory), hertz=HERTZ))
        engine = stack.enter_context(sync_playwright())
        browser = engine.chromium.launch(executable_path=path, args=list(FLAGS))
        stack.callback(browser.close)
        time.sleep(3)  # kernels are compiled

        def graph(wait: Callable[[float], object]) -> float:
            """Milliseconds of the graph's thread for an event."""
            work, events = cpu_seconds("self", live.thread), live.source.given
            wait(options.seconds)
            work = cpu_seconds("self", live.thread) - work
            return 1e3 * work / max(live.source.given - events, 1)

        alone = graph(time.sleep)
        print(f"graph alone: {alone:.2f} ms per event")
        with dashboard(live.address) as url:
            for tab in ("beam", "jungfrau"):
                pages = [opened(browser, url, tab) for _ in range(options.browsers)]
                before = [page.evaluate(UPDATES) for page in pages]
                begin = time.monotonic()
                wait = pages[0].wait_for_timeout
                looked_at = graph(lambda seconds, wait=wait: wait(1e3 * seconds))  # type: ignore[misc]
                took = time.monotonic() - begin
                after = [page.evaluate(UPDATES) for page in pages]
                hertz = [(b - a) / took for a, b in zip(before, after, strict=True)]
                print(
                    f"{options.browsers} browsers at {tab!r}: {looked_at:.2f} ms per event "
                    f"({looked_at / alone:.2f} x); each is told what is new "
                    f"{min(hertz):.1f} to {max(hertz):.1f} times a second",
                    flush=True,
                )
                for page in pages:
                    page.close()


def opened(browser: Browser, url: str, tab: str) -> Page:
    """A browser with a tab open."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(url)
    page.wait_for_function("window.Bokeh && Bokeh.documents.length")
    page.get_by_role("button", name=tab, exact=True).click()
    return page


if __name__ == "__main__":
    main()
