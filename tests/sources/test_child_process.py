"""A child that cannot be started leaves nothing open."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
from typing import Any

import pytest

from smalldata_stream.sources.child_process import ChildProcess


def too_many(*_: Any, **__: Any) -> Any:
    raise OSError(24, "Too many open files")


@pytest.mark.parametrize(
    ("module", "name"),
    [(socket, "socketpair"), (subprocess, "Popen")],
    ids=["pair", "start"],
)
def test_what_was_made_for_it_is_closed(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    memory = os.memfd_create("test")
    ended: list[int] = []

    def at_end() -> None:
        os.close(memory)
        ended.append(memory)

    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(module, name, too_many)
    with pytest.raises(OSError, match="Too many open files"):
        ChildProcess("none", memory, environment={}, at_end=at_end)
    assert ended == [memory]
    assert len(os.listdir("/proc/self/fd")) == before - 1
