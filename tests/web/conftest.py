from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.service import Service, serving


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as service:
        yield service


@pytest.fixture
def nobody() -> str:
    """An address at which nobody answers."""
    with serving() as service:
        return service.url
