"""The database of constants, asked for each detector of a run, and not when it is down."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from smalldata_stream.modes.calibration import find_constants
from smalldata_stream.run import DetectorInfo, RunInfo
from tests.sources.psana_database import Database, point_to, serving
from tests.sources.psana_runs import needs_psana

pytestmark = needs_psana

RUN = RunInfo(
    exp="xpptest",
    number=7,
    detectors={
        name: DetectorInfo(name=name, type="opal", fields={}, serial=name)
        for name in ("cam", "other", "third")
    },
)
PEDESTALS = np.arange(24, dtype=np.float32).reshape(4, 6)


def filled(database: Database) -> None:
    for number, name in enumerate(RUN.detectors):
        database.name(f"opal_{name}", f"opal_{number}")
        database.add(f"opal_{number}", "pedestals", PEDESTALS, exp=RUN.exp, run=1)


@contextmanager
def hanging_up(server: socket.socket) -> Iterator[list[int]]:
    """Take connections and close them without a word; the list has one entry for each."""
    connections: list[int] = []

    def answer() -> None:
        while True:
            try:
                connection, (_, port) = server.accept()
            except OSError:  # closed at the end of the test
                return
            connections.append(port)
            connection.close()

    server.listen()
    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield connections
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_database_that_hangs_up_is_asked_once_in_a_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        point_to(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}/ws")
        with hanging_up(server) as connections, caplog.at_level(logging.WARNING):
            find = find_constants(None, RUN, None)
            assert find("cam") is None
            first = len(connections)
            assert first > 0
            assert find("other") is None
            assert find("third") is None
            assert len(connections) == first
            said = [record.getMessage() for record in caplog.records]
            assert [line.split(": ")[0] for line in said] == [
                "no constants for cam",
                "no constants for other",
                "no constants for third",
            ]
            assert "Connection" in said[0]
            for line in said[1:]:
                assert "could not be reached for cam, and is not asked again" in line
            # The next run may find it up again.
            assert find_constants(None, RUN, None)("other") is None
            assert len(connections) > first


def test_nor_is_one_that_nobody_is_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(monkeypatch) as database, caplog.at_level(logging.WARNING):
        filled(database)
        database.refusal = 503
        find = find_constants(None, RUN, None)
        assert find("cam") is None
        first = len(database.asked)
        assert first > 0
        database.refusal = 0
        assert find("other") is None
        assert len(database.asked) == first
        assert caplog.text.count("no constants for") == 2


def test_one_detectors_constants_that_cannot_be_read_leave_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(monkeypatch) as database, caplog.at_level(logging.WARNING):
        filled(database)
        (cut_off,) = (one["id_data"] for one in database.documents["cdb_xpptest", "opal_0"])
        database.data[cut_off] = database.data[cut_off][:-8]
        find = find_constants(None, RUN, None)
        assert find("cam") is None
        others = [find("other"), find("third")]
    assert caplog.text.count("no constants for cam") == 1
    assert "ValueError" in caplog.text
    for found in others:
        assert found is not None
        assert found.pedestals is not None
        assert np.array_equal(found.pedestals, PEDESTALS)
