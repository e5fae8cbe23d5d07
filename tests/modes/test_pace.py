"""How often is shown what: as often as asked for, unless the graph would be slowed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from smalldata_stream.batch import Batch
from smalldata_stream.modes import pace
from smalldata_stream.modes.pace import LONGEST_SECONDS, SHARE, Budget, Pace

BATCH = Batch(np.zeros(0, np.uint64), np.zeros(0, np.int32), {}, {})


class Clock:
    """Time that passes when it is told to, at work or not."""

    def __init__(self) -> None:
        self.now, self.work = 100.0, 7.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.work

    def works(self, seconds: float) -> None:
        self.now += seconds
        self.work += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def shown_after(clock: Clock, cost: float, waits: float, works: float) -> float:
    """Seconds until the second round is due, which is asked after each batch."""

    def batches() -> Iterator[Batch]:
        while True:
            clock.now += waits
            yield BATCH

    budget = Budget()
    rate, begin = Pace(0.2, budget), clock.now
    assert rate.due()
    with rate.shown():
        clock.works(cost)
    for _ in budget.awaited(batches()):
        clock.works(works)
        if rate.due():
            break
    return clock.now - begin


def test_a_graph_that_waits_shows_as_often_as_asked_for(clock: Clock) -> None:
    assert shown_after(clock, cost=0.05, waits=0.005, works=0.003) < 0.21


def test_a_busy_graph_shows_less_often(clock: Clock) -> None:
    assert shown_after(clock, cost=0.001, waits=0.0, works=0.01) < 0.22
    after = shown_after(clock, cost=0.005, waits=0.0, works=0.01)
    assert after == pytest.approx(0.005 / SHARE, abs=0.02)


def test_what_is_seen_is_never_older_than_a_second(clock: Clock) -> None:
    after = shown_after(clock, cost=0.5, waits=0.0, works=0.01)
    assert after == pytest.approx(LONGEST_SECONDS, abs=0.02)


def test_where_nobody_knows_of_waiting_it_is_as_often_as_asked_for(clock: Clock) -> None:
    rate = Pace(0.2, Budget())
    with rate.shown():
        clock.works(0.1)
    assert not rate.due()
    clock.works(0.11)
    assert rate.due()


def test_rounds_and_values_share_what_there_is(clock: Clock) -> None:
    def batches() -> Iterator[Batch]:
        while True:
            yield BATCH

    budgets, spent, begin = (Budget(0.7), Budget(0.3)), [0.0, 0.0], clock.now
    paces = Pace(0.2, budgets[0]), Pace(0.02, budgets[1], longest=math.inf)
    for _ in budgets[0].awaited(budgets[1].awaited(batches())):
        clock.works(0.01)
        for k, cost in enumerate((0.002, 0.001)):
            if paces[k].due():
                with paces[k].shown():
                    clock.works(cost)
                spent[k] += cost
        if clock.now > begin + 20:
            break
    assert spent == pytest.approx([0.7 * SHARE * 20, 0.3 * SHARE * 20], rel=0.05)


def test_what_could_not_be_afforded_is_not_owed_for_ever(clock: Clock) -> None:
    budget = Budget()
    list(budget.awaited([]))
    for _ in range(100):
        budget.spend(0.5)
    clock.works((0.5 + SHARE) / SHARE + 1)
    assert budget.left


@pytest.mark.parametrize("batch", [0.03, 5 / 120])
def test_the_rate_is_the_one_asked_for_however_batches_fall(
    clock: Clock, batch: float
) -> None:
    rate, shown, end = Pace(0.2, Budget()), 0, clock.now + 20
    while clock.now < end:
        clock.now += batch
        if rate.due():
            with rate.shown():
                shown += 1
    assert shown == pytest.approx(100, abs=2)


def test_after_a_long_batch_rounds_do_not_come_in_a_row(clock: Clock) -> None:
    rate = Pace(0.2, Budget())
    with rate.shown():
        clock.now += 3.0
    with rate.shown():
        pass
    clock.now += 0.19
    assert not rate.due()
    clock.now += 0.02
    assert rate.due()


@pytest.mark.parametrize(
    ("waits", "works", "rounds"), [(0.02, 0.01, 105), (0.0, 0.03, 100)]
)
def test_only_a_graph_that_waits_makes_up_for_late_rounds(
    clock: Clock, waits: float, works: float, rounds: int
) -> None:
    def batches() -> Iterator[Batch]:
        while clock.now < end:
            clock.now += waits
            yield BATCH

    budget, shown, end = Budget(), 0, clock.now + 21
    rate = Pace(0.2, budget)
    for _ in budget.awaited(batches()):
        clock.works(works)
        if rate.due():
            with rate.shown():
                shown += 1
    assert shown == pytest.approx(rounds, abs=2)
