"""Constants from psana's database, asked by psana's own client."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from smalldata_stream.errors import ConstantsError, DatabaseError
from smalldata_stream.run import DetectorInfo
from smalldata_stream.sources import psana_constants as psana_constants_module
from smalldata_stream.sources.psana_constants import psana_constants
from smalldata_stream.sources.psana_process import PsanaProcess
from tests.sources.psana_database import Database, point_to, serving
from tests.sources.psana_runs import needs_psana

pytestmark = needs_psana

JUNGFRAU = DetectorInfo(name="big", type="jungfrau", fields={}, serial="0001-a_0002-b")
SHORT, LONG = "jungfrau_000001", "jungfrau_0001-a_0002-b"
SHAPE = (3, 2, 4, 6)
PEDESTALS = np.arange(144, dtype=np.float32).reshape(SHAPE)
VALUES: dict[str, Any] = {
    "pixel_gain": np.full(SHAPE, 41.5, np.float32),
    "pixel_mask": np.tile(np.array([1, 0], np.uint8), 72).reshape(SHAPE),
    "geometry": "# TITLE a geometry\n",
}


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Pedestals for runs 3 to 9 and from 10 on, and those of the detector itself."""
    with serving(monkeypatch) as database:
        database.name(LONG, SHORT)
        database.name("jungfrau_0009-z", "jungfrau_000002")
        database.add(SHORT, "pedestals", PEDESTALS, exp="xpptest", run=3, end=9)
        database.add(SHORT, "pedestals", PEDESTALS + 1, exp="xpptest", run=10)
        database.add(SHORT, "pedestals", PEDESTALS - 1)
        for kind, value in VALUES.items():
            database.add(SHORT, kind, value, exp="xpptest", run=3)
        database.add(SHORT, "pixel_rms", PEDESTALS / 8)
        yield database


def test_what_the_database_has(database: Database) -> None:
    found = psana_constants("xpptest", 7, [JUNGFRAU])
    (constants,) = found.values()
    assert list(found) == ["big"] == [constants.detector]
    arrays = constants.arrays()
    assert np.array_equal(arrays["pedestals"], PEDESTALS)
    assert np.array_equal(arrays["pixel_gain"], VALUES["pixel_gain"])
    assert np.array_equal(arrays["pixel_mask"], VALUES["pixel_mask"] == 1)
    assert np.array_equal(arrays["pixel_rms"], PEDESTALS / 8)
    assert set(arrays) == {"pedestals", "pixel_gain", "pixel_mask", "pixel_rms"}
    assert constants.geometry == VALUES["geometry"]
    assert "pedestals of xpptest run 3" in constants.source
    assert "pixel_rms of of the detector run 0" in constants.source


def test_before_the_first_run_of_the_experiment_those_of_the_detector(
    database: Database,
) -> None:
    constants = psana_constants("xpptest", 2, [JUNGFRAU])["big"]
    assert np.array_equal(constants.arrays()["pedestals"], PEDESTALS - 1)


def test_a_user_with_a_ticket_in_a_later_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALIB_JWT", "a ticket")
    constants = psana_constants("xpptest", 10, [JUNGFRAU])["big"]
    assert np.array_equal(constants.arrays()["pedestals"], PEDESTALS + 1)


def test_a_detector_it_does_not_know_beside_one_that_it_knows(database: Database) -> None:
    other = DetectorInfo(name="other", type="jungfrau", fields={}, serial="0003-c")
    assert list(psana_constants("xpptest", 7, [other, JUNGFRAU])) == ["big"]


@pytest.mark.parametrize("status", [403, 503])
def test_a_database_that_refuses(database: Database, status: int) -> None:
    database.refusal = status
    with pytest.raises(
        ConstantsError,
        match=rf"asked for big of xpptest run 7: .*{status}.*; --constants FILE takes them",
    ) as caught:
        psana_constants("xpptest", 7, [JUNGFRAU])
    assert isinstance(caught.value, DatabaseError) == (status == 503)


def test_a_page_instead_of_documents(database: Database) -> None:
    database.page = b"<html>log in</html>"
    with pytest.raises(ConstantsError, match=r"asked for big of xpptest run 7: JSON"):
        psana_constants("xpptest", 7, [JUNGFRAU])


def test_data_that_are_cut_off(database: Database) -> None:
    database.data = {number: data[:-8] for number, data in database.data.items()}
    with pytest.raises(ConstantsError, match="ValueError: cannot reshape") as caught:
        psana_constants("xpptest", 7, [JUNGFRAU])
    assert not isinstance(caught.value, DatabaseError)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        point_to(monkeypatch, f"http://127.0.0.1:{closed.getsockname()[1]}/ws")
        with pytest.raises(DatabaseError, match="Connection"):
            psana_constants("xpptest", 7, [JUNGFRAU])


def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        point_to(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}/ws")
        with pytest.raises(DatabaseError, match="no answer in 3 s"):
            psana_constants("xpptest", 7, [JUNGFRAU], seconds=3)


def test_an_answer_that_takes_too_long_is_not_none_at_all(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.slow = "gridfs"

    class WaitsForTheQuestion(PsanaProcess):
        def hear(self, timeout: float | None = None) -> Any:
            assert database.asked_for_slow.wait(120)
            return super().hear(timeout)

    monkeypatch.setattr(psana_constants_module, "PsanaProcess", WaitsForTheQuestion)
    try:
        with pytest.raises(ConstantsError, match=r"no answer in 0.1 s") as caught:
            psana_constants("xpptest", 7, [JUNGFRAU], seconds=0.1)
    finally:
        database.let_go.set()
    assert not isinstance(caught.value, DatabaseError)
