"""psana's calibration database on this machine: what psana's own client asks is answered.

The client asks for names of detectors, for the documents of a collection, and for what a
document is about (GridFS). Documents are kept and chosen as MongoDB does, as far as the
client's questions go: equal values, and ``$lte``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

ROOT = "/ws/calib_ws/"


class Database(ThreadingHTTPServer):
    """Databases of collections of documents, by name.

    With ``refusal`` every answer is that status of HTTP. With ``page`` every answer is this
    text. Questions for the collection ``slow`` set ``asked_for_slow``, and are not
    answered: they wait for ``let_go``.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.documents: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.data: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.refusal = 0
        self.page = b""
        self.slow = ""
        self.asked_for_slow, self.let_go = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        """What ``LCLS_CALIB_HTTP`` has to be."""
        return f"http://127.0.0.1:{self.server_port}/ws"

    def name(self, long: str, short: str) -> None:
        """Give a detector its short name, by which its collections are called."""
        names = self.documents.setdefault(("cdb_detnames", long.split("_")[0]), [])
        names.append({"_id": "0" * 24, "long": long, "short": short})

    def add(
        self,
        short: str,
        kind: str,
        value: Any,
        *,
        exp: str = "",
        run: int = 0,
        end: Any = "end",
    ) -> None:
        """A constant of an experiment, from ``run`` on, or of the detector itself."""
        number = f"5f000000{len(self.data):016x}"
        text = isinstance(value, str)
        document = {
            "_id": number,
            "id_data": number,
            "ctype": kind,
            "detector": short,
            "shortname": short,
            "experiment": exp or "of the detector",
            "run": run,
            "run_orig": run,
            "run_end": end,
            "version": "V01",
            "time_sec": 1,
            "data_type": "str" if text else "ndarray",
        }
        if not text:
            document |= {"data_dtype": str(value.dtype), "data_shape": str(value.shape)}
        self.documents.setdefault((f"cdb_{exp or short}", short), []).append(document)
        self.data[number] = value.encode() if text else value.tobytes()

    def find(self, database: str, collection: str, query: dict[str, Any]) -> list[Any]:
        """The documents of a collection that ``query`` is true of."""
        documents = self.documents.get((database, collection), [])
        return [one for one in documents if _fits(one, query)]


class _Answer(BaseHTTPRequestHandler):
    server: Database

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        """Answer one question; with a ticket the client has it in the body."""
        url = urlparse(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(url.path)
        if self.server.refusal:
            self.send_error(self.server.refusal)
            return
        assert url.path.startswith(ROOT)
        database, collection, *number = url.path.removeprefix(ROOT).split("/")
        if collection == self.server.slow:
            self.server.asked_for_slow.set()
            self.server.let_go.wait(120)
            return
        answer = self.server.page
        if not answer and collection == "gridfs":
            answer = self.server.data[number[0]]
        elif not answer:
            query = parse_qs(url.query).get("query_string", [body.decode() or "{}"])[0]
            answer = json.dumps(
                self.server.find(database, collection, json.loads(query))
            ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def _fits(document: dict[str, Any], query: dict[str, Any]) -> bool:
    for name, asked in query.items():
        if isinstance(asked, dict):
            ((operator, limit),) = asked.items()
            assert operator == "$lte", f"the client asks {operator}"
            if not document[name] <= limit:
                return False
        elif document[name] != asked:
            return False
    return True


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database that psana in this process and its children asks."""
    with Database() as database:
        thread = threading.Thread(target=database.serve_forever)
        thread.start()
        try:
            point_to(monkeypatch, database.url)
            yield database
        finally:
            database.shutdown()
            thread.join()


def point_to(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Have psana ask ``url``, whatever proxies there are."""
    monkeypatch.setenv("LCLS_CALIB_HTTP", url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
