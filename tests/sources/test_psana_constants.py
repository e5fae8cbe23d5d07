"""psana's calibration database, played by a web server on this machine."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest

from smalldata_stream.errors import ConstantsError
from smalldata_stream.run import DetectorInfo
from smalldata_stream.sources.psana import psana_constants
from tests.sources.psana_runs import needs_psana

pytestmark = needs_psana

JUNGFRAU = DetectorInfo(name="big", type="jungfrau", fields={}, serial="0001-a_0002-b")
SHORT, LONG = "jungfrau_000001", "jungfrau_0001-a_0002-b"
SHAPE = (3, 2, 4, 6)
VALUES: dict[str, Any] = {
    "pedestals": np.arange(144, dtype=np.float32).reshape(SHAPE),
    "pixel_gain": np.full(SHAPE, 41.5, np.float32),
    "pixel_mask": np.tile(np.array([1, 0], np.uint8), 72).reshape(SHAPE),
    "geometry": "# TITLE a geometry\n",
}


def document(number: int, kind: str) -> dict[str, Any]:
    value = VALUES[kind]
    is_text = isinstance(value, str)
    found = {
        "_id": f"5f000000{number:016x}",
        "id_data": f"5f000000{number:016x}",
        "ctype": kind,
        "detector": SHORT,
        "shortname": SHORT,
        "longname": LONG,
        "experiment": "xpptest",
        "run": 3,
        "run_orig": 3,
        "run_end": "end",
        "version": "V1",
        "time_sec": 1,
        "data_type": "str" if is_text else "ndarray",
    }
    if not is_text:
        found |= {"data_dtype": str(value.dtype), "data_shape": str(value.shape)}
    return found


DOCUMENTS = [document(number, kind) for number, kind in enumerate(VALUES)]


class Database(http.server.BaseHTTPRequestHandler):
    """Answers what psana asks for one detector of one experiment."""

    broken = False

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        """Answer one question."""
        if self.broken:
            self.send_error(500)
            return
        url = urlparse(self.path)
        path = url.path.removeprefix("/ws/calib_ws/").split("/")
        asked_for = parse_qs(url.query).get("query_string", ["{}"])[0]
        query = json.loads(asked_for) if path[0] == "cdb_detnames" else {}
        body, kind = b"[]", "application/json"
        if path[0] == "cdb_detnames":
            asked = query.get("long", LONG)
            names = [{"_id": "0" * 24, "long": LONG, "short": SHORT}]
            body = json.dumps(names if asked == LONG else []).encode()
        elif path[0] == "cdb_xpptest" and path[1:] == [SHORT]:
            body = json.dumps(DOCUMENTS).encode()
        elif path[1:2] == ["gridfs"]:
            value = VALUES[DOCUMENTS[int(path[2][8:], 16)]["ctype"]]
            body = value.encode() if isinstance(value, str) else value.tobytes()
            kind = "application/octet-stream"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Database]]:
    class Mine(Database):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mine) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        _point_to(monkeypatch, server.server_port)
        yield Mine
        server.shutdown()
        thread.join()


def _point_to(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("LCLS_CALIB_HTTP", f"http://127.0.0.1:{port}/ws")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_what_the_database_has(database: type[Database]) -> None:
    found = psana_constants("xpptest", 7, [JUNGFRAU])
    (constants,) = found.values()
    assert list(found) == ["big"] == [constants.detector]
    arrays = constants.arrays()
    assert np.array_equal(arrays["pedestals"], VALUES["pedestals"])
    assert np.array_equal(arrays["pixel_gain"], VALUES["pixel_gain"])
    assert np.array_equal(arrays["pixel_mask"], VALUES["pixel_mask"] == 1)
    assert set(arrays) == {"pedestals", "pixel_gain", "pixel_mask"}
    assert constants.geometry == VALUES["geometry"]
    assert "pedestals of xpptest run 3" in constants.source


def test_a_detector_it_does_not_know(database: type[Database]) -> None:
    other = DetectorInfo(name="other", type="jungfrau", fields={}, serial="0003-c")
    assert psana_constants("xpptest", 7, [other]) == {}


def test_a_database_that_is_broken(database: type[Database]) -> None:
    database.broken = True
    with pytest.raises(
        ConstantsError,
        match=r"asked for big of xpptest run 7: .*; --constants FILE takes them",
    ):
        psana_constants("xpptest", 7, [JUNGFRAU])


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        _point_to(monkeypatch, closed.getsockname()[1])
        with pytest.raises(ConstantsError, match="Connection"):
            psana_constants("xpptest", 7, [JUNGFRAU])


def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        _point_to(monkeypatch, silent.getsockname()[1])
        with pytest.raises(ConstantsError, match="no answer in 3 s"):
            psana_constants("xpptest", 7, [JUNGFRAU], seconds=3)
