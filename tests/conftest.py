"""How hypothesis runs here, how signals do, and which tests have a second try."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time in CI, no deadlines anywhere.
settings.register_profile("here", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every process
# that they start, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
# Tests of servers, browsers, ranks and signals hang on what else the machine does. One that
# passes only when it is tried again is listed as RERUN at the end of the report.
OF_PROCESSES = {
    "cli", "dashboard", "live", "metrics", "mpi", "plots", "shmem", "slurm", "sources",
    "web", "zmq",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(TESTS):
            folder = item.path.relative_to(TESTS).parts[0]
            if folder in OF_PROCESSES:
                item.add_marker(pytest.mark.flaky(reruns=1))
