"""Progress in plain lines, where standard error is no terminal."""

from __future__ import annotations

import pytest

from smalldata_stream.cli import progress
from smalldata_stream.cli.progress import PlainProgress


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_a_line_every_ten_seconds_also_before_the_first_event(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    show = PlainProgress()
    for seconds, read, total in (
        (9, 0, 1000), (2, 0, 1000), (5, 100, 1000), (5, 210, 1000), (10, 1550, None),
    ):  # fmt: skip
        clock.now += seconds
        show(read, total)
    assert capsys.readouterr().err.splitlines() == [
        "0 events of 1,000 (0/s)",
        "210 events of 1,000, 45 s to go (18/s)",
        "1,550 events (70/s)",
    ]


def test_no_rate_is_told_before_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    show = PlainProgress()
    clock.now += 20  # kernels are compiled
    show(31, 360)
    assert capsys.readouterr().err == "31 events of 360\n"
