"""A small run, simulated once for each file of tests."""

from __future__ import annotations

import pytest

from smalldata_stream.simulate import SimulatedFiles, simulate
from tests.cli.commands import SMALL


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    return simulate(tmp_path_factory.mktemp("run"), SMALL)
