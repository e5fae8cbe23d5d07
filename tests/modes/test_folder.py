"""The folder of an unfinished file: two jobs at once, and ends at bad moments."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from smalldata_stream.errors import OutputError
from smalldata_stream.modes.folder import (
    LOCK,
    PUBLISHING,
    Folder,
    Output,
    WholeAlreadyError,
    folder_of,
)

JOB = {"graph": "this"}


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(path=tmp_path / "out.h5", resume=True)


def test_one_job_at_a_time(output: Output) -> None:
    folder = Folder(output, JOB)
    with pytest.raises(OutputError, match=f"by another job .process {os.getpid()} on"):
        Folder(output, JOB)
    folder.let_go()
    Folder(output, JOB).leave()
    assert list(output.path.parent.iterdir()) == []


def test_a_lock_that_was_removed_before_it_was_taken_is_none(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another job does it that ends just then."""
    flock, taken = fcntl.flock, 0

    def late(file: Any, how: int) -> None:
        nonlocal taken
        taken += 1
        if taken == 1:
            (folder_of(output.path) / LOCK).unlink()
            folder_of(output.path).rmdir()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    folder = Folder(output, JOB)
    assert taken == 2
    with pytest.raises(OutputError, match="by another job"):
        Folder(output, JOB)
    folder.leave()


def test_what_another_job_makes_meanwhile_is_not_removed(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Folder(output, JOB)
    let_go = first.let_go
    others: list[Folder] = []

    def and_another_comes() -> None:
        let_go()
        if not others:
            others.append(Folder(output, JOB))

    monkeypatch.setattr(first, "let_go", and_another_comes)
    first.leave()
    assert (folder_of(output.path) / LOCK).exists()
    with pytest.raises(OutputError, match="by another job"):
        Folder(output, JOB)
    others[0].leave()
    assert list(output.path.parent.iterdir()) == []


def test_killed_while_the_file_has_both_names(output: Output) -> None:
    folder = Folder(output, JOB)
    whole = folder.path / "whole.h5"
    whole.write_bytes(b"whole")
    (folder.path / PUBLISHING).write_text(whole.name)
    (folder.path / "a001-r0000.done").touch()
    os.link(whole, output.path)
    folder.let_go()
    with pytest.raises(WholeAlreadyError):
        Folder(output, JOB)
    assert list(output.path.parent.iterdir()) == [output.path]
    assert output.path.read_bytes() == b"whole"
