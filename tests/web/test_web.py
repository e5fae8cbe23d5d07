from __future__ import annotations

import time

import pytest

from smalldata_stream.web import WebError, get_json, post_json
from tests.processes import PATIENCE
from tests.web.service import Service


def test_json_goes_and_comes(service: Service) -> None:
    service.answer = lambda path: (200, b'{"a": [1, 2.5, null]}')
    assert get_json(service.url + "/x?y=1", PATIENCE) == {"a": [1, 2.5, None]}
    post_json(service.url + "/z", [{"key": "é"}], PATIENCE, login=("opr", "pass:word"))
    assert service.asked == [("/x?y=1", None), ("/z", [{"key": "é"}])]
    # base64 of "opr:pass:word", by hand
    assert service.headers[1]["Authorization"] == "Basic b3ByOnBhc3M6d29yZA=="


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_error_of_the_service(service: Service, status: int) -> None:
    service.answer = lambda path: (status, b"no")
    with pytest.raises(WebError, match=f"the service says {status}") as error:
        get_json(service.url, PATIENCE)
    assert error.value.answered


def test_what_is_no_json(service: Service) -> None:
    service.answer = lambda path: (200, b"<html>log in</html>")
    with pytest.raises(WebError, match="is no JSON"):
        get_json(service.url, PATIENCE)


@pytest.mark.parametrize("slow", [0.25, 30.0])
def test_slow_answers_end_in_time(service: Service, slow: float) -> None:
    service.answer = lambda path: (200, b"[" + b" " * 100 + b"]")
    service.slow = slow
    began = time.monotonic()
    with pytest.raises(WebError, match=r"no answer within 0\.3 s") as error:
        get_json(service.url, 0.3)
    assert not error.value.answered
    assert time.monotonic() - began < 20  # the whole answer would take more


def test_nobody_there(nobody: str) -> None:
    with pytest.raises(WebError, match="Connection refused") as error:
        get_json(nobody, PATIENCE)
    assert not error.value.answered


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://x/y", "", "pswww/x"])
def test_only_the_web(url: str) -> None:
    with pytest.raises(WebError, match="is no web address"):
        get_json(url, 5)
