"""A graph file of which every batch is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalldata_stream.modes import graph_watch, pace
from tests.modes.editing import GOOD


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(graph_watch, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(pace, "SHARE", 1e9)  # every batch is shown, whatever that costs
    path = tmp_path / "graph.py"
    path.write_text(GOOD)
    return path
