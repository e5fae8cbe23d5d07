"""JSON from and to web services, within a bounded time."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any

from smalldata_stream.errors import SmalldataError

CHUNK_BYTES = 1 << 16


class WebError(SmalldataError):
    """A service did not do what it was asked; ``answered`` is False where it was silent."""

    def __init__(self, what: str, *, answered: bool):
        super().__init__(what)
        self.answered = answered


def get_json(url: str, seconds: float) -> Any:
    """What a service answers, within ``seconds``; `WebError` where it does not."""
    return _parsed(_ask(urllib.request.Request(_http(url)), seconds), url)


def post_json(
    url: str, value: Any, seconds: float, *, login: tuple[str, str] | None = None
) -> None:
    """Send a value as JSON, within ``seconds``; ``login`` is user and password."""
    headers = {"Content-Type": "application/json"}
    if login is not None:
        both = base64.b64encode(":".join(login).encode()).decode()
        headers["Authorization"] = f"Basic {both}"
    body = json.dumps(value).encode()
    _ask(urllib.request.Request(_http(url), body, headers, method="POST"), seconds)


def with_query(url: str, query: Mapping[str, str]) -> str:
    """An address with a query, encoded as it must be.

    >>> with_query("http://a/b", {"pv": "XPP:USR:1", "to": "12+3"})
    'http://a/b?pv=XPP%3AUSR%3A1&to=12%2B3'
    """
    return f"{url}?{urllib.parse.urlencode(query)}"


def _http(url: str) -> str:
    """The address, if it is one of the web: urllib opens files, too."""
    if not url.startswith(("http://", "https://")):
        raise WebError(f"{url!r} is no web address; it begins with https://", answered=True)
    return url


def _ask(request: urllib.request.Request, seconds: float) -> bytes:
    ends = time.monotonic() + seconds
    url = request.full_url
    try:
        # The timeout of urllib is for each wait; the deadline is for all of them.
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return _read(answer, ends)
    except urllib.error.HTTPError as error:
        with error:
            what = f"{url}: the service says {error.code} {error.reason}"
        raise WebError(what, answered=True) from None
    except TimeoutError:
        raise WebError(f"{url}: no answer within {seconds:g} s", answered=False) from None
    except (OSError, HTTPException, ValueError) as error:
        why = getattr(error, "reason", error)
        raise WebError(f"{url}: {why}", answered=False) from error


def _read(answer: HTTPResponse, ends: float) -> bytes:
    parts: list[bytes] = []
    while part := answer.read1(CHUNK_BYTES):
        parts.append(part)
        if time.monotonic() > ends:
            raise TimeoutError
    return b"".join(parts)


def _parsed(text: bytes, url: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise WebError(f"{url}: the answer is no JSON: {error}", answered=True) from error
