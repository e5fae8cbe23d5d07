"""The examples of docs/client.md run as they stand, on other ports."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sinks.zmq import ZmqPublisher
from smalldata_stream.cli.live import DEFAULT_ADDRESS
from smalldata_stream.message import Message
from tests.zmq.publishing import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
HISTOGRAM = "plots/jungfrau/ROI_0_sum_histogram"


@pytest.fixture
def publisher() -> Iterator[ZmqPublisher]:
    counts = {"counts": np.array([3, 4]), "edges": np.array([0.0, 1.0, 2.0])}
    about = {"kind": "histogram", "title": "sum of ROI_0", "events": 7}
    energy = {"energy": np.array(3.5)}
    stop = threading.Event()

    def graph(publisher: ZmqPublisher) -> None:
        while not stop.wait(0.1):
            topics = [HISTOGRAM, "gmd"]
            publisher.wanted(topics)
            publisher.offer(HISTOGRAM, lambda: Message(HISTOGRAM, about, counts))
            publisher.offer("gmd", lambda: Message("gmd", {"timestamp": 2**63}, energy))

    with ZmqPublisher() as publisher:
        thread = threading.Thread(target=graph, args=(publisher,))
        thread.start()
        wait_until(lambda: publisher.counts.offered >= 2)
        yield publisher
        stop.set()
        thread.join()


def test_the_examples_run(
    publisher: ZmqPublisher, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block.replace(DEFAULT_ADDRESS, publisher.address), names)
    assert names["energy"] == 3.5
    assert names["event"] == 2**63
    out = capsys.readouterr().out
    assert f"['{HISTOGRAM}', 'gmd']" in out
    assert "sum of ROI_0 7 7" in out
    assert "3.5 9223372036854775808" in out
    names["client"]._context.destroy(linger=0)  # type: ignore[attr-defined]  # karabo's
