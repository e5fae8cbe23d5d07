"""A Configure that is no sense costs its run, not the session."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import pytest

from smalldata_stream.sources import shmem
from smalldata_stream.sources.shmem import ShmemSource
from smalldata_stream.sources.shmem_feed import Head
from tests.sources.test_files_damage import A, B
from tests.xtc2 import writer as w


class Two:
    """A feed of two runs without events, of which the first cannot be understood."""

    where = "shared memory 'x'"
    memory = 1 << 20

    def __init__(self, *_: Any, **__: Any) -> None:
        self.counts: Counter[str] = Counter()
        good = w.configure([w.RUNINFO, A, B])
        broken = bytearray(good)
        broken[24 + 8] = 5
        begins = [w.begin_run("tstx00417", number) for number in (1, 2)]
        self.heads = deque(
            Head([configure, begin], end="")
            for configure, begin in zip([bytes(broken), good], begins, strict=True)
        )

    def next_run(self, first_events: int, first_seconds: float) -> Head | None:
        return self.heads.popleft() if self.heads else None

    def __enter__(self) -> Two:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_the_next_run_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shmem, "Feed", Two)
    assert [run.info.number for run in ShmemSource("x").runs()] == [2]
    (said,) = caplog.messages
    assert "in Configure" in said
    assert said.endswith("the run is left out")
