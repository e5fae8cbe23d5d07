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
LINE = "plots/jungfrau/ROI_0_pj_ax_0_line"


@pytest.fixture
def publisher() -> Iterator[ZmqPublisher]:
    curves = {"on": np.array([3.0, 4.0]), "off": np.array([1.0, 1.5])}
    about = {"kind": "line", "title": "ROI_0", "events": 7}
    energy = {"energy": np.array(3.5)}
    stop = threading.Event()

    def graph(publisher: ZmqPublisher) -> None:
        while not stop.wait(0.1):
            topics = [LINE, "gmd"]
            publisher.wanted(topics)
            publisher.offer(LINE, lambda: Message(LINE, about, curves))
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
    assert f"['{LINE}', 'gmd']" in out
    assert "ROI_0 7 2.5" in out
    assert "3.5 9223372036854775808" in out
    names["client"]._context.destroy(linger=0)  # type: ignore[attr-defined]  # karabo's
