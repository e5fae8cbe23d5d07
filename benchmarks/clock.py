"""What a call costs, in the best of some rounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

ROUNDS = 7


def microseconds(work: Callable[[], Any], events: int) -> float:
    """Per event, in the best of some rounds; the first, which may compile, not counted."""
    work()
    took = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return 1e6 * min(took) / events
