"""How many blocks rank 0 can hand out, from two ranks.

    mpiexec -n 2 python -m benchmarks.mpi_hand_out

Rank 1 asks so often at once that rank 0 always has a message to answer, as it would with
very many ranks; then one by one, as a rank does that does not ask ahead, with a rank 0 that
is idle, one in compiled code and one in Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from smalldata_stream.modes.hand_out import Numbers
from smalldata_stream.modes.ranks import Ranks, ranks

MANY, SOME = 10_000, 300
BEGIN_SECONDS = 0.3


class Answers(NamedTuple):
    """Of one round: answers, the seconds they took, CPU seconds of rank 0's thread."""

    number: int
    seconds: float
    cpu: float


def hand_out(
    them: Ranks, number: int, *, at_once: bool, busy: Callable[[], object]
) -> None:
    begun = np.zeros(1)

    def told(rank: int, events: int) -> None:
        if rank and not begun[0]:
            begun[0] = time.thread_time()
        if rank:
            answered.append((time.monotonic(), time.thread_time() - begun[0]))

    answered: list[tuple[float, float]] = []
    seconds = 0.0
    with them.handing_out(iter(range(number - 1)), told) as numbers:
        if them.first:
            while len(answered) < number:
                busy()
        else:
            time.sleep(BEGIN_SECONDS)  # rank 0 is at what it does
            seconds = ask(numbers, number, at_once)
    seconds = max(them.gathered(seconds))
    if them.first:
        print(f"{number / seconds:.0f} {answered[-1][1] / number * 1e6:.1f}", flush=True)


def ask(numbers: Numbers, number: int, at_once: bool) -> float:
    """Ask so often; the seconds until all answers are there."""
    started = time.monotonic()
    if not at_once:
        while numbers.next() is not None:
            pass
        return time.monotonic() - started
    server = numbers.server
    for _ in range(number):
        server.ask(0)
    for _ in range(number):
        server.answer()
    return time.monotonic() - started


def compiled() -> None:
    work = np.ones((400, 400))
    work @ work  # without the GIL


def in_python() -> int:
    return sum(range(200_000))


def main() -> None:
    them = ranks()
    hand_out(them, MANY, at_once=True, busy=lambda: time.sleep(0.01))
    for busy in (lambda: time.sleep(0.01), compiled, in_python):
        hand_out(them, SOME, at_once=False, busy=busy)


if __name__ == "__main__":
    main()
