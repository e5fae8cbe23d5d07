"""A live session as others see it: every kind of plot for karabo-bridge and for psplot."""

from __future__ import annotations

import io
import logging
import time
from pathlib import Path
from typing import Any

import karabo_bridge
import numpy as np
import pytest
import zmq

from sinks.psplot import PsplotPublisher
from tests.dashboard.shift import shift
from tests.zmq.publishing import SOON, wait_until
from tests.zmq.test_psplot import Psplot, publisher, subscribed

__all__ = ["publisher"]  # a fixture: at free ports
KINDS = {
    "plots/gmd/energy_strip": "mean",
    "plots/gmd/energy_histogram": "counts",
    "plots/jungfrau/image": "mean",
    "plots/jungfrau/ROI_0_sum_scatter": "x",
    "plots/jungfrau/ROI_0_pj_ax_0_line": "difference",
    "plots/diode/trace_line": "mean",
    "plots/jungfrau/ratio_scan": "on",
}


def test_karabo_bridge_reads_every_plot_and_the_newest_values(tmp_path: Path) -> None:
    with (
        shift(tmp_path) as live,
        zmq.Context() as context,
        karabo_bridge.Client(
            live.publisher.rep_address, timeout=3 * SOON, context=context
        ) as client,
    ):
        wait_until(lambda: live.source.given > 20, 3 * SOON)
        data, metadata = client.next()
        for topic, field in KINDS.items():
            assert np.asarray(data[topic][field]).size, topic
        assert data["gmd"]["energy"] > 0
        first = metadata["gmd"]["timestamp.tid"]
        assert first >> 32 == 1_000_000  # the script's: seconds in the high half
        data, metadata = client.next()
        assert metadata["gmd"]["timestamp.tid"] > first


def test_psplot_gets_every_plot_and_nothing_else(
    tmp_path: Path, publisher: PsplotPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    with zmq.Context() as context:
        socket = subscribed(context, publisher.address, b"")
        found: dict[str, Any] = {}
        with shift(tmp_path, more=[publisher]):
            deadline = time.monotonic() + 3 * SOON
            while not found.keys() >= KINDS.keys() and time.monotonic() < deadline:
                if socket.poll(1000):
                    topic, data = socket.recv_multipart()
                    name = topic.rstrip(b"\0").decode()
                    found[name] = Psplot(io.BytesIO(data)).load()
        socket.close()
    assert found.keys() - {"psmon-internal-topics"} == KINDS.keys()
    assert {type(found[topic]).__name__ for topic in KINDS} == {"Image", "XYPlot", "Hist"}
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
