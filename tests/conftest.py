"""How hypothesis runs here, and which tests have a second try."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time in CI, no deadlines anywhere.
settings.register_profile("here", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

TESTS = Path(__file__).parent
# Tests of servers, browsers, ranks and signals hang on what else the machine does. One that
# passes only when it is tried again is listed as RERUN at the end of the report.
OF_PROCESSES = {"cli", "dashboard", "live", "metrics", "mpi", "shmem", "slurm", "sources"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(TESTS):
            folder = item.path.relative_to(TESTS).parts[0]
            if folder in OF_PROCESSES:
                item.add_marker(pytest.mark.flaky(reruns=1))
