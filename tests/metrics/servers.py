"""Real servers on loopback, stopped by their process id."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def fetch(url: str) -> str:
    """The text at ``url``, empty while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            text: str = answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode() if error.code != 503 else ""
    except OSError:
        return ""
    return text


@contextmanager
def stop_at_end(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


class Prometheus:
    """The HTTP API of a Prometheus server."""

    def __init__(self, port: int):
        self.base = f"http://127.0.0.1:{port}"

    def api(self, path: str, **parameters: str) -> Any:
        """The data of an answer; None while the server is not ready."""
        text = fetch(f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        if not text:
            return None
        answer = json.loads(text)
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The vector that an expression gives now."""
        data = self.api("query", query=expression)
        if data is None:
            return []
        assert data["resultType"] == "vector", data
        found: list[dict[str, Any]] = data["result"]
        return found

    def value(self, expression: str) -> float | None:
        """The single value that an expression gives now, if it gives one."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if len(found) == 1 else None
