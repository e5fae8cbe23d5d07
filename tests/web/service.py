"""A web service on loopback that keeps what it was sent and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Service:
    """``answer`` gives status and body for a path; ``slow`` is seconds before each byte."""

    url: str = ""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answer: Callable[[str], tuple[int, bytes]] = lambda path: (200, b"[]")
    slow: float = 0.0


@contextmanager
def serving() -> Iterator[Service]:
    service = Service()
    closing = threading.Event()

    class Requests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            service.asked.append((self.path, json.loads(body) if body else None))
            service.headers.append(dict(self.headers))
            status, text = service.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            try:
                for i in range(len(text)) if service.slow else []:
                    if closing.wait(service.slow):
                        return
                    self.wfile.write(text[i : i + 1])
                    self.wfile.flush()
                if not service.slow:
                    self.wfile.write(text)
            except OSError:
                return  # the client has gone, as it may

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
        server.daemon_threads = True
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield service
        finally:
            closing.set()
            server.shutdown()
            thread.join()
