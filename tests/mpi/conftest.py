"""What the tests of ranks share."""

from __future__ import annotations

import pytest

from tests.mpi.case import Case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("mpi"))
